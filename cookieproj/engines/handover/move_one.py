"""One session, carried from a store to another."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError

from cookieproj.engines.caches.generic import TOMBSTONE_TTL, GenericCacheStore
from cookieproj.engines.clock import from_now
from cookieproj.engines.constants import (
    EXPIRY_ITEM,
    MOVED_TOMBSTONE,
    REMOVED_FROM_SOURCE,
    SESSION_TOMBSTONE,
)
from cookieproj.engines.english import in_english
from cookieproj.engines.entries import Entry
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.merge import Data, merge
from cookieproj.engines.store import Store

from .copy_marks import is_copy, without_copy_mark

logger = logging.getLogger("django.contrib.sessions")

# So often a session may go to and fro between the stores while one request looks for it.
ROUNDS = 10


def expiry_of_data(engine: Any, data: Data) -> datetime:
    """When data of that engine expires, of which its store does not tell it."""
    return from_now(int(engine().get_expiry_age(expiry=data.get(EXPIRY_ITEM))))


def is_own_session(stored: Entry | None, old: Store) -> bool:
    """Whether the new store holds a session, or the tombstone of one.

    Else the old one's may replace it: a copy of that, or what the new one cannot read. In one
    Redis, with another serializer, that may be the old session itself.
    """
    if stored is None or stored.data is None:
        return stored is not None and stored.has_ended
    return not is_copy(stored, old)


@dataclass(frozen=True)
class SessionMover:
    """From the one store to the other, one session at a time.

    ``expiry_of`` tells when data expires of which the old store does not tell it.

    In which order a handover writes. What is put into the new store comes first, and what is
    taken from the old one after, so that the session is always in one of them. It is taken only
    as it was found: what changed there meanwhile is merged into the new one before the next try,
    and where it has ended there meanwhile, what was put into the new one is removed again. An
    end goes the same way: first the new store, where a tombstone takes its place, so that no
    late request can store it again, and the old one after.
    """

    old: Store
    new: Store
    expiry_of: Callable[[Data], datetime]

    def move(self, key: str, *, is_taken: bool = False, rounds: int = ROUNDS) -> Entry | None:
        """Move the session with that key: what the new store holds now, None if neither has it.

        ``is_taken`` tells that something is under the key in the new store already.
        """
        found = self.old.read(key, with_expiry=True) if self.old.can_hold(key) else None
        if found and found.has_ended:
            # What another request may have put into the new store is about to be removed again.
            return None
        if found is None or not found.data or is_copy(found, self.new):
            # Another request may have carried it over since this one has looked.
            there = self.new.read(key)
            if there and is_copy(there, self.old):
                self.new.compare_and_delete(key, there)
            return there if is_own_session(there, self.old) else None
        there = self.new.read(key) if is_taken else None
        try:
            held = self._insert_into_new(key, found, there)
        except (TypeError, ValueError) as error:
            self._log_unmovable(error)
            return None
        # Where that did not arrive, somebody was quicker: to carry it over, or to end it.
        there = self._delete_from_old_or_later(key, found, held) if held else self.new.read(key)
        if is_own_session(there, self.old) or rounds == 1:
            return there
        # It has ended, or has gone back meanwhile.
        return self.move(key, is_taken=there is not None, rounds=rounds - 1)

    def _insert_into_new(self, key: str, found: Entry, there: Entry | None) -> Entry | None:
        """Put it into the new store, in the place of what may be replaced; None for a session."""
        data = without_copy_mark(found.data or {})
        if there is None:
            held = self.put(key, found, data)
            there = None if held else self.new.read(key)
            if there is None:
                return held
        return None if is_own_session(there, self.old) else self.put(key, found, data, there)

    def put(self, key: str, found: Entry, data: Data, there: Entry | None = None) -> Entry | None:
        """Store the data until what was found would have expired; None if somebody was quicker."""
        expires = found.expires or self.expiry_of(data)
        if there:
            return self.new.compare_and_swap(key, there, data, expires)
        return insert(self.new, key, data, expires)

    def _delete_from_old_or_later(self, key: str, found: Entry, held: Entry) -> Entry | None:
        """Take from the old store what the new one has now; what that holds then."""
        if self.new.in_transaction:
            # Once it is there for everybody: until then the session is where it was.
            self.new.on_commit(partial(self.delete_from_old, key, found, held))
            return held
        try:
            return self.delete_from_old(key, found, held)
        except (TypeError, ValueError) as error:
            self._log_unmovable(error)
            return self.new.read(key)
        except StoreError as error:
            # Whether that still holds it nobody can tell; ``movesessions`` takes what has stayed.
            logger.warning(
                "A session that was moved may be left behind as well. %s", in_english(error)
            )
            return held

    def _log_unmovable(self, error: Exception) -> None:
        """A pickled session may hold what JSON cannot."""
        logger.error("A session cannot be kept in %s: %s", in_english(self.new.label), error)

    def delete_from_old(self, key: str, found: Entry, held: Entry) -> Entry | None:
        """Take from the old store what was put into the new; what changed there since follows.

        Gives what the new store holds then. Where the session has ended in the old store
        meanwhile, what was put into the new one is removed again: None, or a tombstone. Raises
        what the new store's serializer raises for what the session has become in the old one.
        """
        there = held
        while not self.old.compare_and_delete(key, found):
            newer = self.old.read(key, with_expiry=True)
            if newer and newer.data is None and not newer.is_tombstone:
                # In one Redis, with another serializer, it is what was put into the new store.
                break
            latest = newer and moved_content(newer, found)
            if latest is None or not latest.data:
                return self._undo(key)
            caught_up = self._merge_newer(key, there, found, latest)
            if caught_up is None:
                return None
            there = caught_up
            if latest is not newer:
                break
            found = latest
        return there

    def _merge_newer(
        self, key: str, there: Entry | None, found: Entry, newer: Entry
    ) -> Entry | None:
        """Apply to what the new store holds what changed in the old one; None if it has ended."""
        before, after = (
            self.new.form(without_copy_mark(each.data or {})) for each in (found, newer)
        )
        while there and there.data is not None:
            data = merge(before, there.data, after)
            expires = newer.expires or self.expiry_of(data)
            if written := self.new.put(key, there, data, expires):
                return written
            there = self.new.read(key)
        return None

    def _undo(self, key: str) -> Entry | None:
        """Remove what was put there, and what others have made of it since."""
        while there := self.new.read(key):
            if there.has_ended:
                return there
            if self.new.compare_and_delete(key, there):
                break
        return None

    def delete_leftover(self, key: str, found: Entry) -> None:
        """Take from the old store what the new one has had all along.

        A tombstone takes its place: who has put it into the new one may be about to take it, and
        not finding it would be the end of the session. What has changed there since goes with it.
        It is marked in the new one first: who carries it back may be about to take it from there.
        """
        there = self.new.read(key, with_expiry=True)
        if (
            there is None
            or not is_own_session(there, self.old)
            or is_same_entry(self.old, self.new, key)
        ):
            return
        if there.has_ended or self.put(key, there, (there.data or {}) | REMOVED_FROM_SOURCE, there):
            tombstone: Data = {MOVED_TOMBSTONE: found.data}
            self.old.compare_and_swap(key, found, tombstone, from_now(TOMBSTONE_TTL))

    def end(self, key: str) -> None:
        """End the session in both stores, for requests too that have read it in the old one.

        The old store comes last: what a process of its own engine has just carried back is there.
        """
        self.old.refuse_event_loop()
        if not self.new.can_hold(key):
            self._end_in_old(key, None)
            self.new.delete(key)
            return
        # First of all, so that it ends in none of them where this one fails.
        stored = self.new.read(key)
        self.new.delete(key)
        try:
            write_tombstone(self.new, key, from_now(TOMBSTONE_TTL))
        except StoreError as error:
            # It has ended in both: a tombstone needs room, and a deletion none.
            logger.warning(
                "A late request may store a session under its old key. %s", in_english(error)
            )
        self.end_in_old(key, (stored and stored.data) or {})

    def end_in_old(self, key: str, data: Data) -> None:
        """End it in the old store; else a tombstone in the new one lasts as long as it may live.

        ``data`` is what the new store had of it. Raises StoreError where neither can be done.
        """
        self._end_in_old(key, max(self.expiry_of(data), self.expiry_of({})))

    def _end_in_old(self, key: str, tombstone_until: datetime | None) -> None:
        if not self.old.can_hold(key) or is_same_entry(self.old, self.new, key):
            return
        try:
            self.old.delete(key)
        except StoreError as error:
            if tombstone_until is None:
                raise
            try:
                write_tombstone(self.new, key, tombstone_until)
            except StoreError:
                raise error from error.__cause__
            logger.warning("A session has ended in one of two stores. %s", in_english(error))


def moved_content(newer: Entry, found: Entry) -> Entry:
    """What ``movesessions`` took from there since it was found; as it is, if it did not."""
    moved = ((newer.is_tombstone and newer.content()) or {}).get(MOVED_TOMBSTONE)
    return Entry(newer.token, lambda: moved, found.expires) if moved else newer


def insert(store: Store, key: str, data: Data, expires: datetime) -> Entry | None:
    """Also where something is in the way that has expired; None where a session is."""
    for _attempt in range(2):
        try:
            # Browsers know the key: no copy of what may yet be rolled back.
            put = store.insert_before_save if store.in_transaction else store.insert
            return put(key, data, expires)
        except CreateError:
            if store.read(key):
                break
            store.purge(key)
    return None


def write_tombstone(store: Store, key: str, expires: datetime) -> None:
    while True:
        with suppress(CreateError):
            store.insert(key, SESSION_TOMBSTONE, expires)
            return
        stored = store.read(key)
        if stored is None:
            store.purge(key)
        elif store.compare_and_swap(key, stored, SESSION_TOMBSTONE, expires):
            return


def is_same_entry(one: Store, other: Store, key: str) -> bool:
    """Whether the two differ in the serializer alone: then what is there is there for both."""
    if not (isinstance(one, GenericCacheStore) and isinstance(other, GenericCacheStore)):
        return False
    return bool(one.label == other.label and one.name(key) == other.name(key))
