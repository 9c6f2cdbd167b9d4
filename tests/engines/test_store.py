"""A store by itself: what the protocol says of all of them, and what tells one from another."""

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


def test_it_keeps_what_it_is_told_under_the_key_that_it_is_told(store: Store) -> None:
    store.insert(KEY, {"a": 1}, from_now(100))
    store.insert(OTHER, {"b": 2}, from_now(100))
    assert (data_of(store.read(KEY)), data_of(store.read(OTHER))) == ({"a": 1}, {"b": 2})
    assert data_of(store.load(KEY)) == {"a": 1}
    assert [store.exists(key) for key in (KEY, OTHER, "x" * 32)] == [True, True, False]
    store.delete(KEY)
    assert (store.read(KEY), data_of(store.read(OTHER))) == (None, {"b": 2})


def test_a_key_that_is_taken_is_not_taken_again(store: Store) -> None:
    store.insert(KEY, {"a": 1}, from_now(100))
    with pytest.raises(CreateError):
        store.insert(KEY, {"b": 2}, from_now(100))
    assert data_of(store.read(KEY)) == {"a": 1}


def test_of_two_that_go_by_the_same_one_wins(store: Store) -> None:
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


def test_what_is_not_there_is_not_changed(store: Store) -> None:
    old = store.insert(KEY, {"a": 1}, from_now(100))
    store.delete(KEY)
    assert store.compare_and_swap(KEY, old, {"a": 2}, from_now(100)) is None
    assert store.touch(KEY, old, from_now(100)) is None
    assert store.compare_and_delete(KEY, old) is False
    assert store.refresh(KEY, old) is None
    assert not store.exists(KEY)


def test_each_step_gives_what_the_next_goes_by(store: Store) -> None:
    held: Entry | None = store.insert(KEY, {"a": 1}, from_now(100))
    for step in (store.put, store.compare_and_swap, store.put):
        assert held
        held = step(KEY, held, {"a": 2}, from_now(100))
        assert held
        held = store.touch(KEY, held, from_now(200))
    assert held
    assert data_of(store.refresh(KEY, held)) == {"a": 2}
    assert store.compare_and_delete(KEY, held)


def test_it_expires_when_it_is_told(store: Store, engine: Engine) -> None:
    held = store.insert(KEY, {"a": 1}, from_now(5000))
    found = store.read(KEY, with_expiry=True)
    assert found
    assert found.expires
    assert abs(found.expires - timezone.now() - timedelta(seconds=5000)) < timedelta(seconds=5)
    store.put(KEY, held, {"a": 1}, from_now(-1))
    assert store.read(KEY) is None
    # It makes room for another.
    store.purge(KEY)
    store.insert(KEY, {"b": 2}, from_now(100))


def test_what_it_gives_is_nobody_elses(store: Store) -> None:
    store.insert(KEY, {"a": [1]}, from_now(100))
    found = store.read(KEY)
    assert found
    first = found.decode()
    assert first
    first["a"].append(2)
    assert found.decode() == {"a": [1]}


@on_engines(lambda engine: engine.ours and engine.name == "file")
def test_two_of_one_kind_can_be_told_apart(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """Both are files with the same prefix, and each on a disk of its own, say."""
    stores = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        kind = type("SessionStore", (FileEngine,), {"_storage_path": str(tmp_path / name)})
        stores.append(FileStore(kind()))
    one, two = stores
    assert one.id == two.id
    copy = Entry(None, lambda: mark_copy({"a": 1}, one))
    assert is_copy(copy, two)
    settings.SESSION_STORE_IDS = {str(one.label): "one", str(two.label): "two"}
    copy = Entry(None, lambda: mark_copy({"a": 1}, one))
    assert (is_copy(copy, one), is_copy(copy, two)) == (True, False)
    # The id stays as the folder gets another name.
    (tmp_path / "one").rename(tmp_path / "moved")
    kind = type("SessionStore", (FileEngine,), {"_storage_path": str(tmp_path / "moved")})
    moved = FileStore(kind())
    settings.SESSION_STORE_IDS = {str(moved.label): "one"}
    assert is_copy(copy, moved)
