"""The engine that keeps sessions in a cache."""

from django.contrib.sessions.backends.cache import KEY_PREFIX
from django.contrib.sessions.backends.cache import SessionStore as DjangoStore
from django.contrib.sessions.backends.cached_db import KEY_PREFIX as CACHED_DB_PREFIX
from django.core.cache.backends.base import BaseCache

from .base import Engine
from .caches import cache_store
from .session_keys import is_usual_key
from .store import Store

# Keys that begin with this are entries of cached_db, whose prefix extends this engine's.
CACHED_DB_KEYS = CACHED_DB_PREFIX.removeprefix(KEY_PREFIX)


class SessionStore(Engine, DjangoStore):
    """Entries of the cache that SESSION_CACHE_ALIAS names, each with its own time to live.

    The cache decides which promises can be kept: see the classes in ``caches``.
    """

    _cache: BaseCache

    def _accepts_key(self, session_key: str) -> bool:
        # No store is needed to accept such a key. None begins with CACHED_DB_KEYS.
        return is_usual_key(session_key) or super()._accepts_key(session_key)

    def make_store(self) -> Store:
        return cache_store(self, foreign_prefix=CACHED_DB_KEYS)
