"""Sessions in the database, with a copy in a cache that is never left older than the row.

A copy is only put where nobody has put another since this session was loaded. Where
somebody has, the order of the two is unknown: then the copy is buried, and whoever
reads next goes to the row. No copy takes the place of a tombstone.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.cached_db import SessionStore as DjangoStore
from django.core.cache.backends.base import BaseCache
from django.db import connections, router, transaction
from django.utils.functional import cached_property

from .caches import beyond
from .caches.other import Cache
from .clock import left
from .db import SessionStore as DBStore
from .exceptions import StoreError, StoreUnavailableError
from .language import in_english
from .merge import Data, same
from .signals import hear_deletions
from .stored import Location, Stored

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession

logger = logging.getLogger("django.contrib.sessions")

# Copies that this process could not replace as the cache was away: buried once it is back. Until
# then other processes read them, if their own way to the cache is open; saves find the row anyway.
# Should this process end before, they are read until they expire.
owed: OrderedDict[str, None] = OrderedDict()
SETTLED_AT_ONCE = 100

# At some 150 bytes each. Of more than these this process has lost count: it reads rows from then
# on, and no copies, for as long as it runs.
MOST_OWED = 100_000
lost_count = threading.Event()


class SessionStore(DBStore, DjangoStore):
    """The rows of the db engine; reads are served by the cache that SESSION_CACHE_ALIAS names.

    A cache that is away costs its time-out and a line in the log, nothing else.
    """

    _cache: BaseCache

    # What the cache held when this session was loaded, or holds since it was saved.
    _copy: Stored | None = None

    def _load(self) -> Stored | None:
        try:
            self._settle()
            if lost_count.is_set():
                return self._load_uncopied()
            self._copy = self._entries.get(self.cache_key)
        except StoreError as error:
            logger.warning("A session is read from the database. %s", in_english(error))
            return super()._load()
        if self._copy and self._copy.data is not None:
            return self._copy
        # Not from a replica, which may lag behind what is copied here; nor over a grave, which
        # may have been dug for a transaction that is not over yet.
        stored = self._read_row()
        if stored and stored.data is not None and stored.expires and self._copy is None:
            self._put_copy(stored.data, int(left(stored.expires).total_seconds()))
        return stored

    def _load_uncopied(self) -> Stored | None:
        """The row; of a session that has ended there may be a copy, which others are to miss."""
        stored = self._read_row()
        if stored is None:
            self._bury_copy(self.cache_key)
        return stored

    def save(self, must_create: bool = False) -> None:
        """As on the db engine; what was loaded from the cache is first compared with the row."""
        self._get_session(no_load=must_create)
        try:
            if not must_create:
                self._compare_with_row()
            self._save_row(must_create)
        except UpdateError:
            self._base = None
            self._bury_copy(self.cache_key)
            raise

    def _save_row(self, must_create: bool) -> None:
        try:
            super().save(must_create)
        except StoreUnavailableError:
            # The row may have been written all the same, and the copy be behind it.
            if self.session_key:
                self._bury_copy(self.cache_key)
            raise

    def cycle_key(self) -> None:
        """As on the db engine; what was loaded from the cache is first compared with the row."""
        self._get_session()
        try:
            self._compare_with_row()
        except UpdateError:
            # Of the row there is nothing; what the copy held is stored anew.
            self._base = None
        self._copy = None
        super().cycle_key()

    def _compare_with_row(self) -> None:
        if self._base and self._base is self._copy:
            self._rebase(self._find())

    def _insert(self, data: Data) -> Stored:
        stored = super()._insert(data)
        # Nobody knows the key yet, so nobody minds a transaction that is not over.
        self._copy = None
        self._put_copy(data, self.get_expiry_age())
        return stored

    def _insert_replacing(self, data: Data) -> Stored:
        """The row alone: the save that follows puts the copy."""
        return super()._insert(data)

    def _swap(self, base: Stored, data: Data) -> Stored | None:
        stored = super()._swap(base, data)
        if stored:
            self._follow(data)
        return stored

    def _touch(self, base: Stored) -> bool:
        touched = super()._touch(base)
        if touched:
            self._follow(base.data or {})
        return touched

    def _remove(self, session_key: str) -> None:
        """The copy first: a process that is killed between the two leaves none that opens."""
        cache_key = self.cache_key_prefix + session_key
        self._bury_copy(cache_key)
        super()._remove(session_key)
        self._bury_again(cache_key)

    def _take(self, base: Stored) -> bool:
        self._bury_copy(self.cache_key)
        taken = super()._take(base)
        self._bury_again(self.cache_key)
        return taken

    def _follow(self, data: Data) -> None:
        """Make the copy what the row now is; in a transaction the row is not yet that."""
        if self._is_in_transaction():
            self._bury_copy(self.cache_key)
            self._bury_again(self.cache_key)
        elif not self._put_copy(data, self.get_expiry_age()):
            self._bury_copy(self.cache_key)

    def _put_copy(self, data: Data, seconds: int) -> bool:
        entries, copy = self._entries, self._copy
        if copy and copy.is_grave:
            # It stays until it expires: whoever has put it may be about to delete the row.
            return True
        try:
            if copy and same(copy.data, data):
                return entries.touch(self.cache_key, copy, seconds)
            self._copy = entries.swap(self.cache_key, copy, data, seconds)
        except StoreUnavailableError as error:
            self._owe(self.cache_key, error)
            return True
        except StoreError as error:
            # It answers, and takes no copy: the one that is there must not get old.
            logger.warning("A session is not copied. %s", in_english(error))
            return False
        return self._copy is not None

    def _bury_copy(self, cache_key: str) -> None:
        self._copy = None
        try:
            self._forget_copy(cache_key)
        except StoreError as error:
            self._owe(cache_key, error)

    def _bury_again(self, cache_key: str) -> None:
        """Where a cache keeps no tombstone, a reader may have put the copy back meanwhile."""
        if self._entries.compares_and_swaps:
            return
        self._bury_copy(cache_key)
        using = router.db_for_write(self.model)
        if connections[using].in_atomic_block:
            # Till then others read the row as it was.
            transaction.on_commit(partial(self._bury_copy, cache_key), using=using)

    def _forget_copy(self, cache_key: str) -> None:
        """Bury it, or at least delete it: that needs no room, and may make some."""
        try:
            self._entries.bury(cache_key)
        except StoreUnavailableError:
            raise
        except StoreError:
            self._entries.delete(cache_key)
            with suppress(StoreError):
                self._entries.bury(cache_key)

    def _owe(self, cache_key: str, error: StoreError) -> None:
        logger.error("Error saving to cache (%s)", self._cache, exc_info=error.__cause__)
        if cache_key in owed or len(owed) < MOST_OWED:
            owed[cache_key] = None
        elif not lost_count.is_set():
            lost_count.set()
            logger.error(
                "More copies of sessions than %d are behind the database. This process reads "
                "sessions from there until it is restarted: clear the cache before.",
                MOST_OWED,
            )

    def _settle(self) -> None:
        """Bury this session's copy, if it is owed, and some others: an outage leaves many."""
        own = [self.cache_key] if self.cache_key in owed else []
        for cache_key in (*own, *islice(owed, SETTLED_AT_ONCE)):
            self._forget_copy(cache_key)
            # Not before: another thread must not find the copy, and nothing owed.
            owed.pop(cache_key, None)

    @cached_property
    def _entries(self) -> Cache:
        return beyond(self._cache)

    def exists(self, session_key: str) -> bool:
        if not session_key:
            return False
        try:
            copy = self._entries.get(f"{self.cache_key_prefix}{session_key}")
        except StoreError:
            copy = None
        return bool(copy and copy.data is not None) or super().exists(session_key)

    def locate(self) -> list[Location]:
        """The row, and its copy if there is one and the cache answers."""
        located = super().locate()
        with suppress(StoreError):
            copy = self._entries.get(self.cache_key) if located else None
            if copy and copy.data is not None:
                located += self._entries.locate(self.cache_key)
        return located


def forget(instance: AbstractBaseSession, **kwargs: Any) -> None:
    """A row that is deleted by anybody, in the admin say, takes its copy along."""
    engine = import_module(settings.SESSION_ENGINE)
    if not issubclass(engine.SessionStore, SessionStore):
        return
    store = engine.SessionStore()
    store._bury_copy(store.cache_key_prefix + instance.session_key)


hear_deletions(forget)
