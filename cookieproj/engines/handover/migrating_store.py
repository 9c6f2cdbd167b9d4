"""From server to server: a store made of two. The session stays under its key, and the cookie."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from cookieproj.engines.cached_row_store import CachedRowStore
from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from cookieproj.engines.clock import from_now
from cookieproj.engines.constants import COPY_MARK, SESSION_TOMBSTONE
from cookieproj.engines.entries import Entry
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store, StoreWrapper

from .copy_marks import without_copy_mark
from .move_one import SessionMover, is_own_session


class MigratingStore(StoreWrapper):
    """The new store; a session that only the old one has is carried over as it is read."""

    def __init__(self, new: Store, old: Store, expiry_of: Callable[[Data], datetime]) -> None:
        super().__init__(new)
        self.new = new
        self.old = old
        self.mover = SessionMover(old, new, expiry_of)

    def load(self, key: str) -> Entry | None:
        return self._found(key, self.new.load(key))

    def refresh(self, key: str, old: Entry | None) -> Entry | None:
        """Where processes of both engines run, the session may have gone back meanwhile."""
        return self._found(key, self.new.refresh(key, old))

    def _found(self, key: str, stored: Entry | None) -> Entry | None:
        if not is_own_session(stored, self.old):
            stored = self.mover.move(key, is_taken=stored is not None)
        return None if stored is None else entry_without_copy_mark(stored)

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        """In both stores; a tombstone takes its place, for requests that have read it.

        The old one only then: has a process of its engine carried it back, it goes on there.
        """
        self.old.refuse_event_loop()
        if self.new.compare_and_swap(key, old, SESSION_TOMBSTONE, from_now(TOMBSTONE_TTL)) is None:
            return False
        self.mover.end_in_old(key, old.data or {})
        return True

    def delete(self, key: str) -> None:
        self.mover.end(key)

    def exists(self, key: str) -> bool:
        if self.new.exists(key):
            return True
        return self.old.can_hold(key) and self.old.exists(key) and not self._has_ended(key)

    def live_keys(self, keys: Collection[str]) -> set[str]:
        found = self.new.live_keys(keys)
        previous = self.old.live_keys({key for key in set(keys) - found if self.old.can_hold(key)})
        return found | {key for key in previous if not self._has_ended(key)}

    def _has_ended(self, key: str) -> bool:
        stored = self.new.read(key) if self.new.can_hold(key) else None
        return stored is not None and stored.has_ended


def entry_without_copy_mark(stored: Entry) -> Entry:
    """What tells it from a copy is nothing to a view."""
    if COPY_MARK not in (stored.data or {}):
        return stored
    return replace(stored, content=lambda: without_copy_mark(stored.decode() or {}))


class RowsBesideCopies(StoreWrapper):
    """db after cached_db: they keep the same rows, so there is nothing to carry.

    But copies in the cache would outlive what db changes or ends.
    """

    def __init__(self, rows: Store, previous: CachedRowStore) -> None:
        super().__init__(rows)
        self.previous = previous

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        written = self.inner.compare_and_swap(key, old, data, expires)
        self.invalidate(key)
        return written

    # By that one, not by that of the rows.
    put = Store.put

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        deleted = self.inner.compare_and_delete(key, old)
        if deleted:
            self.invalidate(key)
        return deleted

    def delete(self, key: str) -> None:
        self.inner.delete(key)
        self.invalidate(key)

    def invalidate(self, key: str) -> None:
        # What an outage has left; while it lasts, one more is noted.
        with suppress(StoreError):
            self.previous.flush_invalidations(key)
        self.previous.invalidate(key)
        self.previous.invalidate_again(key)


class CopiesBehindRows(StoreWrapper):
    """cached_db after db: a copy in the cache may be older than the row, so the row is read."""

    def load(self, key: str) -> Entry | None:
        return self.inner.read(key)
