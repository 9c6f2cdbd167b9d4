"""Overridden methods are called like on Django's engines; ``docs/subclassing.md`` lists them."""

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from django.contrib.sessions.backends.cached_db import KEY_PREFIX as CACHED_DB_PREFIX
from django.core.cache import caches
from django.core.management import call_command
from pytest_django import Settings

from cookieproj.engines.db import SessionStore as DBStore
from tests.conftest import forget_folder
from tests.sites import ROOT

from .contract import Engine, Request, on_engines


def recording(store: Any, calls: list[str], *hooks: str) -> Any:
    """Return a subclass that records the calls of these methods and properties."""
    subclass = type("SessionStore", (store,), {})
    for hook in hooks:
        setattr(subclass, hook, recording_member(subclass, calls, hook))
    return subclass


def recording_member(subclass: Any, calls: list[str], hook: str) -> Any:
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(hook)
        return getattr(super(subclass, self), hook)(*arguments, **options)

    async def acall(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(hook)
        return await getattr(super(subclass, self), hook)(*arguments, **options)

    def get(self: Any) -> Any:
        calls.append(hook)
        return getattr(super(subclass, self), hook)

    member: Any = inspect.getattr_static(subclass, hook)
    if isinstance(member, property):
        return property(get)
    if isinstance(member, classmethod):
        return classmethod(call)
    return acall if inspect.iscoroutinefunction(member) else call


# The steps of requests. Each gets a session class, and the key of a stored session.


def begin(store: Any, key: str) -> None:
    store().set(a=1).save()


def read(store: Any, key: str) -> None:
    # Without the copy, cached_db also reads the row.
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
    Hook("create_model_instance", ROWS, [begin, change, resave, cycle]),
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
def test_override_is_called(engine: Engine, half: str) -> None:
    hooks = HOOKS if half == "sync" else AHOOKS
    steps = [(hook, step) for hook in hooks if engine.name in hook.engines for step in hook.steps]
    not_called = [
        (hook.name, step) for hook, step in steps if not calls_of(engine, hook, step, half)
    ]
    assert not_called == []


def calls_of(engine: Engine, hook: Hook, step: Step, half: str) -> list[str]:
    stored = engine.Store()
    stored["a"] = 1
    stored.save()
    calls: list[str] = []
    store = recording(engine.Store, calls, hook.name)
    forget_folder()
    step(lambda key=None: Request(store(key), half), stored.session_key)
    return calls


@on_engines(lambda engine: engine.ours)
@pytest.mark.parametrize("step", [read, change, resave, cycle])
def test_async_code_calls_overridden_load(engine: Engine, step: Step) -> None:
    """On Django's engines it does not."""
    stored = engine.Store()
    stored.save()
    calls: list[str] = []
    store = recording(engine.Store, calls, "load")
    step(lambda key=None: Request(store(key), "async"), stored.session_key)
    assert calls


HALVES = [
    *(("load", read), ("save", resave), ("delete", end), ("create", create)),
    *(("cycle_key", cycle), ("flush", end)),
]


@on_engines(lambda engine: engine.ours or engine.name in ROWS | CACHE)
@pytest.mark.parametrize("half", ["sync", "async"])
@pytest.mark.parametrize(("name", "step"), HALVES)
def test_only_called_half_of_overridden_pair_is_called(
    engine: Engine, name: str, step: Step, half: str
) -> None:
    """In Django's file and cookie engines, the async half calls the sync half."""
    stored = engine.Store()
    stored["a"] = 1
    stored.save()
    calls: list[str] = []
    store = recording(engine.Store, calls, name, f"a{name}")
    step(lambda key=None: Request(store(key), half), stored.session_key)
    assert calls == [name if half == "sync" else f"a{name}"]


def test_clearsessions_calls_overridden_clear_expired(
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


def test_document_lists_all_hooks() -> None:
    document = (ROOT / "docs" / "subclassing.md").read_text()
    assert {hook.name for hook in HOOKS + AHOOKS if f"`{hook.name}`" not in document} == set()
