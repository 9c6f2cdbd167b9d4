import stat
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.core.cache import caches
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.utils.translation import gettext as _

from cookieproj.engines.base import Engine
from cookieproj.engines.caches import beyond

# It registers its own, too.
from cookieproj.engines.cookie_checks import check_cookie
from cookieproj.engines.handover import former

from .decorators import set_login_cookie
from .engine import store
from .models import User


def store_if_any() -> type[SessionBase] | None:
    """Why there is none, other checks say."""
    try:
        return store()
    except (ImportError, ImproperlyConfigured):
        return None


def caching_store() -> type[SessionBase] | None:
    found = store_if_any()
    return found if found and issubclass(found, CacheStore | CachedDBStore) else None


@register
def engine_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Say which engine is none, before the first request does so with a stack trace."""
    try:
        store()
    except ImproperlyConfigured:
        # Of its handover, see below.
        return []
    except ImportError as error:
        return [
            Error(
                _("SESSION_ENGINE = %(engine)r is no session engine: %(error)s.")
                % {"engine": settings.SESSION_ENGINE, "error": error},
                hint=_("Name a module with a SessionStore, such as cookieproj.engines.db."),
                id="demo.E001",
            )
        ]
    return []


@register(Tags.caches)
def sessions_outlive_the_process(**kwargs: Any) -> list[CheckMessage]:
    """Warn where a session engine keeps its sessions in one process's memory."""
    if not caching_store():
        return []
    backend = settings.CACHES[settings.SESSION_CACHE_ALIAS]["BACKEND"]
    if not backend.endswith("LocMemCache"):
        return []
    return [
        CheckWarning(
            _(
                "Sessions are cached in this process's memory: other processes do not see them, "
                "and a restart forgets them."
            ),
            hint=_("Set CACHE_URL to redis://host:6379/0 or memcached://host:11211."),
            id="demo.W001",
        )
    ]


@register(Tags.caches)
def sessions_lose_no_write(**kwargs: Any) -> list[CheckMessage]:
    """Warn where our engines cannot merge what two requests change, because of the cache."""
    found = caching_store()
    if not (found and issubclass(found, Engine)):
        return []
    cache = beyond(caches[settings.SESSION_CACHE_ALIAS])
    if cache.compares_and_swaps:
        return []
    return [
        CheckWarning(
            _(
                "The cache of the sessions (%(cache)s) cannot compare and swap: of two saves at "
                "the very same moment one can be lost."
            )
            % {"cache": cache.place},
            hint=_(
                "Redis (through django-redis or Django), memcached (PyMemcacheCache) and process "
                "memory can."
            ),
            id="demo.W002",
        )
    ]


NOSY = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH


@register(Tags.security)
def session_files_are_private(**kwargs: Any) -> list[CheckMessage]:
    """Warn where other users of the machine can list session files, whose names are the keys."""
    found = store_if_any()
    folder = Path(settings.SESSION_FILE_PATH or tempfile.gettempdir())
    if not (found and issubclass(found, FileStore) and folder.is_dir()):
        return []
    if not folder.stat().st_mode & NOSY:
        return []
    return [
        CheckWarning(
            _(
                "Other users of this machine may look into the folder of the sessions, and a "
                "file's name there opens its session."
            ),
            hint=_(
                "chmod 700 %(folder)s, if nothing else is kept there; else name another folder "
                "in SESSION_FILE_PATH."
            )
            % {"folder": folder},
            id="demo.W004",
        )
    ]


@register
def handover_is_possible(**kwargs: Any) -> list[CheckMessage]:
    """Say what is wrong with SESSION_HANDOVER_FROM before the first request does."""
    try:
        store()
        home = former()
        if home:
            home.store()
    except ImproperlyConfigured as error:
        hint = _("Unset SESSION_HANDOVER_FROM when the handover is over.")
        return [Error(str(error), hint=hint, id="demo.E002")]
    except ImportError:
        # Of the engine itself, see above.
        pass
    return []


@register(Tags.security)
def former_sessions_are_safe_to_read(**kwargs: Any) -> list[CheckMessage]:
    """Warn where the sessions of the former engine are read with pickle."""
    try:
        home = former()
    except ImproperlyConfigured:
        return []
    return sessions_are_pickled(home.alias) if home else []


def sessions_are_pickled(alias: str) -> list[CheckMessage]:
    cache = settings.CACHES.get(alias, {"BACKEND": ""})
    # Django's and django-redis pickle unless they are told otherwise.
    serializer = cache.get("OPTIONS", {}).get("SERIALIZER", "pickle")
    if not cache["BACKEND"].endswith("RedisCache") or "pickle" not in serializer.lower():
        return []
    return [
        CheckWarning(
            _(
                "The sessions that are handed over are read with pickle: whoever can write to that "
                "Redis can run code here."
            ),
            hint=_("Unset SESSION_HANDOVER_CACHE as soon as they are moved."),
            id="demo.W003",
        )
    ]


@register(Tags.security)
def login_cookie_is_kept(**kwargs: Any) -> list[CheckMessage]:
    """Say why a browser refuses the cookie of login_auth, by https and by http."""
    found: list[CheckMessage] = []
    for secure in (True, False):
        response = HttpResponse()
        set_login_cookie(response, User(pk=1), secure=secure)
        for cookie in response.cookies.values():
            found += check_cookie(cookie, "demo.decorators.set_login_cookie")
    return found
