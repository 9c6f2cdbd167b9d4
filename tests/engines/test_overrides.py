"""Overrides have the same effect on a subclass of our engine as on one of Django's."""

import gc
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, SessionBase
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.core.cache import caches
from django.utils import timezone
from django.utils.crypto import get_random_string
from pytest_django import Settings

from cookieproj.engines.db import SessionStore as DBStore
from cookieproj.engines.handover_mixin import class_and_composer
from cookieproj.engines.subclass_hooks import overrides

from .contract import Engine, on_engines
from .test_subclassing import CACHE, COOKIE, ENCODED, FILES


def made(engine: Engine, **members: Any) -> Any:
    """Return a subclass of the engine's session. Django's salt contains its name."""
    return made_of(engine.Store, **members)


def made_of(session_class: type, **members: Any) -> Any:
    return type("SessionStore", (session_class,), members)


def test_classes_of_trials_are_freed() -> None:
    """Pages try an engine with a class of its own, at each request of a visitor."""
    for _ in range(600):
        class_and_composer(made_of(DBStore))
        overrides(made_of(DBStore), "save")
    gc.collect()
    assert len(DBStore.__subclasses__()) < 400


def saved(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


class PickleSerializer:
    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, value: bytes) -> Any:
        return pickle.loads(value)


files = on_engines(lambda engine: engine.name in FILES)


@on_engines(lambda engine: engine.name in {"db", "file"})
def test_encode_and_decode_can_store_other_types(engine: Engine) -> None:
    """A JSON serializer could not store the datetime."""
    store = made(
        engine,
        encode=lambda self, data: pickle.dumps(data).hex(),
        decode=lambda self, payload: pickle.loads(bytes.fromhex(payload)),
    )
    moment = datetime.now(UTC)
    session = saved(store, moment=moment)
    again = store(session.session_key)
    assert again["moment"] == moment
    again["b"] = 2
    again.save()
    assert dict(store(again.session_key).items()) == {"moment": moment, "b": 2}


@on_engines(lambda engine: engine.name in ENCODED | COOKIE)
def test_serializer_attribute_is_used(engine: Engine) -> None:
    def init(self: Any, session_key: str | None = None) -> None:
        super(store, self).__init__(session_key)
        self.serializer = PickleSerializer

    store = made(engine, __init__=init)
    moment = datetime.now(UTC)
    session = saved(store, moment=moment)
    if engine.name == "cached_db":
        session._cache.clear()
    assert store(session.session_key)["moment"] == moment


@on_engines(lambda engine: engine.name in {"db", "file"})
def test_key_salt_separates_sessions(engine: Engine) -> None:
    store = made(engine, key_salt="of its own")
    session = saved(store, a=1)
    assert engine.Store(session.session_key).get("a") is None
    assert store(session.session_key)["a"] == 1


@on_engines(lambda engine: engine.on_server)
def test_get_session_cookie_age_sets_expiry(engine: Engine) -> None:
    session = saved(made(engine, get_session_cookie_age=lambda self: -60), a=1)
    assert session.get_expiry_age() == -60
    if engine.name == "cached_db":
        session._cache.clear()
    store = made(engine, get_session_cookie_age=lambda self: -60)
    assert dict(store(session.session_key).items()) == {}


@on_engines(lambda engine: engine.name in FILES | CACHE)
def test_get_expiry_age_sets_expiry(engine: Engine) -> None:
    store = made(engine, get_expiry_age=lambda self, **options: -1)
    assert dict(store(saved(store, a=1).session_key).items()) == {}


@on_engines(lambda engine: engine.name in FILES | CACHE)
def test_get_expiry_age_of_a_class_behind_the_engine_sets_expiry(engine: Engine) -> None:
    class Expired(SessionBase):
        def get_expiry_age(self, **options: Any) -> int:
            return -1

    store: Any = type("SessionStore", (engine.Store, Expired), {})
    assert dict(store(saved(store, a=1).session_key).items()) == {}


@on_engines(lambda engine: engine.on_server)
def test_new_key_is_one_for_which_exists_is_false(engine: Engine) -> None:
    """For example if another table has keys that must not be used again."""
    tried: list[str] = []

    def exists(self: Any, key: str) -> bool:
        tried.append(key)
        return len(tried) < 3 or super(store, self).exists(key)

    store = made(engine, exists=exists)
    assert saved(store, a=1).session_key == tried[2]


@on_engines(lambda engine: engine.on_server)
def test_cycle_key_calls_delete_with_old_key(engine: Engine) -> None:
    deleted: list[Any] = []

    def delete(self: Any, session_key: str | None = None) -> None:
        deleted.append(session_key or self.session_key)
        super(store, self).delete(session_key)

    store = made(engine, delete=delete)
    session = saved(store, a=1)
    first = session.session_key
    session.cycle_key()
    assert deleted == [first]
    session.save()
    assert dict(store(session.session_key).items()) == {"a": 1}
    assert dict(engine.Store(first).items()) == {}


@on_engines(lambda engine: engine.on_server)
def test_cycle_key_calls_save(engine: Engine) -> None:
    """An override may log each save, or add data to each session that is stored."""
    saves: list[tuple[str, bool]] = []

    def save(self: Any, must_create: bool = False) -> None:
        if self.session_key is not None:
            saves.append((self.session_key, must_create))
            self["saves"] = self.get("saves", 0) + 1
        super(store, self).save(must_create)

    store = made(engine, save=save)
    first = saved(store, a=1).session_key
    session = store(first)
    assert session["a"] == 1
    saves.clear()
    session.cycle_key()
    assert saves == [(session.session_key, True)]
    assert dict(store(session.session_key).items()) == {"a": 1, "saves": 2}
    assert dict(engine.Store(first).items()) == {}


@on_engines(lambda engine: engine.on_server)
def test_cycle_key_works_if_init_needs_more_arguments(engine: Engine) -> None:
    def init(self: Any, session_key: str | None = None, *, address: str) -> None:
        super(store, self).__init__(session_key)
        self.address = address

    store = made(engine, __init__=init)
    session = store(address="127.0.0.1")
    session["a"] = 1
    session.save()
    first = session.session_key
    session.cycle_key()
    session.save()
    assert session.session_key != first
    assert dict(store(session.session_key, address="127.0.0.1").items()) == {"a": 1}
    assert dict(engine.Store(first).items()) == {}


@files
def test_key_to_file_sets_name_and_folder(engine: Engine, tmp_path: Path) -> None:
    def key_to_file(self: Any, session_key: str | None = None) -> str:
        key = session_key or self._get_or_create_session_key()
        folder = tmp_path / key[:2].lower()
        folder.mkdir(exist_ok=True)
        return str(folder / f"{key}.session")

    store = made(
        engine,
        _key_to_file=key_to_file,
        _get_new_session_key=lambda self: "X_" + get_random_string(30, VALID_KEY_CHARS),
    )
    session = saved(store, a=1)
    assert (tmp_path / "x_" / f"{session.session_key}.session").exists()
    again = store(session.session_key)
    again["b"] = 2
    again.save()
    again.cycle_key()
    again.save()
    assert dict(store(again.session_key).items()) == {"a": 1, "b": 2}
    assert not store().exists(session.session_key)
    again.flush()
    assert not list(tmp_path.rglob("*.session"))


@files
def test_key_to_file_refuses_keys(engine: Engine) -> None:
    key = saved(engine.Store, a=1).session_key

    def key_to_file(self: Any, session_key: str | None = None) -> str:
        if (session_key or self.session_key) == key:
            raise InvalidSessionKey
        path: str = super(store, self)._key_to_file(session_key)
        return path

    store = made(engine, _key_to_file=key_to_file)
    session = store(key)
    assert dict(session.items()) == {}
    assert session.session_key is None


@files
@pytest.mark.parametrize("hook", ["_storage_path", "_get_storage_path"])
def test_storage_path_sets_folder(engine: Engine, tmp_path: Path, hook: str) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    path = str(folder)
    member: Any = path if hook == "_storage_path" else classmethod(lambda cls: path)
    saved(made(engine, **{hook: member}), a=1)
    assert list(folder.glob("sessionid*"))


@files
@pytest.mark.parametrize("hook", ["_last_modification", "_expiry_date"])
def test_last_modification_and_expiry_date_set_expiry_of_file(engine: Engine, hook: str) -> None:
    long_ago = timezone.now() - timedelta(days=99)
    store = made(engine, **{hook: lambda self, *data: long_ago})
    session = saved(engine.Store, a=1)
    assert dict(store(session.session_key).items()) == {}


@files
@on_engines(lambda engine: engine.ours and engine.name == "file")
def test_clear_expired_uses_last_modification(engine: Engine) -> None:
    long_ago = timezone.now() - timedelta(days=99)
    store = made(engine, _last_modification=lambda self: long_ago)
    session = saved(engine.Store, a=1)
    assert engine.Store.clear_expired() == 0
    assert store.clear_expired() == 1
    assert not engine.Store().exists(session.session_key)


@on_engines(lambda engine: engine.name in CACHE)
def test_cache_key_prefix_is_used(engine: Engine) -> None:
    session = saved(made(engine, cache_key_prefix="own-"), a=1)
    assert caches["sessions"].get(f"own-{session.session_key}") is not None


@on_engines(lambda engine: engine.name in CACHE)
def test_cache_attribute_is_used(engine: Engine, settings: Settings) -> None:
    def init(self: Any, session_key: str | None = None) -> None:
        super(store, self).__init__(session_key)
        self._cache = caches["default"]

    store = made(engine, __init__=init)
    session = saved(store, a=1)
    assert dict(store(session.session_key).items()) == {"a": 1}
    assert dict(engine.Store(session.session_key).items()) == {}


@on_engines(lambda engine: engine.name in COOKIE)
def test_get_session_key_sets_cookie(engine: Engine) -> None:
    store = made(engine, _get_session_key=lambda self: "c" * 99)
    assert saved(store, a=1).session_key == "c" * 99
