"""Whether what a store holds can be a session: what cannot is taken for an empty one.

Django goes by a few entries of a session itself, and trusts them: one of another type
would be an error in each request of that browser. Whatever else it holds is the site's.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.messages.storage.base import Message
from django.contrib.messages.storage.cookie import MessageDecoder
from django.utils.translation import gettext as _

from .clock import aware, local
from .merge import Data

# Where Django keeps what set_expiry was given, and messages.
EXPIRY = "_session_expiry"
MESSAGES = "_messages"

# Lists and dicts in each other. To copy them takes Python two steps for each, on top of those that
# led to it, and it goes no further than a thousand.
DEEPEST = 200


def checked(decode: Callable[[Any], Any], stored: Any) -> Data | None:
    """The data of a stored session; None, with a line in the log, for what is none."""
    try:
        return sound(decode(stored))
    except Exception:  # noqa: BLE001 - a serializer may raise anything
        logging.getLogger("django.security.SuspiciousSession").warning("Session data corrupted")
        return None


def sound(data: Any) -> Data:
    """The data, its expiry as Django reads it now; an error of any kind where it is no session's.

    A moment that was stored while USE_TZ was another is that of the same clock.
    """
    if not isinstance(data, dict) or is_too_deep(data):
        raise TypeError
    if EXPIRY in data:
        data[EXPIRY] = expiry(data[EXPIRY])
    if SESSION_KEY in data:
        check_user(data[SESSION_KEY], data.get(HASH_SESSION_KEY))
    if MESSAGES in data and not are_messages(data[MESSAGES]):
        del data[MESSAGES]
    return data


def check_depth(data: Data) -> None:
    """Raises ValueError for data that would be stored, and not be read again."""
    if is_too_deep(data):
        text = _("A session may hold no more than %(number)d lists and dicts in each other.")
        raise ValueError(text % {"number": DEEPEST})


def is_too_deep(data: Data) -> bool:
    level: list[Any] = [data]
    for _level in range(DEEPEST):
        level = [
            value
            for held in level
            for value in (held.values() if isinstance(held, dict) else held)
            if isinstance(value, dict | list | tuple)
        ]
        if not level:
            return False
    return True


def expiry(value: Any) -> Any:
    """None, seconds or a moment, which Django writes as text."""
    match value:
        case None | datetime():
            return value
        case str():
            moment = aware(datetime.fromisoformat(value))
            # The very first and last moments have no place in another time zone.
            moment.astimezone(UTC)
            return local(moment).isoformat()
        case int() | float() if not isinstance(value, bool):
            # Dates end in the year 9999: beyond it this is an error.
            _ends = datetime.now(UTC) + timedelta(seconds=value)
            return value
    raise TypeError


def check_user(primary_key: Any, auth_hash: Any) -> None:
    """Of a key's type; and no half of a character, which neither a database takes nor HMAC."""
    if isinstance(primary_key, bool | float):
        raise TypeError
    get_user_model()._meta.pk.to_python(primary_key)
    f"{primary_key}{auth_hash}".encode()


def are_messages(value: Any) -> bool:
    """Whether Django's storage of messages can read them. What another one keeps is its own."""
    if not settings.MESSAGE_STORAGE.startswith("django.contrib.messages."):
        return True
    try:
        found = json.loads(value, cls=MessageDecoder) if value else []
        return all(isinstance(message, Message) for message in found)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return False
