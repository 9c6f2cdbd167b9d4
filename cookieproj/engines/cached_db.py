"""Sessions in the database, with a copy in a cache that is never left older than the row."""

from typing import Any

from django.contrib.sessions.backends.cached_db import SessionStore as DjangoStore
from django.core.cache.backends.base import BaseCache

from .cached_row_store import CachedRows
from .caches import entries_of
from .db import SessionStore as DBStore
from .handover_mixin import store_of
from .registry import running
from .row_store import Rows
from .signals import hear_deletions
from .store import Store


class SessionStore(DBStore, DjangoStore):
    """The rows of the db engine; reads are served by the cache that SESSION_CACHE_ALIAS names."""

    _cache: BaseCache

    def make_store(self) -> Store:
        return CachedRows(Rows(self), entries_of(self))


def forget(instance: Any, **kwargs: Any) -> None:
    """A row that is deleted by anybody, in the admin say, takes its copy along."""
    engine = running().session_class
    if issubclass(engine, SessionStore):
        store = store_of(engine)
        if isinstance(store, CachedRows):
            store.invalidate(instance.session_key)


hear_deletions(forget)
