"""One session, moved from the old store to the new one, or ended in both."""

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

# Processes of both engines may move a session to and fro while one request looks for it.
MAX_MOVES = 10


def expiry_of_data(engine: Any, data: Data) -> datetime:
    """Return when a session of that engine with this data expires if it is saved now."""
    return from_now(int(engine().get_expiry_age(expiry=data.get(EXPIRY_ITEM))))


def is_own_session(new_entry: Entry | None, old: Store) -> bool:
    """Whether the new store's entry is a session of its own, or the tombstone of one.

    If not, the old store's session may replace it. It is then a copy of that session, or
    unreadable. In one Redis, with another serializer, the unreadable entry may be the old session
    itself.
    """
    if new_entry is None or new_entry.data is None:
        return new_entry is not None and (new_entry.has_ended or bool(new_entry.renewed_to))
    return not is_copy(new_entry, old)


@dataclass(frozen=True)
class SessionMover:
    """Moves one session at a time from the old store to the new one.

    ``expiry_of`` returns when given data expires, where the old store does not say.

    The order of writes:

    - Move: insert into the new store, then delete from the old one. So the session is always in
      at least one of them.
    - The old store deletes the session only as it was read. If it changed there meanwhile, the
      change is merged into the new store before the next try. If it ended there meanwhile, it is
      deleted from the new store again.
    - End: delete from the new store first, and leave a tombstone there, so that no late request
      can store the session again. Then delete from the old store.
    """

    old: Store
    new: Store
    expiry_of: Callable[[Data], datetime]

    def move(
        self, key: str, *, has_new_entry: bool = False, moves_left: int = MAX_MOVES
    ) -> Entry | None:
        """Move the session with that key. Return the new store's entry, or None for no session.

        ``has_new_entry`` says that the new store has an entry under the key already, which is
        not a session of its own. The entry returned may be a tombstone.
        """
        old_entry = self.old.read(key, with_expiry=True) if self.old.can_hold(key) else None
        if old_entry and old_entry.renewed_to:
            # The session is stored under its new key, which is moved when the caller looks there.
            return old_entry
        if old_entry and old_entry.has_ended:
            # A request that inserted the session into the new store is about to delete it there.
            return None
        if old_entry is None or not old_entry.data or is_copy(old_entry, self.new):
            # Another request may have moved the session since the new store was read.
            new_entry = self.new.read(key)
            if new_entry and is_copy(new_entry, self.old):
                self.new.compare_and_delete(key, new_entry)
            return new_entry if is_own_session(new_entry, self.old) else None
        new_entry = self.new.read(key) if has_new_entry else None
        try:
            inserted = self._insert_into_new(key, old_entry, new_entry)
        except (TypeError, ValueError) as error:
            self._log_unmovable(error)
            return None
        if inserted:
            new_entry = self._delete_from_old_or_later(key, old_entry, inserted)
        else:
            # Another request was quicker: it moved the session, or ended it.
            new_entry = self.new.read(key)
        if is_own_session(new_entry, self.old) or moves_left == 1:
            return new_entry
        # The session ended meanwhile, or was moved back.
        return self.move(key, has_new_entry=new_entry is not None, moves_left=moves_left - 1)

    def _insert_into_new(self, key: str, old_entry: Entry, new_entry: Entry | None) -> Entry | None:
        """Store the old session in the new store. Return the entry, or None if a session is there.

        ``new_entry`` is replaced unless it is a session of the new store's own.
        """
        data = without_copy_mark(old_entry.data or {})
        if new_entry is None:
            inserted = self.store_in_new(key, old_entry, data)
            new_entry = None if inserted else self.new.read(key)
            if new_entry is None:
                return inserted
        if is_own_session(new_entry, self.old):
            return None
        return self.store_in_new(key, old_entry, data, new_entry)

    def store_in_new(
        self, key: str, old_entry: Entry, data: Data, new_entry: Entry | None = None
    ) -> Entry | None:
        """Store the data in the new store with the expiry of ``old_entry``.

        Replaces ``new_entry`` if it is given. Return None if another request was quicker.
        """
        expires = old_entry.expires or self.expiry_of(data)
        if new_entry:
            return self.new.compare_and_swap(key, new_entry, data, expires)
        return insert(self.new, key, data, expires)

    def _delete_from_old_or_later(
        self, key: str, old_entry: Entry, inserted: Entry
    ) -> Entry | None:
        """Delete the session from the old store, within a transaction of the new one on commit.

        Return the new store's entry.
        """
        if self.new.in_transaction:
            # Until the commit other processes see the session in the old store alone.
            self.new.on_commit(partial(self.delete_from_old, key, old_entry, inserted))
            return inserted
        try:
            return self.delete_from_old(key, old_entry, inserted)
        except (TypeError, ValueError) as error:
            self._log_unmovable(error)
            return self.new.read(key)
        except StoreError as error:
            # The old store may or may not have deleted it. ``movesessions`` deletes leftovers.
            logger.warning(
                "A session that was moved may be left behind as well. %s", in_english(error)
            )
            return inserted

    def _log_unmovable(self, error: Exception) -> None:
        """Log the serializer's error: a session that was pickled may contain what JSON cannot."""
        logger.error("A session cannot be kept in %s: %s", in_english(self.new.label), error)

    def delete_from_old(self, key: str, old_entry: Entry, inserted: Entry) -> Entry | None:
        """Delete the session from the old store, once the new store has every change of it.

        ``inserted`` is what the new store made of ``old_entry``. Return the new store's entry. If
        the session ended in the old store meanwhile, it is deleted from the new one again: then
        return None, or a tombstone. Raises what the new store's serializer raises for data that
        the session got in the old store meanwhile.
        """
        new_entry = inserted
        while not self.old.compare_and_delete(key, old_entry):
            changed = self.old.read(key, with_expiry=True)
            if changed and changed.data is None and not changed.is_tombstone:
                # One Redis with two serializers: this is the new store's own entry.
                break
            latest = changed and moved_content(changed, old_entry)
            if latest is None or not latest.data:
                return self._delete_from_new(key)
            merged = self._merge_into_new(key, new_entry, old_entry, latest)
            if merged is None:
                return None
            new_entry = merged
            if latest is not changed:
                # ``movesessions`` has deleted it from the old store already.
                break
            old_entry = latest
        return new_entry

    def _merge_into_new(
        self, key: str, new_entry: Entry | None, old_entry: Entry, latest: Entry
    ) -> Entry | None:
        """Apply to the new store's entry what changed in the old store.

        There the session changed from ``old_entry`` to ``latest``. Return the entry that was
        written, or None if the session has ended in the new store.
        """
        base, ours = (
            self.new.form(without_copy_mark(entry.data or {})) for entry in (old_entry, latest)
        )
        while new_entry and new_entry.data is not None:
            data = merge(base, new_entry.data, ours)
            expires = latest.expires or self.expiry_of(data)
            if written := self.new.put(key, new_entry, data, expires):
                return written
            new_entry = self.new.read(key)
        return None

    def _delete_from_new(self, key: str) -> Entry | None:
        """Delete the session that was inserted, with what other requests changed in it since.

        Return the tombstone if one is there already; else None.
        """
        while new_entry := self.new.read(key):
            if new_entry.has_ended:
                return new_entry
            if self.new.compare_and_delete(key, new_entry):
                break
        return None

    def delete_leftover(self, key: str, old_entry: Entry) -> None:
        """Delete from the old store a session that the new store already has.

        A tombstone with the old data replaces it. Another process may have inserted the session
        into the new store and be about to delete it here: without the tombstone that process
        would take the session for ended. With it, it merges the old data.

        The new store's session is marked first. A process that moves it back may be about to
        delete it from the new store, and finds it changed.
        """
        new_entry = self.new.read(key, with_expiry=True)
        if (
            new_entry is None
            or not is_own_session(new_entry, self.old)
            or is_same_entry(self.old, self.new, key)
        ):
            return
        marked = (new_entry.data or {}) | REMOVED_FROM_SOURCE
        if new_entry.has_ended or self.store_in_new(key, new_entry, marked, new_entry):
            tombstone: Data = {MOVED_TOMBSTONE: old_entry.data}
            self.old.compare_and_swap(key, old_entry, tombstone, from_now(TOMBSTONE_TTL))

    def end(self, key: str) -> None:
        """End the session in both stores. The tombstone stops requests that read it before.

        The old store comes last, because a process of the old engine may have moved the session
        back just now. Raises StoreError if a store fails; see ``end_in_old``.
        """
        self.old.refuse_event_loop()
        if not self.new.can_hold(key):
            self._end_in_old(key, None)
            self.new.delete(key)
            return
        # If this read fails, the session has ended in neither store.
        new_entry = self.new.read(key)
        self.new.delete(key)
        try:
            write_tombstone(self.new, key, from_now(TOMBSTONE_TTL))
        except StoreError as error:
            # A full store has no room for the tombstone, but it has deleted the session.
            logger.warning(
                "A late request may store a session under its old key. %s", in_english(error)
            )
        self.end_in_old(key, (new_entry and new_entry.data) or {})

    def end_in_old(self, key: str, data: Data) -> None:
        """End the session in the old store.

        If that fails, write a tombstone to the new store instead, which lasts as long as the
        session could. ``data`` is the session's data in the new store. Raises StoreError if both
        fail.
        """
        self._end_in_old(key, max(self.expiry_of(data), self.expiry_of({})))

    def _end_in_old(self, key: str, tombstone_expires: datetime | None) -> None:
        if not self.old.can_hold(key) or is_same_entry(self.old, self.new, key):
            return
        try:
            old_entry = self.old.read(key)
            self.old.delete(key)
        except StoreError as error:
            if tombstone_expires is None:
                raise
            try:
                write_tombstone(self.new, key, tombstone_expires)
            except StoreError:
                raise error from error.__cause__
            logger.warning("A session has ended in one of two stores. %s", in_english(error))
        else:
            if old_entry and old_entry.renewed_to:
                self.end(old_entry.renewed_to)


def moved_content(changed: Entry, old_entry: Entry) -> Entry:
    """Return the session data that the tombstone of ``movesessions`` keeps, as an entry.

    Return ``changed`` itself if it is no such tombstone.
    """
    moved = ((changed.is_tombstone and changed.content()) or {}).get(MOVED_TOMBSTONE)
    return Entry(changed.token, lambda: moved, old_entry.expires) if moved else changed


def insert(store: Store, key: str, data: Data, expires: datetime) -> Entry | None:
    """Insert the session, and purge an expired entry if that is in the way.

    Return None if a session is stored under the key.
    """
    for _attempt in range(2):
        try:
            # A browser has this key already. ``insert_before_save`` makes no cache copy, which
            # would stay after a rollback.
            insert_entry = store.insert_before_save if store.in_transaction else store.insert
            return insert_entry(key, data, expires)
        except CreateError:
            if store.read(key):
                break
            store.purge(key)
    return None


def write_tombstone(store: Store, key: str, expires: datetime) -> None:
    """Replace whatever is stored under the key with a tombstone."""
    while True:
        with suppress(CreateError):
            store.insert(key, SESSION_TOMBSTONE, expires)
            return
        entry = store.read(key)
        if entry is None:
            store.purge(key)
        elif store.compare_and_swap(key, entry, SESSION_TOMBSTONE, expires):
            return


def is_same_entry(old: Store, new: Store, key: str) -> bool:
    """Whether both caches keep the key under the same name, so that an entry is in both at once.

    They differ in the serializer alone.
    """
    if not (isinstance(old, GenericCacheStore) and isinstance(new, GenericCacheStore)):
        return False
    return bool(old.label == new.label and old.name(key) == new.name(key))
