from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.core.cache import caches
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning

from cookieproj.engines.base import Engine
from cookieproj.engines.caches import beyond

from .engine import store


def caching_store() -> type[SessionBase] | None:
    try:
        found = store()
    except (ImportError, AttributeError):
        return None
    return found if issubclass(found, CacheStore | CachedDBStore) else None


@register
def engine_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Say which engine is none, before the first request does so with a stack trace."""
    try:
        store()
    except (ImportError, AttributeError) as error:
        return [
            Error(
                f"SESSION_ENGINE = {settings.SESSION_ENGINE!r} is no session engine: {error}.",
                hint="Name a module with a SessionStore, such as cookieproj.engines.db.",
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
            "Sessions are cached in this process's memory: other processes do not see them, "
            "and a restart forgets them.",
            hint="Set CACHE_URL to redis://host:6379/0 or memcached://host:11211.",
            id="demo.W001",
        )
    ]


@register(Tags.caches)
def sessions_lose_no_write(**kwargs: Any) -> list[CheckMessage]:
    """Warn where our engines cannot keep their promise, because of the cache."""
    found = caching_store()
    if not (found and issubclass(found, Engine)):
        return []
    cache = beyond(caches[settings.SESSION_CACHE_ALIAS])
    if cache.compares_and_swaps:
        return []
    return [
        CheckWarning(
            f"The cache of the sessions ({cache.place}) cannot compare and swap: of two saves at "
            "the very same moment one can be lost.",
            hint="Redis (through django-redis or Django), memcached (PyMemcacheCache) and process "
            "memory can.",
            id="demo.W002",
        )
    ]
