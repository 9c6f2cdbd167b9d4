"""Sessions in the database, with a copy in a cache that is never left older than the row."""

from typing import Any

from django.contrib.sessions.backends.cached_db import SessionStore as DjangoStore
from django.core.cache.backends.base import BaseCache

from .cached_row_store import CachedRowStore
from .caches import cache_store
from .db import SessionStore as DBStore
from .engine_registry import current_engine
from .entries import Entry
from .handover_mixin import store_of
from .merge import same_data
from .row_deletions import on_row_deleted
from .row_store import RowStore
from .store import Store


class SessionStore(DBStore, DjangoStore):
    """The rows of the db engine; reads are served by the cache that SESSION_CACHE_ALIAS names."""

    _cache: BaseCache

    def make_store(self) -> Store:
        return CachedRowStore(RowStore(self), cache_store(self))

    def _rebase(self, theirs: Entry | None) -> None:
        if self._apply_to_stored or not is_copy_of(self._base, theirs):
            super()._rebase(theirs)
            return
        # Nobody has changed the row since it was copied, so there is nothing to merge.
        self._base, self._is_unread = theirs, False


def is_copy_of(copy: Entry | None, row: Entry | None) -> bool:
    """Whether it is a copy, and has the row's data."""
    if copy is None or not copy.is_copy or copy.data is None or row is None or row.data is None:
        return False
    return same_data(copy.data, row.data)


def invalidate_deleted_row(instance: Any, **kwargs: Any) -> None:
    """Invalidate the copy of a row that other code deletes, such as the admin."""
    engine = current_engine().session_class
    if issubclass(engine, SessionStore):
        store = store_of(engine)
        if isinstance(store, CachedRowStore):
            store.invalidate(instance.session_key)


on_row_deleted(invalidate_deleted_row)
