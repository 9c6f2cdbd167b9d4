"""The methods of the ``Store`` protocol on each store, and the ids of stores."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import CreateError
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.clock import from_now
from cookieproj.engines.entries import Entry
from cookieproj.engines.file import SessionStore as FileEngine
from cookieproj.engines.file_store import FileStore
from cookieproj.engines.handover.copy_marks import is_copy, mark_copy
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.store import Store

from .contract import Engine, on_engines

KEY = "k" * 32
OTHER = "o" * 32

pytestmark = on_engines(lambda engine: engine.ours and engine.on_server)


@pytest.fixture
def store(engine: Engine) -> Store:
    return store_of(engine.Store)


def data_of(stored: Entry | None) -> Any:
    return stored and stored.data


def test_insert_read_exists_and_delete_by_key(store: Store) -> None:
    store.insert(KEY, {"a": 1}, from_now(100))
    store.insert(OTHER, {"b": 2}, from_now(100))
    assert (data_of(store.read(KEY)), data_of(store.read(OTHER))) == ({"a": 1}, {"b": 2})
    assert data_of(store.load(KEY)) == {"a": 1}
    assert [store.exists(key) for key in (KEY, OTHER, "x" * 32)] == [True, True, False]
    store.delete(KEY)
    assert (store.read(KEY), data_of(store.read(OTHER))) == (None, {"b": 2})


def test_insert_of_existing_key_raises_create_error(store: Store) -> None:
    store.insert(KEY, {"a": 1}, from_now(100))
    with pytest.raises(CreateError):
        store.insert(KEY, {"b": 2}, from_now(100))
    assert data_of(store.read(KEY)) == {"a": 1}


def test_second_change_of_same_entry_fails(store: Store) -> None:
    old = store.insert(KEY, {"a": 1}, from_now(100))
    new = store.compare_and_swap(KEY, old, {"a": 2}, from_now(100))
    assert data_of(new) == {"a": 2}
    assert store.compare_and_swap(KEY, old, {"a": 3}, from_now(100)) is None
    assert store.touch(KEY, old, from_now(100)) is None
    assert store.compare_and_delete(KEY, old) is False
    assert data_of(store.read(KEY)) == {"a": 2}
    assert new
    assert store.compare_and_delete(KEY, new) is True
    assert store.read(KEY) is None


def test_change_of_deleted_entry_fails(store: Store) -> None:
    old = store.insert(KEY, {"a": 1}, from_now(100))
    store.delete(KEY)
    assert store.compare_and_swap(KEY, old, {"a": 2}, from_now(100)) is None
    assert store.touch(KEY, old, from_now(100)) is None
    assert store.compare_and_delete(KEY, old) is False
    assert store.refresh(KEY, old) is None
    assert not store.exists(KEY)


def test_returned_entries_are_accepted_by_next_change(store: Store) -> None:
    entry: Entry | None = store.insert(KEY, {"a": 1}, from_now(100))
    for change in (store.put, store.compare_and_swap, store.put):
        assert entry
        entry = change(KEY, entry, {"a": 2}, from_now(100))
        assert entry
        entry = store.touch(KEY, entry, from_now(200))
    assert entry
    assert data_of(store.refresh(KEY, entry)) == {"a": 2}
    assert store.compare_and_delete(KEY, entry)


def test_put_moves_expiry_and_purge_frees_expired_key(store: Store, engine: Engine) -> None:
    inserted = store.insert(KEY, {"a": 1}, from_now(5000))
    stored = store.read(KEY, with_expiry=True)
    assert stored
    assert stored.expires
    assert abs(stored.expires - timezone.now() - timedelta(seconds=5000)) < timedelta(seconds=5)
    store.put(KEY, inserted, {"a": 1}, from_now(-1))
    assert store.read(KEY) is None
    store.purge(KEY)
    store.insert(KEY, {"b": 2}, from_now(100))


def test_decode_returns_new_data_each_time(store: Store) -> None:
    store.insert(KEY, {"a": [1]}, from_now(100))
    entry = store.read(KEY)
    assert entry
    first = entry.decode()
    assert first
    first["a"].append(2)
    assert entry.decode() == {"a": [1]}


@on_engines(lambda engine: engine.ours and engine.name == "file")
def test_session_store_ids_distinguish_stores_of_same_kind(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """For example files with the same prefix on two disks."""

    def file_store(name: str) -> FileStore:
        members = {"_storage_path": str(tmp_path / name)}
        return FileStore(type("SessionStore", (FileEngine,), members)())

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first, second = file_store("first"), file_store("second")
    assert first.id == second.id
    copy = Entry(None, lambda: mark_copy({"a": 1}, first))
    assert is_copy(copy, second)
    settings.SESSION_STORE_IDS = {str(first.label): "one", str(second.label): "two"}
    copy = Entry(None, lambda: mark_copy({"a": 1}, first))
    assert (is_copy(copy, first), is_copy(copy, second)) == (True, False)
    # The id stays valid when the folder is renamed.
    (tmp_path / "first").rename(tmp_path / "moved")
    moved = file_store("moved")
    settings.SESSION_STORE_IDS = {str(moved.label): "one"}
    assert is_copy(copy, moved)
