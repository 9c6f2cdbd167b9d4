"""All sessions of the old store, moved or copied to the new one in batches: ``movesessions``."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any

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
from cookieproj.engines.session_keys import masked
from cookieproj.engines.store import Store
from cookieproj.engines.store_probe import probe

from .copy_marks import is_copy, mark_copy, without_copy_mark
from .move_one import SessionMover, expiry_of_data, is_own_session
from .same_store import share_rows, why_same_store

logger = logging.getLogger("django.contrib.sessions")


class Outcome(StrEnum):
    """What became of a session."""

    MOVED = "moved"
    ALREADY_IN_NEW = "already in new"
    UNMOVABLE = "unmovable"


OutcomeCounts = Counter[Outcome]
OnKeys = Callable[[list[str]], object]


def why_unmovable(old: EngineRef, new: EngineRef, *, keep: bool = False) -> str:
    """Return a sentence that says why sessions cannot be moved, or copied; "" if they can.

    Raises StoreError if a store must be asked for that and does not answer.
    """
    if reason := why_same_store(old, new, probe=True, is_copying=keep):
        return reason
    if old.is_held_by_browser or new.is_held_by_browser:
        return _(
            "Signed cookies are in the browsers, out of reach of this command. Run the new engine "
            "with SESSION_HANDOVER_FROM=%(name)s: each session is moved when its browser uses it."
        ) % {"name": old.name}
    if old.is_in_process_memory:
        return _(
            "The sessions of %(name)s are in the memory of the site's process, and end with it. No "
            "other process can move them, nor take them over with SESSION_HANDOVER_FROM."
        ) % {"name": old.name}
    if new.is_in_process_memory:
        return _(
            "The cache is this process's memory, so the sessions would be lost when this command "
            "ends. Set CACHE_URL to the cache of the site."
        )
    return ""


def move(
    old: EngineRef,
    new: EngineRef,
    batch_size: int,
    *,
    keep: bool = False,
    on_moved: OnKeys = len,
    on_unmovable: OnKeys = len,
) -> Iterator[OutcomeCounts]:
    """Move the live sessions under their keys. Yield the counts of outcomes after each batch.

    A session that the new store already has stays as it is. With ``keep`` sessions are copied:
    while the old store has the original, a handover uses the original, and when the original has
    ended the copy opens nothing. A move without ``keep`` also deletes the copies that are left
    over, if the new store can be listed.

    ``on_moved`` is called with the keys of each batch before they are deleted from the old store,
    ``on_unmovable`` with the keys that cannot be moved. The move can be stopped at any point and
    started again.

    Raises NotListableError if the old store cannot list its keys, StoreError if a store does not
    answer.
    """
    mover = BatchMover.between(old, new, keep=keep, on_moved=on_moved, on_unmovable=on_unmovable)
    same_rows = share_rows(old, new)
    for sessions in batches(mover.old, batch_size):
        yield (mover.invalidate_cache_copies if same_rows else mover.move)(sessions)
    if not keep and not same_rows:
        mover.delete_leftover_copies(batch_size)


def dry_run(
    old: EngineRef, new: EngineRef, batch_size: int, *, on_unmovable: OnKeys = len
) -> Iterator[OutcomeCounts]:
    """Yield, batch by batch, the counts that ``move`` would yield, and write nothing."""
    mover = BatchMover.between(old, new, on_unmovable=on_unmovable)
    for sessions in batches(mover.old, batch_size):
        yield mover.count([(listed, mover.expected_outcome(listed)) for listed in sessions])


def batches(store: Store, size: int) -> Iterator[list[ListedSession]]:
    sessions = store.walk(size)
    while batch := list(islice(sessions, size)):
        yield batch


@dataclass
class BatchMover:
    """Moves a batch of sessions: inserts all into the new store, then deletes all from the old."""

    old: Store
    new: Store
    mover: SessionMover
    # The new engine, for ``probe``.
    engine: Any
    keep: bool = False
    on_moved: OnKeys = len
    on_unmovable: OnKeys = len

    @classmethod
    def between(cls, old: EngineRef, new: EngineRef, **options: Any) -> "BatchMover":
        stores = store_of(old.store), store_of(new.store)
        mover = SessionMover(*stores, partial(expiry_of_data, new.store))
        return cls(*stores, mover, new.store, **options)

    def move(self, sessions: list[ListedSession]) -> OutcomeCounts:
        inserted = [(listed, *self.insert_into_new(listed)) for listed in sessions]
        if self.keep:
            return self.count([(listed, outcome) for listed, outcome, _entry in inserted])
        self.on_moved(
            [listed.key for listed, outcome, _entry in inserted if outcome != Outcome.UNMOVABLE]
        )
        with self.old.batched():
            outcomes = [
                (listed, self.delete_from_old(listed, outcome, entry))
                for listed, outcome, entry in inserted
            ]
        return self.count(outcomes)

    def count(self, outcomes: list[tuple[ListedSession, Outcome]]) -> OutcomeCounts:
        self.on_unmovable(
            [listed.key for listed, outcome in outcomes if outcome == Outcome.UNMOVABLE]
        )
        return Counter(outcome for _, outcome in outcomes)

    def insert_into_new(self, listed: ListedSession) -> tuple[Outcome, Entry | None]:
        """Store a session, or a copy of it, in the new store.

        Return the outcome, and the entry that was written or None.
        """
        if not self.new.can_hold(listed.key) or not self.old.is_readable(listed):
            return self.expected_outcome(listed), None
        try:
            data = self.data_for_new(listed)
            inserted = self.mover.store_in_new(listed.key, listed.stored, data)
            inserted = inserted or self.replace_copy(listed, data)
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything
            self.log_unmovable(listed, error)
            return Outcome.UNMOVABLE, None
        return (Outcome.MOVED, inserted) if inserted else (Outcome.ALREADY_IN_NEW, None)

    def data_for_new(self, listed: ListedSession) -> Data:
        """Return the data to store in the new store, with the copy mark if sessions are copied.

        Raises what the new store's serializer raises.
        """
        data = without_copy_mark(listed.stored.data or {})
        return mark_copy(self.new.form(data), self.old) if self.keep else data

    def log_unmovable(self, listed: ListedSession, error: Exception) -> None:
        """Log which session cannot be moved. Raise the error if it concerns more than this one."""
        if isinstance(error, SessionStoreError | DatabaseError):
            if not isinstance(error, StoreFullError | DataError):
                raise error
            # A store that takes no other session either is full, and this raises. Otherwise this
            # session is too large.
            probe(self.engine)
        place = in_english(self.new.label)
        logger.error("The session %s cannot be kept in %s: %s", masked(listed.key), place, error)

    def replace_copy(self, listed: ListedSession, data: Data) -> Entry | None:
        """Replace a copy of the session in the new store. Return the entry that was written.

        Return None if the copy is up to date, or if the new store has a session of its own.
        """
        copy = self.new.read(listed.key, with_expiry=True)
        if copy is None or is_own_session(copy, self.old):
            return None
        has_other_expiry = (
            copy.expires and listed.expires and not is_near(copy.expires, listed.expires)
        )
        if self.keep and same_data(copy.data or {}, data) and not has_other_expiry:
            return None
        return self.mover.store_in_new(listed.key, listed.stored, data, copy)

    def delete_from_old(
        self, listed: ListedSession, outcome: Outcome, inserted: Entry | None
    ) -> Outcome:
        """Delete a session from the old store. Return the outcome of its move.

        ``outcome`` and ``inserted`` are what ``insert_into_new`` returned.
        """
        key, old_entry = listed.key, listed.stored
        if inserted:
            try:
                self.mover.delete_from_old(key, old_entry, inserted)
            except Exception as error:  # noqa: BLE001 - a serializer may raise anything
                self.log_unmovable(listed, error)
                # The session changed meanwhile, so that it cannot be moved, and stays in the old
                # store. Its earlier state in the new one would hide it.
                if new_entry := self.new.read(key):
                    self.new.compare_and_delete(key, new_entry)
                return Outcome.UNMOVABLE
        elif outcome == Outcome.ALREADY_IN_NEW and self.old.is_readable(listed):
            self.mover.delete_leftover(key, old_entry)
        return outcome

    def expected_outcome(self, listed: ListedSession) -> Outcome:
        """Return the outcome that a move of the session would have. Log why it cannot be moved."""
        can_hold = self.new.can_hold(listed.key)
        if can_hold and is_own_session(self.new.read(listed.key), self.old):
            return Outcome.ALREADY_IN_NEW
        if not can_hold or not self.old.is_readable(listed):
            place = in_english(self.old.label)
            logger.error("The session %s cannot be read in %s.", masked(listed.key), place)
            return Outcome.UNMOVABLE
        try:
            self.new.form(without_copy_mark(listed.stored.data or {}))
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything
            self.log_unmovable(listed, error)
            return Outcome.UNMOVABLE
        return Outcome.MOVED

    def delete_leftover_copies(self, batch_size: int) -> None:
        """Delete the copies that are left in the new store: their originals have ended since."""
        with suppress(NotListableError):
            for listed in self.new.walk(batch_size):
                if is_copy(listed.stored, self.old):
                    self.new.compare_and_delete(listed.key, listed.stored)

    def invalidate_cache_copies(self, sessions: list[ListedSession]) -> OutcomeCounts:
        """Invalidate the cache's copies of rows, between db and cached_db, which share the rows."""
        for store in (self.old, self.new):
            if isinstance(store, CachedRowStore):
                for listed in sessions:
                    store.invalidate(listed.key)
        self.on_moved([listed.key for listed in sessions])
        return Counter({Outcome.ALREADY_IN_NEW: len(sessions)})
