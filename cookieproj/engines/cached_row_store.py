"""Rows, with a copy of each in a cache that is never left older than the row.

A copy is only put where nobody has put another since this session was loaded. Where
somebody has, the order of the two is unknown: then a tombstone takes its place, and whoever
reads next goes to the row. No copy takes the place of a tombstone.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

pending_invalidations = PendingInvalidations(most=100_000)


def with_copy(stored: Entry | None, copy: Entry | None) -> Entry | None:
    return stored and replace(stored, copy=copy)


class CachedRowStore(StoreWrapper):
    """A cache that is unreachable costs its time-out and a line in the log, nothing else."""

    def __init__(self, rows: RowStore, copies: GenericCacheStore) -> None:
        super().__init__(rows)
        self.rows = rows
        self.copies = copies

    def load(self, key: str) -> Entry | None:
        try:
            self.flush_invalidations(key)
            if pending_invalidations.is_full:
                return self._load_without_copy(key)
            copy = self.copies.read(key)
        except StoreError as error:
            logger.warning("A session is read from the database. %s", in_english(error))
            return self.rows.load(key)
        if copy and copy.data is not None:
            return Entry(None, copy.content, is_copy=True, copy=copy)
        # Not from a replica, which may lag behind what is copied here; nor over a tombstone, which
        # may have been written for a transaction that is not over yet.
        stored = self.rows.load_from_primary(key)
        if stored and stored.data is not None and stored.expires and copy is None:
            copy = self._put_copy(key, None, stored.data, stored.expires)
        return with_copy(stored, copy)

    def _load_without_copy(self, key: str) -> Entry | None:
        """The row; of a session that has ended there may be a copy, which others are to miss."""
        stored = self.rows.load_from_primary(key)
        if stored is None:
            self.invalidate(key)
        return stored

    def refresh(self, key: str, old: Entry | None) -> Entry | None:
        stored = self.rows.refresh(key, None if old and old.is_copy else old)
        if stored is None:
            self.invalidate(key)
        return with_copy(stored, old and old.copy)

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        stored = self.rows.insert(key, data, expires)
        # Nobody knows the key yet, so nobody minds a transaction that is not over.
        return replace(stored, copy=self._put_copy(key, None, data, expires))

    def insert_before_save(self, key: str, data: Data, expires: datetime) -> Entry:
        return self.rows.insert(key, data, expires)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        with self._invalidate_on_lost_answer(key):
            written = self.rows.compare_and_swap(key, old, data, expires)
        return written and self._update_copy(key, written, old, data, expires)

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        with self._invalidate_on_lost_answer(key):
            touched = self.rows.touch(key, old, expires)
        return touched and self._update_copy(key, touched, old, old.data or {}, expires)

    # By the two above, not by those of the rows.
    put = Store.put

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        self.invalidate(key)
        deleted = self.rows.compare_and_delete(key, old)
        self.invalidate_again(key)
        return deleted

    def delete(self, key: str) -> None:
        """The copy first: a process that is killed between the two leaves none that opens."""
        self.invalidate(key)
        self.rows.delete(key)
        self.invalidate_again(key)

    @contextmanager
    def _invalidate_on_lost_answer(self, key: str) -> Iterator[None]:
        """The row may have been written all the same, and the copy be behind it."""
        try:
            yield
        except StoreUnavailableError:
            self.invalidate(key)
            raise

    def _update_copy(
        self, key: str, written: Entry, old: Entry, data: Data, expires: datetime
    ) -> Entry:
        """Make the copy what the row now is; in a transaction the row is not yet that."""
        copy = None
        if self.rows.in_transaction:
            self.invalidate(key)
            self.invalidate_again(key)
        else:
            copy = self._put_copy(key, old.copy, data, expires)
            if copy is None:
                self.invalidate(key)
        return replace(written, copy=copy)

    def _put_copy(
        self, key: str, copy: Entry | None, data: Data, expires: datetime
    ) -> Entry | None:
        """In the place of that copy, or of nothing; None where it did not come to that.

        Caches count whole seconds, rounded up: by one less it goes before the row.
        """
        try:
            return self._replace_copy(key, copy, data, expires - timedelta(seconds=1))
        except StoreUnavailableError as error:
            self._note_pending(key, error)
            return copy
        except StoreError as error:
            # It answers, and takes no copy: the one that is there must not get old.
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
            # It stays until it expires: whoever has put it may be about to delete the row.
            return copy
        return self.copies.put(key, copy, data, expires)

    def invalidate(self, key: str) -> None:
        """Have no copy opened any more, and none put by whoever has read one."""
        try:
            self._invalidate(key)
        except StoreError as error:
            self._note_pending(key, error)

    def invalidate_again(self, key: str) -> None:
        """Where a cache keeps no tombstone, a reader may have put the copy back meanwhile."""
        if self.copies.compares_and_swaps:
            return
        self.invalidate(key)
        if self.rows.in_transaction:
            # Till then others read the row as it was.
            self.rows.on_commit(partial(self.invalidate, key))

    def _invalidate(self, key: str) -> None:
        """A tombstone, or at least nothing: that needs no room, and may make some."""
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
                "More copies of sessions than %d are behind the database. This process reads "
                "sessions from there until it is restarted: clear the cache before.",
                pending_invalidations.most,
            )

    def flush_invalidations(self, key: str) -> None:
        if not pending_invalidations:
            return
        cache = str(self.copies.label)
        for each in pending_invalidations.take_due(cache, key):
            self._invalidate(each)
            # Not before: another thread must not find the copy, and nothing pending.
            pending_invalidations.done(cache, each)

    def exists(self, key: str) -> bool:
        try:
            copy = self.copies.read(key)
        except StoreError:
            copy = None
        return bool(copy and copy.data is not None) or self.rows.exists(key)

    def locate(self, key: str) -> list[Location]:
        """The row, and its copy if there is one and the cache answers."""
        located = self.rows.locate(key)
        with suppress(StoreError):
            copy = self.copies.read(key) if located else None
            if copy and copy.data is not None:
                located += self.copies.locate(key)
        return located
