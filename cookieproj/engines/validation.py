"""Validation of session data: what is a session, and which of its entries Django can use.

Django reads a few entries of a session itself and trusts their types. One of a wrong type would be
an error in each request of that browser, so it is dropped. All other entries belong to the site.
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

# Django's middleware that reads the user and the messages of a session.
AUTH_MIDDLEWARE = "django.contrib.auth.middleware.AuthenticationMiddleware"
MESSAGE_MIDDLEWARE = "django.contrib.messages.middleware.MessageMiddleware"
MESSAGE_STORAGES = {
    "django.contrib.messages.storage.fallback.FallbackStorage",
    "django.contrib.messages.storage.session.SessionStorage",
}

# The deepest nesting of lists and dicts. Copying a level takes Python two stack frames, on top of
# the caller's, and Python allows a thousand.
MAX_DEPTH = 200
CONTAINERS = (dict, list, tuple)
PLAIN_TYPES = {str, int, float, bool, type(None)}


def decode_valid(decode: Callable[[Any], Any], stored: Any) -> Data | None:
    """Return the data of a stored session; None, with a line in the log, if it is no session."""
    try:
        data = decode(stored)
        if not isinstance(data, dict):
            raise TypeError
        return drop_invalid(data)
    except Exception:  # noqa: BLE001 - a serializer may raise anything
        logger.warning("Session data corrupted")
        return None


def drop_invalid(data: Data) -> Data:
    """Delete the entries that Django cannot use, each with a line in the log; return the data.

    The expiry is converted to what Django reads under the current USE_TZ: a moment stored under the
    other setting keeps its clock time.
    """
    for key in dict(validation_errors(data)):
        del data[key]
        logger.warning("Session data corrupted: %r is left out", key)
    if EXPIRY_ITEM in data:
        data[EXPIRY_ITEM] = normalized_expiry(data[EXPIRY_ITEM])
    return data


def validate(data: Data) -> None:
    """Raise ValueError for an entry that would be stored and then be dropped when it is read."""
    for key, reason in validation_errors(data):
        # Django treats any false value as no expiry.
        if key != EXPIRY_ITEM or data[key]:
            raise ValueError(str(reason) % {"number": MAX_DEPTH, "key": key, "value": data[key]})


TOO_DEEP = _("Lists and dicts in a session may be nested at most %(number)d levels deep.")
NO_EXPIRY = _(
    "A session cannot expire at %(value)r: it takes a number of seconds, or a date before the year "
    "10000."
)
NO_USER = _(
    "A session cannot be signed in as %(value)r: no user has such a primary key, or such a hash."
)
NO_MESSAGES = _("A session cannot hold this under %(key)r: Django could not show it as messages.")


def validation_errors(data: Data) -> Iterator[tuple[str, Promise]]:
    """Yield the keys of entries that Django cannot use, each with the reason."""
    # Most sessions are flat, so that nothing has to be called for them.
    if not PLAIN_TYPES.issuperset(map(type, data.values())) and is_too_deep(data):
        yield from ((key, TOO_DEEP) for key in data if is_too_deep({key: data[key]}))
    if EXPIRY_ITEM in data and not is_expiry(data[EXPIRY_ITEM]):
        yield EXPIRY_ITEM, NO_EXPIRY
    if SESSION_KEY in data and not is_user(data[SESSION_KEY], data.get(HASH_SESSION_KEY)):
        yield SESSION_KEY, NO_USER
    if MESSAGES_ITEM in data and not are_messages(data[MESSAGES_ITEM]):
        yield MESSAGES_ITEM, NO_MESSAGES


def is_too_deep(data: Data) -> bool:
    """Whether lists and dicts are nested deeper than MAX_DEPTH. Cycles are no deeper for that."""
    containers = containers_in(data)
    if not containers:
        return False
    level: dict[int, Any] = {id(inner): inner for inner in containers}
    for _level in range(MAX_DEPTH - 1):
        # By identity, so that a container that is in several places is visited once.
        level = {
            id(inner): inner for container in level.values() for inner in containers_in(container)
        }
        if not level:
            return False
    return depth_of(data) > MAX_DEPTH


def depth_of(data: Data) -> int:
    """Return how deep lists and dicts are nested in the data."""
    depths: dict[int, int] = {}
    visited, stack = set[int](), [data]
    while stack:
        container = stack[-1]
        if id(container) in depths:
            stack.pop()
            continue
        children = containers_in(container)
        if id(container) in visited:
            stack.pop()
            depths[id(container)] = 1 + max(
                (depths.get(id(child), 0) for child in children), default=0
            )
        else:
            visited.add(id(container))
            stack += (child for child in children if id(child) not in visited)
    return depths[id(data)]


def containers_in(container: Any) -> list[Any]:
    """Return the lists, dicts and tuples directly in that one."""
    # Copied in one step, as the request may change it while it is saved in a thread.
    values = list(container.values() if isinstance(container, dict) else container)
    return [value for value in values if isinstance(value, CONTAINERS)]


def is_expiry(value: Any) -> bool:
    """Whether it can be the expiry of a session."""
    try:
        normalized_expiry(value)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return False
    return True


def normalized_expiry(value: Any) -> Any:
    """Return the expiry as Django stores it: None, a number of seconds or a moment.

    A moment is a datetime, or ISO text of one. Raises any error for another value.
    """
    match value:
        case str():
            return normalized_moment(datetime.fromisoformat(value)).isoformat()
        case datetime():
            return normalized_moment(value)
    if not value:
        return value
    # Django's middleware computes this sum, which raises an error after the year 9999.
    _expires_at = datetime.fromtimestamp(time.time() + value, UTC)
    # A number of another type, such as numpy's, does not work in a timedelta.
    return value if isinstance(value, int | float) else float(value)


def normalized_moment(date: datetime) -> datetime:
    """Return the moment as Django stores it. Raises OverflowError if UTC has no such date."""
    date = aware(date)
    # The first and last dates of a time zone may not exist in another one.
    date.astimezone(UTC)
    return as_django_stores(date)


def is_user(primary_key: Any, auth_hash: Any) -> bool:
    """Whether Django can look up ``request.user`` with it; True if the site does not look it up.

    On a site without Django's users it is a value like any other: another site with keys of another
    type may have stored it there.
    """
    if not uses_middleware(AUTH_MIDDLEWARE):
        return True
    try:
        field = primary_key_field(settings.AUTH_USER_MODEL)
    except (ImproperlyConfigured, LookupError):
        return True
    try:
        field.to_python(primary_key)
        # Lone surrogates fail in databases and in HMAC. A NUL fails in databases.
        return b"\0" not in f"{primary_key}{auth_hash}".encode()
    except Exception:  # noqa: BLE001 - a field of the site's may raise anything
        return False


@cache
def primary_key_field(_user_model: str) -> Any:
    """Return the field of the users' primary keys; ``_user_model`` is AUTH_USER_MODEL.

    Raises ImproperlyConfigured or LookupError if there is no such model.
    """
    return get_user_model()._meta.pk


def are_messages(value: Any) -> bool:
    """Whether Django's message storage can show them. Another storage has its own format."""
    if settings.MESSAGE_STORAGE not in MESSAGE_STORAGES or not uses_middleware(MESSAGE_MIDDLEWARE):
        return True
    try:
        messages = (
            json.loads(value, cls=MessageDecoder) if value and isinstance(value, str) else value
        )
        for message in messages or ():
            f"{message}{message.extra_tags}{message.level}".encode()
        return isinstance(messages, list) or not messages
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return False


def uses_middleware(middleware: str) -> bool:
    """Whether the site uses that middleware of Django's, which reads the session by itself."""
    return apps.ready and includes_middleware(tuple(settings.MIDDLEWARE), middleware)


@cache
def includes_middleware(middleware: tuple[str, ...], wanted: str) -> bool:
    """Whether the list includes that middleware or a subclass of it."""
    if wanted in middleware:
        return True
    # Django's auth middleware cannot be imported if django.contrib.auth is not installed.
    with suppress(ImportError, RuntimeError, ImproperlyConfigured):
        base = import_string(wanted)
        imported = map(import_string, middleware)
        return any(isinstance(item, type) and issubclass(item, base) for item in imported)
    return False
