"""Rows, each with a copy in a cache that is never left older than the row.

A copy is only replaced if nobody else has replaced it since this session was loaded. If somebody
has, the order of the two writes is unknown: then a tombstone replaces the copy, and the next reader
reads the row. No copy replaces a tombstone.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from django.contrib.sessions.backends.base import CreateError

from .caches.generic import GenericCacheStore
from .english import in_english
from .entries import Entry, Location
from .exceptions import StoreError, StoreUnavailableError
from .merge import Data
from .pending_invalidations import PendingInvalidations
from .row_store import RowStore
from .store import Store, StoreWrapper

logger = logging.getLogger("django.contrib.sessions")

pending_invalidations = PendingInvalidations(limit=100_000)


def with_copy(entry: Entry | None, copy: Entry | None) -> Entry | None:
    """Add the copy to an entry that has just been read or written, and that nobody else has."""
    if entry:
        entry.copy = copy
    return entry


def first_decoded(first: list[Data], decode: Callable[[], Data | None]) -> Data | None:
    """Return the data in the list, once; after that newly decoded ones."""
    return first.pop() if first else decode()


class CachedRowStore(StoreWrapper):
    """The rows of a table with a cache in front.

    While the cache is unreachable, a session costs the cache's timeout and a line in the log,
    nothing else.
    """

    def __init__(self, rows: RowStore, copies: GenericCacheStore) -> None:
        super().__init__(rows)
        self.rows = rows
        self.copies = copies

    def check_settings(self) -> None:
        self.rows.check_settings()
        self.copies.check_settings()

    def load(self, key: str) -> Entry | None:
        """Return the copy, or else the row, which is then copied. None if neither is stored."""
        try:
            self.flush_invalidations(key)
            if pending_invalidations.is_full:
                return self._load_without_copy(key)
            copy = self.copies.read(key)
        except StoreError as error:
            logger.warning("A session is read from the database. %s", in_english(error))
            return self.rows.load(key)
        data = copy.decode() if copy else None
        if copy and data is not None:
            content = partial(first_decoded, [data], copy.content)
            return Entry(None, content, is_copy=True, copy=copy)
        # The row is read from the primary, as a replica may lag behind the copy. Nor is a tombstone
        # replaced: the transaction that it was written for may still be open.
        entry = self.rows.load_from_primary(key)
        if entry and entry.data is not None and entry.expires and copy is None:
            copy = self._put_copy(key, None, entry.data, entry.expires)
        return with_copy(entry, copy)

    def _load_without_copy(self, key: str) -> Entry | None:
        """Return the row. If there is none, invalidate the copy that others may still read."""
        entry = self.rows.load_from_primary(key)
        if entry is None:
            self.invalidate(key)
        return entry

    def refresh(self, key: str, old: Entry | None) -> Entry | None:
        entry = self.rows.refresh(key, None if old and old.is_copy else old)
        if entry is None:
            self.invalidate(key)
        return with_copy(entry, old and old.copy)

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        entry = self.rows.insert(key, data, expires)
        # Nobody else knows the key yet, so the copy does no harm while a transaction is open.
        entry.copy = self._put_copy(key, None, data, expires)
        return entry

    def insert_before_save(self, key: str, data: Data, expires: datetime) -> Entry:
        return self.rows.insert(key, data, expires)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        swap = partial(self.rows.compare_and_swap, key, old, data, expires)
        entry = self._or_invalidate(key, swap)
        return entry and self._update_copy(key, entry, old, data, expires)

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        entry = self._or_invalidate(key, partial(self.rows.touch, key, old, expires))
        # A new entry, as others may have the old one.
        return entry and self._update_copy(key, replace(entry), old, old.content() or {}, expires)

    # This calls the two methods above, not those of the rows.
    put = Store.put

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        self.invalidate(key)
        deleted = self.rows.compare_and_delete(key, old)
        self.invalidate_again(key)
        return deleted

    def delete(self, key: str) -> None:
        """Delete the copy before the row: a process killed in between leaves no copy that opens."""
        self.invalidate(key)
        self.rows.delete(key)
        self.invalidate_again(key)

    def _or_invalidate(self, key: str, write: Callable[[], Entry | None]) -> Entry | None:
        """Invalidate the copy if the answer is lost: the row may be written all the same."""
        try:
            return write()
        except StoreUnavailableError:
            self.invalidate(key)
            raise

    def _update_copy(
        self, key: str, new_entry: Entry, old_entry: Entry, data: Data, expires: datetime
    ) -> Entry:
        """Copy the row that was just written; inside a transaction, invalidate the copy instead."""
        new_copy = None
        if self.rows.in_transaction:
            self.invalidate(key)
            self.invalidate_again(key)
        else:
            new_copy = self._put_copy(key, old_entry.copy, data, expires)
            if new_copy is None:
                self.invalidate(key)
        new_entry.copy = new_copy
        return new_entry

    def _put_copy(
        self, key: str, copy: Entry | None, data: Data, expires: datetime
    ) -> Entry | None:
        """Replace that copy, or nothing, by a copy of the data. On None the caller invalidates it.

        A cache rounds the time to live up to whole seconds. So a copy gets one second less, to
        expire before the row.
        """
        try:
            return self._replace_copy(key, copy, data, expires - timedelta(seconds=1))
        except StoreUnavailableError as error:
            self._note_pending(key, error)
            return copy
        except StoreError as error:
            # The cache answers but stores no copy. The caller invalidates the old one.
            logger.warning("A session is not copied. %s", in_english(error))
            return None

    def _replace_copy(
        self, key: str, copy: Entry | None, data: Data, expires: datetime
    ) -> Entry | None:
        if copy is None:
            with suppress(CreateError):
                return self.copies.insert(key, data, expires)
            return None
        if copy.is_cache_tombstone:
            # A tombstone stays until it expires: its writer may be about to delete the row.
            return copy
        return self.copies.put(key, copy, data, expires)

    def invalidate(self, key: str) -> None:
        """Make sure that no copy opens any more, and that a reader who has one cannot store it."""
        try:
            self._invalidate(key)
        except StoreError as error:
            self._note_pending(key, error)

    def invalidate_again(self, key: str) -> None:
        """Invalidate after the change as well, if the cache keeps no tombstones.

        A reader may have stored the old copy again meanwhile.
        """
        if self.copies.compares_and_swaps:
            return
        self.invalidate(key)
        if self.rows.in_transaction:
            # Until the commit others read, and may copy, the old row.
            self.rows.on_commit(partial(self.invalidate, key))

    def _invalidate(self, key: str) -> None:
        """Write a tombstone. If the cache is too full for it, delete the copy to make room."""
        try:
            self.copies.write_tombstone(key)
        except StoreUnavailableError:
            raise
        except StoreError:
            self.copies.delete(key)
            with suppress(StoreError):
                self.copies.write_tombstone(key)

    def _note_pending(self, key: str, error: StoreError) -> None:
        logger.error("Error saving to cache (%s)", self.copies.cache, exc_info=error.__cause__)
        if pending_invalidations.add(str(self.copies.label), key):
            logger.error(
                "More than %d cached sessions are outdated. This process reads sessions from the "
                "database until it is restarted. Clear the cache before you restart it.",
                pending_invalidations.limit,
            )

    def flush_invalidations(self, key: str) -> None:
        """Write the pending tombstones of that key and of some others, if there are any."""
        if not pending_invalidations:
            return
        cache = str(self.copies.label)
        for due_key in pending_invalidations.due(cache, key):
            self._invalidate(due_key)
            # Only now, so that no other thread finds the outdated copy and nothing pending.
            pending_invalidations.done(cache, due_key)

    def exists(self, key: str) -> bool:
        try:
            copy = self.copies.read(key)
        except StoreError:
            copy = None
        return bool(copy and copy.data is not None) or self.rows.exists(key)

    def locate(self, key: str) -> list[Location]:
        """Return the row, and its copy if there is one and the cache answers."""
        locations = self.rows.locate(key)
        with suppress(StoreError):
            copy = self.copies.read(key) if locations else None
            if copy and copy.data is not None:
                locations += self.copies.locate(key)
        return locations
