"""All sessions of a store, moved to another."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any

from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.core.cache.backends.locmem import LocMemCache
from django.db import DatabaseError, DataError
from django.utils.translation import gettext as _

from cookieproj.engines.cached_row_store import CachedRowStore
from cookieproj.engines.clock import is_near
from cookieproj.engines.engine_registry import EngineRef
from cookieproj.engines.english import in_english
from cookieproj.engines.entries import Entry, ListedSession
from cookieproj.engines.exceptions import NotListableError, SessionStoreError, StoreFullError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.merge import Data, same_data
from cookieproj.engines.store import Store
from cookieproj.engines.store_probe import probe

from .comparing_stores import same_store, share_rows
from .copy_marks import is_copy, mark_copy, without_copy_mark
from .move_one import SessionMover, expiry_of_data, is_own_session

logger = logging.getLogger("django.contrib.sessions")


class Outcome(StrEnum):
    MOVED = "moved"
    THERE = "there"
    UNREADABLE = "unreadable"


Outcomes = Counter[Outcome]
Note = Callable[[list[str]], object]


def why_not(old: EngineRef, new: EngineRef, *, keep: bool = False) -> str:
    """Why sessions cannot be moved between the two, or copied, in a sentence; empty if they can.

    Raises StoreError where that has to be asked of a store that does not answer.
    """
    if reason := same_store(old, new, ask=True, copies=keep):
        return reason
    if old.is_held_by_browser or new.is_held_by_browser:
        return _(
            "With signed cookies each browser holds its own session, so only the browser can bring "
            "or take it: run the new engine with SESSION_HANDOVER_FROM=%(name)s, and each session "
            "is moved as it is used."
        ) % {"name": old.name}
    if issubclass(new.store, CacheStore) and isinstance(new.store()._cache, LocMemCache):
        return _(
            "The cache is this process's memory: what is moved there ends with this command. "
            "Set CACHE_URL to that of the site."
        )
    return ""


def move(
    old: EngineRef,
    new: EngineRef,
    batch_size: int,
    *,
    keep: bool = False,
    on_moved: Note = len,
    on_unmovable: Note = len,
) -> Iterator[Outcomes]:
    """Move the live sessions under their keys, a batch at each step: what became of those.

    What the new store holds already stays as it is. With ``keep`` they are copied: as
    long as the old store has the original, a handover goes by that, and where the
    original has ended the copy opens nothing. Copies that are left after a move without
    ``keep`` go, if the new store can be listed. ``on_moved`` is called with the keys of each
    batch before they are deleted from the old store, ``on_unmovable`` with those that cannot be
    moved.
    Stopped anywhere, this can be begun again.

    Raises NotListableError for an old store that tells no keys, StoreError for
    one that does not answer.
    """
    mover = BatchMover.between(old, new, keep=keep, on_moved=on_moved, on_unmovable=on_unmovable)
    same_rows = share_rows(old, new)
    for sessions in batches(mover.old, batch_size):
        yield (mover.forget_copies_in_cache if same_rows else mover.move)(sessions)
    if not keep and not same_rows:
        mover.end_copies(batch_size)


def rehearse(
    old: EngineRef, new: EngineRef, batch_size: int, *, on_unmovable: Note = len
) -> Iterator[Outcomes]:
    """What ``move`` would do, by batches."""
    mover = BatchMover.between(old, new, on_unmovable=on_unmovable)
    for sessions in batches(mover.old, batch_size):
        yield mover.counted([(listed, mover.rehearse_one(listed)) for listed in sessions])


def batches(store: Store, size: int) -> Iterator[list[ListedSession]]:
    listed = store.walk(size)
    while sessions := list(islice(listed, size)):
        yield sessions


@dataclass
class BatchMover:
    """From a store to another: first a batch is put into the new one, then taken from the old."""

    old: Store
    new: Store
    mover: SessionMover
    # The new store can be tried, too: see ``probe``.
    engine: Any
    keep: bool = False
    on_moved: Note = len
    on_unmovable: Note = len

    @classmethod
    def between(cls, old: EngineRef, new: EngineRef, **options: Any) -> "BatchMover":
        stores = store_of(old.store), store_of(new.store)
        mover = SessionMover(*stores, partial(expiry_of_data, new.store))
        return cls(*stores, mover, new.store, **options)

    def move(self, sessions: list[ListedSession]) -> Outcomes:
        arrived = [(listed, *self.put(listed)) for listed in sessions]
        if self.keep:
            return self.counted([(listed, outcome) for listed, outcome, _ in arrived])
        self.on_moved([listed.key for listed, what, _ in arrived if what != Outcome.UNREADABLE])
        with self.old.batched():
            taken = [(listed, self.take(listed, what, held)) for listed, what, held in arrived]
        return self.counted(taken)

    def counted(self, outcomes: list[tuple[ListedSession, Outcome]]) -> Outcomes:
        self.on_unmovable([listed.key for listed, what in outcomes if what == Outcome.UNREADABLE])
        return Counter(outcome for _, outcome in outcomes)

    def put(self, listed: ListedSession) -> tuple[Outcome, Entry | None]:
        if not self.new.can_hold(listed.key) or not self.old.is_readable(listed):
            return self.rehearse_one(listed), None
        try:
            data = self.data_for(listed)
            held = self.mover.put(listed.key, listed.stored, data) or self.replace(listed, data)
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything
            self.log_unmovable(listed, error)
            return Outcome.UNREADABLE, None
        return (Outcome.MOVED, held) if held else (Outcome.THERE, None)

    def data_for(self, listed: ListedSession) -> Data:
        """Raises whatever the new store's serializer does."""
        data = without_copy_mark(listed.stored.data or {})
        return mark_copy(self.new.form(data), self.old) if self.keep else data

    def log_unmovable(self, listed: ListedSession, error: Exception) -> None:
        """Log which session it is that cannot be moved; raise what is not about that one alone."""
        if isinstance(error, SessionStoreError | DatabaseError):
            if not isinstance(error, StoreFullError | DataError):
                raise error
            # A store that takes no other session either is full; else this one is too large.
            probe(self.engine)
        place = in_english(self.new.label)
        logger.error(
            "The session %s cannot be kept in %s: %s", abbreviated(listed.key), place, error
        )

    def replace(self, listed: ListedSession, data: Data) -> Entry | None:
        """In the place of a copy; None if that is the same, or it is a session by now."""
        there = self.new.read(listed.key, with_expiry=True)
        if there is None or is_own_session(there, self.old):
            return None
        until, expires = there.expires, listed.expires
        is_late = until and expires and not is_near(until, expires)
        if self.keep and same_data(there.data or {}, data) and not is_late:
            return None
        return self.mover.put(listed.key, listed.stored, data, there)

    def take(self, listed: ListedSession, outcome: Outcome, held: Entry | None) -> Outcome:
        key, found = listed.key, listed.stored
        if held:
            try:
                self.mover.delete_from_old(key, found, held)
            except Exception as error:  # noqa: BLE001 - a serializer may raise anything
                self.log_unmovable(listed, error)
                # What it has become meanwhile stays, so that what it was must not be in its way.
                if there := self.new.read(key):
                    self.new.compare_and_delete(key, there)
                return Outcome.UNREADABLE
        elif outcome == Outcome.THERE and self.old.is_readable(listed):
            self.mover.delete_leftover(key, found)
        return outcome

    def rehearse_one(self, listed: ListedSession) -> Outcome:
        can_hold = self.new.can_hold(listed.key)
        if can_hold and is_own_session(self.new.read(listed.key), self.old):
            return Outcome.THERE
        if not can_hold or not self.old.is_readable(listed):
            place = in_english(self.old.label)
            logger.error("The session %s cannot be read in %s.", abbreviated(listed.key), place)
            return Outcome.UNREADABLE
        try:
            self.new.form(without_copy_mark(listed.stored.data or {}))
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything
            self.log_unmovable(listed, error)
            return Outcome.UNREADABLE
        return Outcome.MOVED

    def end_copies(self, batch_size: int) -> None:
        """Those that are left: what they were copied from has ended since."""
        with suppress(NotListableError):
            for listed in self.new.walk(batch_size):
                if is_copy(listed.stored, self.old):
                    self.new.compare_and_delete(listed.key, listed.stored)

    def forget_copies_in_cache(self, sessions: list[ListedSession]) -> Outcomes:
        """Between db and cached_db: the rows are the same, only copies beside them may get old."""
        for store in (self.old, self.new):
            if isinstance(store, CachedRowStore):
                for listed in sessions:
                    store.invalidate(listed.key)
        self.on_moved([listed.key for listed in sessions])
        return Counter({Outcome.THERE: len(sessions)})


def abbreviated(key: str) -> str:
    """Enough of a session key to find the session by, too little to open it."""
    return f"{key[:8]}…"
