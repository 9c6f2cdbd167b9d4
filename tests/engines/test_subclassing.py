"""What a subclass overrides is called, and takes effect, as on Django's engines.

``docs/subclassing.md`` lists it. Each test runs on a subclass of our store, and on one of Django's.
"""

import inspect
import pickle
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.backends.cached_db import KEY_PREFIX as CACHED_DB_PREFIX
from django.core.cache import caches
from django.core.management import call_command
from django.utils import timezone
from django.utils.crypto import get_random_string
from pytest_django import Settings

from cookieproj.engines.db import SessionStore as DBStore
from tests.conftest import forget_folder
from tests.sites import ROOT

from .contract import Engine, Request, on_engines


def made(engine: Engine, **members: Any) -> Any:
    """A subclass of the engine's store, of that name, as Django's salt holds it."""
    return type("SessionStore", (engine.Store,), members)


def noting(store: Any, calls: list[str], *hooks: str) -> Any:
    """A subclass that notes each call of these, and goes on."""
    noted = type("SessionStore", (store,), {})
    for hook in hooks:
        setattr(noted, hook, noting_one(noted, calls, hook))
    return noted


def noting_one(noted: Any, calls: list[str], hook: str) -> Any:
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(hook)
        return getattr(super(noted, self), hook)(*arguments, **options)

    async def acall(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(hook)
        return await getattr(super(noted, self), hook)(*arguments, **options)

    def get(self: Any) -> Any:
        calls.append(hook)
        return getattr(super(noted, self), hook)

    member: Any = inspect.getattr_static(noted, hook)
    if isinstance(member, property):
        return property(get)
    if isinstance(member, classmethod):
        return classmethod(call)
    return acall if inspect.iscoroutinefunction(member) else call


# What requests do. Each is given a store, and the key of a session that is stored.


def begin(store: Any, key: str) -> None:
    store().set(a=1).save()


def read(store: Any, key: str) -> None:
    # So that it is read in the table, too.
    caches["sessions"].delete(f"{CACHED_DB_PREFIX}{key}")
    store(key).get("a")


def change(store: Any, key: str) -> None:
    store(key).set(b=2).save()


def resave(store: Any, key: str) -> None:
    session = store(key)
    session.get("a")
    session.save()


def cycle(store: Any, key: str) -> None:
    store(key).cycle_key()


def end(store: Any, key: str) -> None:
    store(key).flush()


def create(store: Any, key: str) -> None:
    store().create()


ROWS, FILES, CACHE, COOKIE = {"db", "cached_db"}, {"file"}, {"cache"}, {"signed_cookies"}
SERVER = ROWS | FILES | CACHE
ENCODED = ROWS | FILES


Step = Callable[[Any, str], None]


class Hook(NamedTuple):
    name: str
    engines: set[str]
    steps: list[Step]


HOOKS = [
    Hook("load", SERVER | COOKIE, [read, change, resave, cycle]),
    Hook("save", SERVER, [create, begin]),
    Hook("save", COOKIE, [cycle]),
    Hook("create", SERVER, [begin, cycle]),
    Hook("delete", SERVER, [cycle]),
    Hook("delete", SERVER | COOKIE, [end]),
    Hook("exists", SERVER, [begin, create, cycle]),
    Hook("clear", SERVER | COOKIE, [end]),
    Hook("encode", ENCODED, [begin, change, create, cycle]),
    Hook("decode", ENCODED, [read]),
    Hook("key_salt", ENCODED, [begin, read]),
    Hook("_get_new_session_key", SERVER, [begin, create, cycle]),
    Hook("_get_or_create_session_key", ROWS | CACHE, [begin, change]),
    Hook("_validate_session_key", SERVER | COOKIE, [begin, read]),
    Hook("get_session_cookie_age", ROWS | CACHE, [begin, change, resave]),
    Hook("get_session_cookie_age", COOKIE | FILES, [read]),
    Hook("get_expiry_date", ROWS, [begin, change, resave]),
    Hook("get_expiry_age", CACHE, [begin, change, resave]),
    Hook("get_expiry_age", FILES, [read]),
    Hook("get_model_class", ROWS, [begin, read, change]),
    Hook("create_model_instance", ROWS, [begin, change, resave]),
    Hook("_get_session_from_db", ROWS, [read]),
    Hook("cache_key", CACHE, [begin, read, change, resave]),
    Hook("_key_to_file", FILES, [begin, read, change, resave, cycle, end]),
    Hook("_get_storage_path", FILES, [begin, read]),
    Hook("_last_modification", FILES, [read]),
    Hook("_expiry_date", FILES, [read]),
    Hook("_get_session_key", COOKIE, [begin, cycle]),
]

AHOOKS = [
    Hook("aload", SERVER | COOKIE, [read, change, resave]),
    Hook("aload", SERVER, [cycle]),
    Hook("asave", ROWS | CACHE, [create, begin]),
    Hook("acreate", ROWS | CACHE, [begin, cycle]),
    Hook("adelete", ROWS | CACHE, [cycle]),
    Hook("adelete", SERVER | COOKIE, [end]),
    Hook("aexists", ROWS | CACHE, [begin, cycle]),
    Hook("_aget_session", SERVER | COOKIE, [read, resave]),
    Hook("_aget_new_session_key", ROWS | CACHE, [begin, create, cycle]),
    Hook("acreate_model_instance", ROWS, [begin, change, resave]),
    Hook("_aget_session_from_db", ROWS, [read]),
    Hook("aget_expiry_age", CACHE, [begin, change, resave]),
]


@pytest.mark.parametrize("half", ["sync", "async"])
def test_an_override_is_called(engine: Engine, half: str) -> None:
    hooks = HOOKS if half == "sync" else AHOOKS
    steps = [(hook, step) for hook in hooks if engine.name in hook.engines for step in hook.steps]
    assert [(hook.name, step) for hook, step in steps if not called(engine, hook, step, half)] == []


def called(engine: Engine, hook: Hook, step: Step, half: str) -> list[str]:
    stored = engine.Store()
    stored["a"] = 1
    stored.save()
    calls: list[str] = []
    store = noting(engine.Store, calls, hook.name)
    forget_folder()
    step(lambda key=None: Request(store(key), half), stored.session_key)
    return calls


@on_engines(lambda engine: engine.ours)
@pytest.mark.parametrize("step", [read, change, resave, cycle])
def test_one_of_load_alone_serves_async_views_too(engine: Engine, step: Step) -> None:
    """Those of Django's engines go round it."""
    stored = engine.Store()
    stored.save()
    calls: list[str] = []
    store = noting(engine.Store, calls, "load")
    step(lambda key=None: Request(store(key), "async"), stored.session_key)
    assert calls


HALVES = [
    *(("load", read), ("save", resave), ("delete", end), ("create", create)),
    *(("cycle_key", cycle), ("flush", end)),
]


@on_engines(lambda engine: engine.ours or engine.name in ROWS | CACHE)
@pytest.mark.parametrize("half", ["sync", "async"])
@pytest.mark.parametrize(("name", "step"), HALVES)
def test_of_two_halves_that_are_overridden_the_one_that_is_called_counts(
    engine: Engine, name: str, step: Step, half: str
) -> None:
    """Not the other as well; Django's engines of files and cookies go from one to the other."""
    stored = engine.Store()
    stored["a"] = 1
    stored.save()
    calls: list[str] = []
    store = noting(engine.Store, calls, name, f"a{name}")
    step(lambda key=None: Request(store(key), half), stored.session_key)
    assert calls == [name if half == "sync" else f"a{name}"]


def saved(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


class Pickles:
    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, value: bytes) -> Any:
        return pickle.loads(value)


files = on_engines(lambda engine: engine.name in FILES)


@on_engines(lambda engine: engine.name in {"db", "file"})
def test_a_payload_of_another_form(engine: Engine) -> None:
    """Which holds what the serializer of the settings could not."""
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
def test_a_serializer(engine: Engine) -> None:
    def init(self: Any, session_key: str | None = None) -> None:
        super(store, self).__init__(session_key)
        self.serializer = Pickles

    store = made(engine, __init__=init)
    moment = datetime.now(UTC)
    session = saved(store, moment=moment)
    if engine.name == "cached_db":
        session._cache.clear()
    assert store(session.session_key)["moment"] == moment


@on_engines(lambda engine: engine.name in {"db", "file"})
def test_a_salt(engine: Engine) -> None:
    store = made(engine, key_salt="of its own")
    session = saved(store, a=1)
    assert engine.Store(session.session_key).get("a") is None
    assert store(session.session_key)["a"] == 1


@on_engines(lambda engine: engine.on_server)
def test_the_age_of_a_cookie(engine: Engine) -> None:
    session = saved(made(engine, get_session_cookie_age=lambda self: -60), a=1)
    assert session.get_expiry_age() == -60
    if engine.name == "cached_db":
        session._cache.clear()
    store = made(engine, get_session_cookie_age=lambda self: -60)
    assert dict(store(session.session_key).items()) == {}


@on_engines(lambda engine: engine.name in FILES | CACHE)
def test_the_age_of_a_session(engine: Engine) -> None:
    store = made(engine, get_expiry_age=lambda self, **options: -1)
    assert dict(store(saved(store, a=1).session_key).items()) == {}


@on_engines(lambda engine: engine.on_server)
def test_what_exists_is_never_a_new_key(engine: Engine) -> None:
    """As where another table has keys that are not to be given twice."""
    asked: list[str] = []

    def exists(self: Any, key: str) -> bool:
        asked.append(key)
        return len(asked) < 3 or super(store, self).exists(key)

    store = made(engine, exists=exists)
    assert saved(store, a=1).session_key == asked[2]


@on_engines(lambda engine: engine.on_server)
def test_whatever_belongs_to_a_session_goes_with_its_key(engine: Engine) -> None:
    gone: list[Any] = []

    def delete(self: Any, session_key: str | None = None) -> None:
        gone.append(session_key or self.session_key)
        super(store, self).delete(session_key)

    store = made(engine, delete=delete)
    session = saved(store, a=1)
    first = session.session_key
    session.cycle_key()
    assert gone == [first]
    session.save()
    assert dict(store(session.session_key).items()) == {"a": 1}
    assert dict(engine.Store(first).items()) == {}


@files
def test_files_of_another_name_in_another_folder(engine: Engine, tmp_path: Path) -> None:
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
@pytest.mark.parametrize("hook", ["_storage_path", "_get_storage_path"])
def test_a_folder(engine: Engine, tmp_path: Path, hook: str) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    found = str(folder)
    member: Any = found if hook == "_storage_path" else classmethod(lambda cls: found)
    saved(made(engine, **{hook: member}), a=1)
    assert list(folder.glob("sessionid*"))


@files
@pytest.mark.parametrize("hook", ["_last_modification", "_expiry_date"])
def test_the_time_of_a_file(engine: Engine, hook: str) -> None:
    long_ago = timezone.now() - timedelta(days=99)
    store = made(engine, **{hook: lambda self, *data: long_ago})
    session = saved(engine.Store, a=1)
    assert dict(store(session.session_key).items()) == {}


@files
@on_engines(lambda engine: engine.ours and engine.name == "file")
def test_and_what_is_cleared_goes_by_it(engine: Engine) -> None:
    long_ago = timezone.now() - timedelta(days=99)
    store = made(engine, _last_modification=lambda self: long_ago)
    session = saved(engine.Store, a=1)
    assert engine.Store.clear_expired() == 0
    assert store.clear_expired() == 1
    assert not engine.Store().exists(session.session_key)


@on_engines(lambda engine: engine.name in CACHE)
def test_a_prefix(engine: Engine) -> None:
    session = saved(made(engine, cache_key_prefix="of-its-own-"), a=1)
    assert caches["sessions"].get(f"of-its-own-{session.session_key}") is not None


@on_engines(lambda engine: engine.name in CACHE)
def test_a_cache(engine: Engine, settings: Settings) -> None:
    def init(self: Any, session_key: str | None = None) -> None:
        super(store, self).__init__(session_key)
        self._cache = caches["default"]

    store = made(engine, __init__=init)
    session = saved(store, a=1)
    assert dict(store(session.session_key).items()) == {"a": 1}
    assert dict(engine.Store(session.session_key).items()) == {}


@on_engines(lambda engine: engine.name in COOKIE)
def test_another_cookie(engine: Engine) -> None:
    store = made(engine, _get_session_key=lambda self: "c" * 99)
    assert saved(store, a=1).session_key == "c" * 99


def test_the_command_clears_by_what_a_subclass_has_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    calls: list[str] = []
    module: Any = ModuleType("own_engine")
    module.SessionStore = type(
        "SessionStore", (DBStore,), {"clear_expired": classmethod(lambda cls: calls.append("all"))}
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    settings.SESSION_ENGINE = module.__name__
    call_command("clearsessions", verbosity=0)
    assert calls == ["all"]


def test_each_hook_is_in_the_document() -> None:
    document = (ROOT / "docs" / "subclassing.md").read_text()
    assert {hook.name for hook in HOOKS + AHOOKS if f"`{hook.name}`" not in document} == set()
