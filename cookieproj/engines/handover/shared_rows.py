"""Between db and cached_db: both use the same rows, so a handover moves nothing.

Only the copies in the cache need care: they must not outlive the row, nor be older than it.
"""

from contextlib import suppress
from datetime import datetime

from cookieproj.engines.cached_row_store import CachedRowStore
from cookieproj.engines.entries import Entry
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store, StoreWrapper


class DbAfterCachedDb(StoreWrapper):
    """The rows of db. Each change of a row invalidates the copy that cached_db left of it.

    Otherwise a process that still runs cached_db, or runs it again, would read the old data.
    """

    def __init__(self, rows: Store, old: CachedRowStore) -> None:
        super().__init__(rows)
        self.old = old

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        written = self.inner.compare_and_swap(key, old, data, expires)
        self.invalidate(key)
        return written

    # Calls compare_and_swap of this class, where that of the rows would call their own.
    put = Store.put

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        is_deleted = self.inner.compare_and_delete(key, old)
        if is_deleted:
            self.invalidate(key)
        return is_deleted

    def delete(self, key: str) -> None:
        self.inner.delete(key)
        self.invalidate(key)

    def invalidate(self, key: str) -> None:
        # Invalidations left over from an outage. If the outage lasts, this one is added to them.
        with suppress(StoreError):
            self.old.flush_invalidations(key)
        self.old.invalidate(key)
        self.old.invalidate_again(key)


class CachedDbAfterDb(StoreWrapper):
    """cached_db that reads the row: a process of db may have changed it and left the copy."""

    def load(self, key: str) -> Entry | None:
        return self.inner.read(key)
