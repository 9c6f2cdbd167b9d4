"""Whether what a store holds can be a session, and what of it Django could not go by.

Django goes by a few entries of a session itself, and trusts them: one of another type
would be an error in each request of that browser, so that one is left out. Whatever
else a session holds is the site's.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.messages.storage.cookie import MessageDecoder
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from .clock import as_django_stores, aware
from .constants import EXPIRY_ITEM, MESSAGES_ITEM
from .merge import Data

logger = logging.getLogger("django.security.SuspiciousSession")

# What reads the user and the messages of a session, where a site has it.
READS_USER = "django.contrib.auth.middleware.AuthenticationMiddleware"
READS_MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
MESSAGE_STORAGES = {
    "django.contrib.messages.storage.fallback.FallbackStorage",
    "django.contrib.messages.storage.session.SessionStorage",
}

# Lists and dicts in each other. To copy them takes Python two steps for each, on top of those that
# led to it, and it goes no further than a thousand.
DEEPEST = 200
CONTAINERS = (dict, list, tuple)


def decode_valid(decode: Callable[[Any], Any], stored: Any) -> Data | None:
    """The data of a stored session; None, with a line in the log, for what is none."""
    try:
        data = decode(stored)
        if not isinstance(data, dict):
            raise TypeError
        return is_valid(data)
    except Exception:  # noqa: BLE001 - a serializer may raise anything
        logger.warning("Session data corrupted")
        return None


def is_valid(data: Data) -> Data:
    """The data without what is an error in each request, of which the log has a line.

    The expiry is told as Django reads it now: a moment that was stored while USE_TZ was
    another is that of the same clock.
    """
    for key in dict(validation_errors(data)):
        del data[key]
        logger.warning("Session data corrupted: %r is left out", key)
    if EXPIRY_ITEM in data:
        data[EXPIRY_ITEM] = expiry(data[EXPIRY_ITEM])
    return data


def validate(data: Data) -> None:
    """Raises ValueError for data that would be stored, and left out when it is read again."""
    for key, reason in validation_errors(data):
        # Whatever is false is no expiry of its own, to Django too.
        if key != EXPIRY_ITEM or data[key]:
            raise ValueError(str(reason) % {"number": DEEPEST, "key": key, "value": data[key]})


TOO_DEEP = _("A session may hold no more than %(number)d lists and dicts in each other.")
NO_EXPIRY = _(
    "A session cannot expire at %(value)r: it takes a number of seconds, or a date before the year "
    "10000."
)
NO_USER = _(
    "A session cannot be signed in as %(value)r: no user has such a primary key, or such a hash."
)
NO_MESSAGES = _("A session cannot hold this under %(key)r: Django could not show it as messages.")


def validation_errors(data: Data) -> Iterator[tuple[str, Promise]]:
    """What of it Django could not go by: the keys, and why."""
    if is_too_deep(data):
        yield from ((key, TOO_DEEP) for key in data if is_too_deep({key: data[key]}))
    if EXPIRY_ITEM in data and not is_expiry(data[EXPIRY_ITEM]):
        yield EXPIRY_ITEM, NO_EXPIRY
    if SESSION_KEY in data and not is_user(data[SESSION_KEY], data.get(HASH_SESSION_KEY)):
        yield SESSION_KEY, NO_USER
    if MESSAGES_ITEM in data and not are_messages(data[MESSAGES_ITEM]):
        yield MESSAGES_ITEM, NO_MESSAGES


def is_too_deep(data: Data) -> bool:
    """Whether there are DEEPEST in each other. What holds itself is no deeper for that."""
    level: dict[int, Any] = {id(data): data}
    for _level in range(DEEPEST):
        # Each once, in however many places it stands.
        level = {id(each): each for held in level.values() for each in containers_in(held)}
        if not level:
            return False
    return depth_of(data) > DEEPEST


def depth_of(data: Data) -> int:
    """How many lists and dicts are in each other, at the most."""
    depths: dict[int, int] = {}
    begun, to_do = set[int](), [data]
    while to_do:
        held = to_do[-1]
        if id(held) in depths:
            to_do.pop()
            continue
        inner = containers_in(held)
        if id(held) in begun:
            to_do.pop()
            depths[id(held)] = 1 + max((depths.get(id(each), 0) for each in inner), default=0)
        else:
            begun.add(id(held))
            to_do += (each for each in inner if id(each) not in begun)
    return depths[id(data)]


def containers_in(held: Any) -> list[Any]:
    # All at once: a request may change it meanwhile, while it is saved in a thread.
    values = list(held.values() if isinstance(held, dict) else held)
    return [value for value in values if isinstance(value, CONTAINERS)]


def is_expiry(value: Any) -> bool:
    try:
        expiry(value)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return False
    return True


def expiry(value: Any) -> Any:
    """None, seconds or a moment, which Django writes as text; an error of any kind for others."""
    match value:
        case str():
            return moment(datetime.fromisoformat(value)).isoformat()
        case datetime():
            return moment(value)
    if not value:
        return value
    # As Django's middleware adds it up. Dates end in the year 9999: beyond it this is an error.
    _ends = datetime.fromtimestamp(time.time() + value, UTC)
    # One of numpy's is none that a timedelta takes.
    return value if isinstance(value, int | float) else float(value)


def moment(date: datetime) -> datetime:
    date = aware(date)
    # The very first and last moments have no place in another time zone.
    date.astimezone(UTC)
    return as_django_stores(date)


def is_user(primary_key: Any, auth_hash: Any) -> bool:
    """Whether ``request.user`` can be looked for with it; True where the site has none.

    To a site without Django's users, or that never asks who somebody is, it is a value
    like any other: another site may have put it there, whose keys are of another type.
    """
    if not is_read_by(READS_USER):
        return True
    try:
        field = get_user_model()._meta.pk
    except (ImproperlyConfigured, LookupError):
        return True
    try:
        field.to_python(primary_key)
        # No half of a character, which neither a database takes nor HMAC; no NUL either.
        return b"\0" not in f"{primary_key}{auth_hash}".encode()
    except Exception:  # noqa: BLE001 - a field of the site's may raise anything
        return False


def are_messages(value: Any) -> bool:
    """Whether Django's storage can show them. What another storage keeps is its own."""
    if settings.MESSAGE_STORAGE not in MESSAGE_STORAGES or not is_read_by(READS_MESSAGES):
        return True
    try:
        found = json.loads(value, cls=MessageDecoder) if value and isinstance(value, str) else value
        for message in found or ():
            f"{message}{message.extra_tags}{message.level}".encode()
        return isinstance(found, list) or not found
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return False


def is_read_by(middleware: str) -> bool:
    """Whether the site has that middleware of Django's, which reads sessions itself."""
    return apps.ready and has_middleware(tuple(settings.MIDDLEWARE), middleware)


@cache
def has_middleware(middleware: tuple[str, ...], wanted: str) -> bool:
    """Whether that is among them, or a subclass of it."""
    if wanted in middleware:
        return True
    # Where django.contrib.auth is not installed, its middleware cannot be imported.
    with suppress(ImportError, RuntimeError, ImproperlyConfigured):
        base = import_string(wanted)
        found = map(import_string, middleware)
        return any(isinstance(each, type) and issubclass(each, base) for each in found)
    return False
