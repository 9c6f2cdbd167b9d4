"""Faults that the engines had or could have, each as a function that injects it."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError

from cookieproj.engines import base, merge, session_keys
from cookieproj.engines.apply import ApplyMixin
from cookieproj.engines.cached_row_store import CachedRowStore
from cookieproj.engines.caches import memory
from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.handover import move_all, move_one
from cookieproj.engines.handover.copy_marks import without_copy_mark
from cookieproj.engines.handover.move_one import SessionMover
from cookieproj.engines.store import Store

# By the name of the fault: the setup that finds it, and the function that injects it.
Fault = tuple[str, Callable[[pytest.MonkeyPatch], object]]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Callable[[pytest.MonkeyPatch], object]], object]:
    """Register a fault that the setup of this name finds."""

    def add(inject: Callable[[pytest.MonkeyPatch], object]) -> None:
        FAULTS[inject.__name__] = name, inject

    return add


def delete_from_old_with(merge_latest: Callable[..., Any], end: Callable[..., Any]) -> Any:
    """Return a ``delete_from_old`` that merges changes, and ends sessions, in the given way."""

    def delete_from_old(self: Any, key: str, old_entry: Any, inserted: Any) -> Any:
        new_entry = inserted
        while not self.old.compare_and_delete(key, old_entry):
            latest = self.old.read(key, with_expiry=True)
            if latest is None or not latest.data:
                return end(self, key, new_entry)
            try:
                new_entry = merge_latest(self, key, old_entry, latest)
            except UpdateError:
                return None
            old_entry = latest
        return new_entry

    return delete_from_old


def merge_into_new(self: Any, key: str, old_entry: Any, latest: Any) -> Any:
    """Merge the old store's changes into the new store's session."""
    base, ours = without_copy_mark(old_entry.data), without_copy_mark(latest.data)
    while new_entry := self.new.read(key):
        data = merge.merge(base, new_entry.data, ours)
        expires = latest.expires or self.expiry_of(data)
        if written := self.new.put(key, new_entry, data, expires):
            return written
    raise UpdateError


def delete_from_new(self: Any, key: str, _new_entry: Any) -> None:
    while (entry := self.new.read(key)) and not self.new.compare_and_delete(key, entry):
        pass


@fault("db to file")
def later_change_overwrites_new_store(patch: pytest.MonkeyPatch) -> None:
    def overwrite(self: Any, key: str, _old_entry: Any, latest: Any) -> Any:
        new_entry = self.new.read(key)
        data = without_copy_mark(latest.decode())
        if new_entry is None:
            raise UpdateError
        return self.new.put(key, new_entry, data, latest.expires or self.expiry_of(data))

    patch.setattr(SessionMover, "delete_from_old", delete_from_old_with(overwrite, delete_from_new))


@fault("db to cache")
def session_ended_in_old_store_stays_in_new(patch: pytest.MonkeyPatch) -> None:
    def keep(_self: Any, _key: str, new_entry: Any) -> Any:
        return new_entry

    patch.setattr(SessionMover, "delete_from_old", delete_from_old_with(merge_into_new, keep))


@fault("db")
def sets_are_compared_by_pickle(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        merge, "stored_alike", lambda first, second: pickle.dumps(first) == pickle.dumps(second)
    )


@fault("db")
def save_does_not_compare(patch: pytest.MonkeyPatch) -> None:
    def put(self: Any, key: str, _old: Any, data: Any, expires: Any) -> Any:
        stored = self.read(key)
        return stored and self.compare_and_swap(key, stored, data, expires)

    patch.setattr(Store, "put", put)


@fault("file")
def merge_ignores_stored_data(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(base, "merge", lambda _base, _theirs, ours: dict(ours))


@fault("db")
def new_key_loses_changes_under_old_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session_keys.SessionKeys, "_merge_from_old_key", lambda *_: None)


@fault("cache")
def old_key_ends_before_new_one_is_saved(patch: pytest.MonkeyPatch) -> None:
    original = session_keys.SessionKeys.cycle_key

    def cycle_key(self: Any) -> None:
        self.save_follows = False
        original(self)

    patch.setattr(session_keys.SessionKeys, "cycle_key", cycle_key)


@fault("file")
def unreachable_store_signs_out(patch: pytest.MonkeyPatch) -> None:
    original = base.Engine.load

    def load(self: Any) -> Any:
        try:
            return original(self)
        except StoreError:
            self._session_key = None
            return {}

    patch.setattr(base.Engine, "load", load)


@fault("db")
def apply_is_not_atomic(patch: pytest.MonkeyPatch) -> None:
    def apply(self: Any, key: str, function: Any, default: Any = None) -> None:
        self[key] = function(self.get(key, default))

    patch.setattr(base.Engine, "apply", apply)


@fault("cached_db")
def copy_replaces_tombstone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory, "is_cache_tombstone", lambda _payload: False)


@fault("cached_db")
def lost_answer_leaves_copy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CachedRowStore, "_or_invalidate", lambda _store, _key, write: write())


@fault("db")
def applied_value_is_merged_like_others(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ApplyMixin, "_apply_again", lambda *_: None)


@fault("cached_db")
def deleted_copy_leaves_no_tombstone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryStore, "write_tombstone", GenericCacheStore.delete)


@fault("db to file")
def ended_session_stays_in_old_store(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SessionMover, "_end_in_old", lambda *_: None)


@fault("db to file")
def handover_leaves_no_tombstone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(move_one, "write_tombstone", lambda *_: None)


@fault("db to cache")
def movesessions_deletes_changed_session(patch: pytest.MonkeyPatch) -> None:
    def delete_from_old(self: Any, key: str, _old_entry: Any, inserted: Any) -> Any:
        self.old.delete(key)
        return inserted

    def between(*arguments: Any, **options: Any) -> Any:
        mover = original(*arguments, **options)
        patch.setattr(SessionMover, "delete_from_old", delete_from_old)
        return mover

    original = move_all.BatchMover.between
    patch.setattr(move_all.BatchMover, "between", between)
