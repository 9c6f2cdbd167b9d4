"""From one server to another: a store made of two.

The session keeps its key, so the browser keeps its cookie.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from cookieproj.engines.clock import from_now
from cookieproj.engines.constants import COPY_MARK, SESSION_TOMBSTONE
from cookieproj.engines.entries import Entry
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store, StoreWrapper

from .copy_marks import without_copy_mark
from .move_one import SessionMover, is_own_session


class MigratingStore(StoreWrapper):
    """The new store. A session that only the old store has is moved when it is read.

    ``expiry_of`` returns when given data expires, where the old store does not say.
    """

    def __init__(self, new: Store, old: Store, expiry_of: Callable[[Data], datetime]) -> None:
        super().__init__(new)
        self.new = new
        self.old = old
        self.mover = SessionMover(old, new, expiry_of)

    def load(self, key: str) -> Entry | None:
        return self._moved_if_needed(key, self.new.load(key))

    def refresh(self, key: str, old: Entry | None) -> Entry | None:
        """Return what is stored now.

        A process of the old engine may have moved the session back since ``old`` was read. Then
        it is moved again.
        """
        return self._moved_if_needed(key, self.new.refresh(key, old))

    def _moved_if_needed(self, key: str, new_entry: Entry | None) -> Entry | None:
        if not is_own_session(new_entry, self.old):
            new_entry = self.mover.move(key, has_new_entry=new_entry is not None)
        return None if new_entry is None else entry_without_copy_mark(new_entry)

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        """Delete ``old`` in both stores. A tombstone replaces it in the new one, for late requests.

        If ``old`` is no longer in the new store, the old store stays untouched: a process of the
        old engine may have moved the session back, and there it goes on.
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
        in_new = self.new.live_keys(keys)
        in_old = self.old.live_keys({key for key in set(keys) - in_new if self.old.can_hold(key)})
        return in_new | {key for key in in_old if not self._has_ended(key)}

    def _has_ended(self, key: str) -> bool:
        new_entry = self.new.read(key) if self.new.can_hold(key) else None
        return new_entry is not None and new_entry.has_ended


def entry_without_copy_mark(entry: Entry) -> Entry:
    """Return the entry as a view may see it: the copy mark is no data of the session."""
    if COPY_MARK not in (entry.data or {}):
        return entry
    return replace(entry, content=lambda: without_copy_mark(entry.decode() or {}))
