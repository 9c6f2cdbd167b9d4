"""What every engine that keeps sessions on the server promises, whoever wrote it.

    pytest tests/engines/test_contract.py --engine some.package.backend

holds any other engine to it; ``--database`` and ``--cache`` choose the real store that
it gets. Where Django's engines are known to fail they are expected to, and the summary
says what was seen of each (``-rx``).
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pickle import PicklingError
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches
from django.db import DatabaseError, connections
from django.utils import timezone

from .conftest import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.name != "signed_cookies")

THREADS, PROCESSES, KEYS = 20, 8, 10

# Of Django's engines, those that are known to break a promise.
ALL = frozenset({"db", "cache", "file", "cached_db"})
NONE: frozenset[str] = frozenset()

Open = Callable[..., "Request"]


class Request:
    """One request's session, used through one half of Django's interface, sync or async."""

    def __init__(self, store: Any, half: str) -> None:
        self.store = store
        self.half = half

    def __getattr__(self, name: str) -> Any:
        if self.half == "async" and hasattr(self.store, f"a{name}"):
            return async_to_sync(getattr(self.store, f"a{name}"))
        return getattr(self.store, name)

    def set(self, **values: Any) -> "Request":
        self.update(values)
        return self

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.items())


@pytest.fixture(params=["sync", "async"])
def request_for(engine: Engine, request: pytest.FixtureRequest) -> Open:
    """A request with that session key in its cookie."""
    return lambda session_key=None: Request(engine.Store(session_key), request.param)


@pytest.fixture
def key(request_for: Open) -> str:
    """The key of a stored session."""
    first = request_for().set(a=1, b=2)
    first.save()
    session_key: str = first.session_key
    return session_key


def kept(engine: Engine, promise: bool, seen: object, broken_by: frozenset[str] = NONE) -> None:
    """The promise holds; or it is Django's engine, known to break it, and still does."""
    if engine.djangos and engine.name in broken_by:
        assert not promise, f"Django keeps this now: {seen}"
        pytest.xfail(str(seen))
    assert promise, seen


def test_threads_lose_no_write(engine: Engine) -> None:
    """Each writes keys of its own, and all have read the session before any saves it."""
    session = engine.Store()
    session.create()
    everybody = threading.Barrier(THREADS)

    def work(writer: int) -> None:
        try:
            for number in range(KEYS):
                session = engine.Store(session_key)
                session[f"{writer}-{number}"] = number
                everybody.wait(timeout=60)
                session.save()
                everybody.wait(timeout=60)
        finally:
            connections.close_all()
            caches.close_all()

    session_key = session.session_key
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    found = len(engine.Store(session_key).keys())
    kept(engine, found == THREADS * KEYS, f"{found} of {THREADS * KEYS} writes kept", ALL)


@on_engines(lambda engine: engine.cache != "memory")
def test_processes_lose_no_write(engine: Engine, environment: dict[str, str]) -> None:
    session = engine.Store()
    session.create()
    command = [sys.executable, "-m", "tests.engines.writer", session.session_key]
    writers = [
        subprocess.Popen(
            [*command, str(number)],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    with ExitStack() as stack:
        for writer in writers:
            stack.enter_context(writer)
        for _ in range(KEYS):
            assert in_step(writers) == ["read\n"] * PROCESSES
            assert in_step(writers) == ["saved\n"] * PROCESSES
    assert [writer.returncode for writer in writers] == [0] * PROCESSES
    found = len(engine.Store(session.session_key).keys())
    kept(engine, found == PROCESSES * KEYS, f"{found} of {PROCESSES * KEYS} writes kept", ALL)


def in_step(writers: list[subprocess.Popen[str]]) -> list[str]:
    """Let all of them take a step at once, and wait for what each says."""
    for writer in writers:
        print(file=writer.stdin, flush=True)
    return [writer.stdout.readline() for writer in writers if writer.stdout]


def test_two_requests_change_different_keys(engine: Engine, request_for: Open, key: str) -> None:
    one, other = request_for(key), request_for(key)
    one.set(c=3)
    other.set(d=4)
    one.save()
    other.save()
    data = request_for(key).data
    kept(engine, data == {"a": 1, "b": 2, "c": 3, "d": 4}, data, ALL)


def test_the_later_save_of_one_key_wins(request_for: Open, key: str) -> None:
    one, other = request_for(key), request_for(key)
    one.set(a="one")
    other.set(a="other")
    other.save()
    one.save()
    assert request_for(key).data == {"a": "one", "b": 2}


def test_a_deleted_key_stays_deleted(engine: Engine, request_for: Open, key: str) -> None:
    one, other = request_for(key), request_for(key)
    one.pop("a")
    other.set(c=3)
    one.save()
    other.save()
    data = request_for(key).data
    kept(engine, data == {"b": 2, "c": 3}, data, ALL)


def test_a_key_that_the_other_set_is_not_deleted(
    engine: Engine, request_for: Open, key: str
) -> None:
    one, other = request_for(key), request_for(key)
    one.set(a="new")
    other.pop("a")
    one.save()
    other.save()
    data = request_for(key).data
    kept(engine, data == {"a": "new", "b": 2}, data, ALL)


def test_an_emptied_session_keeps_what_came_meanwhile(
    engine: Engine, request_for: Open, key: str
) -> None:
    one, other = request_for(key), request_for(key)
    other.get("a")
    one.set(c=3)
    one.save()
    other.clear()
    other.save()
    data = request_for(key).data
    kept(engine, data == {"c": 3}, data, ALL)


def test_a_session_emptied_unread_is_empty(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.clear()
    session.set(new=1)
    session.save()
    assert request_for(key).data == {"new": 1}


def test_a_change_inside_a_value_is_kept(request_for: Open) -> None:
    first = request_for().set(cart=["tea"])
    first.save()
    session = request_for(first.session_key)
    session.get("cart").append("milk")
    session.store.modified = True
    session.save()
    assert request_for(first.session_key).data == {"cart": ["tea", "milk"]}


def test_a_value_that_somebody_holds_is_still_the_sessions_after_a_merge(
    request_for: Open, key: str
) -> None:
    session = request_for(key).set(cart=["tea"])
    cart = session.get("cart")
    request_for(key).set(c=3).save()
    session.save()
    cart.append("milk")
    session.save()
    assert request_for(key).get("cart") == ["tea", "milk"]


def test_what_came_from_another_request_can_be_changed_too(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key)
    session.get("a")
    request_for(key).set(cart=["tea"]).save()
    session.save()
    session.setdefault("cart", []).append("milk")
    session.save()
    cart = request_for(key).get("cart")
    kept(engine, cart == ["tea", "milk"], cart, ALL)


def test_a_look_at_what_is_stored_undoes_nothing(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key).set(c=3)
    request_for(key).set(a="other", d=4).save()
    assert session.load() == {"a": "other", "b": 2, "d": 4}
    assert session.data == {"a": 1, "b": 2, "c": 3}
    session.save()
    data = request_for(key).data
    kept(engine, data == {"a": "other", "b": 2, "c": 3, "d": 4}, data, ALL)


def test_a_second_save_undoes_nothing_of_the_others(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key).set(c=3)
    for number in range(3):
        request_for(key).set(**{f"other-{number}": number}).save()
        session.set(d=number)
        session.save()
    data = request_for(key).data
    mine, theirs = {"c": 3, "d": 2}, {f"other-{number}": number for number in range(3)}
    kept(engine, data == {"a": 1, "b": 2, **mine, **theirs}, data, ALL)


def test_a_session_that_was_flushed_is_never_brought_back(request_for: Open, key: str) -> None:
    one, other = request_for(key).set(c=3), request_for(key)
    other.flush()
    with pytest.raises(UpdateError):
        one.save()
    assert not request_for().exists(key)
    assert request_for(key).data == {}


def test_nor_under_a_new_key(engine: Engine, request_for: Open, key: str) -> None:
    """As when a password is changed in one tab and the other signs out."""
    one, other = request_for(key).set(c=3), request_for(key)
    other.flush()
    one.cycle_key()
    try:
        one.save()
    except UpdateError:
        ended = True
    else:
        ended = not one.exists(one.session_key)
    kept(engine, ended, "signed out in one tab, still stored under a new key", ALL)


def test_flush_ends_the_session_and_takes_another_key(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.flush()
    assert session.session_key is None
    assert not request_for().exists(key)
    session.set(x=1)
    session.save()
    assert session.session_key not in {None, key}
    assert request_for(session.session_key).data == {"x": 1}


def test_cycle_key_leaves_nothing_under_the_old_key(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.cycle_key()
    assert session.session_key not in {None, key}
    assert session.modified
    assert not request_for().exists(key)
    session.set(c=3)
    session.save()
    assert request_for(session.session_key).data == {"a": 1, "b": 2, "c": 3}
    assert request_for(key).data == {}


def test_cycle_key_takes_along_what_came_meanwhile(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key).set(c=3)
    request_for(key).set(d=4).save()
    session.cycle_key()
    session.save()
    data = request_for(session.session_key).data
    kept(engine, data == {"a": 1, "b": 2, "c": 3, "d": 4}, data, ALL)


def test_the_row_is_there_as_soon_as_the_key_is(request_for: Open, key: str) -> None:
    """Receivers of user_logged_in refer to the session by its new key."""
    session = request_for(key)
    session.cycle_key()
    assert request_for().exists(session.session_key)
    fresh = request_for()
    fresh.cycle_key()
    assert request_for().exists(fresh.session_key)


def test_an_unknown_key_is_not_taken_over(request_for: Open) -> None:
    """A key of the visitor's choosing would be a fixed session."""
    session = request_for("k" * 32)
    assert session.data == {}
    assert session.session_key is None
    session.set(a=1)
    session.save()
    assert session.session_key != "k" * 32
    assert not request_for().exists("k" * 32)


@pytest.mark.parametrize(
    "wrong", ["", "short", "with blank in it", "new\nline-key", "ключ" * 8, "k" * 300]
)
def test_what_cannot_be_a_key_is_none(request_for: Open, wrong: str) -> None:
    session = request_for(wrong)
    assert session.data == {}
    assert session.session_key is None


def test_a_nul_is_no_key(engine: Engine, request_for: Open) -> None:
    """PostgreSQL takes none in a text."""
    try:
        seen: object = request_for("with-a-\0-in-it").data
    except DatabaseError as error:
        seen = error
    kept(engine, seen == {}, seen, ALL if engine.database == "postgresql" else NONE)


@contextmanager
def new_keys(*keys: str) -> Iterator[None]:
    """The next keys that are made."""
    with ExitStack() as stack:
        for module in ("django.contrib.sessions.backends.base", "cookieproj.engines.base"):
            random = mock.patch(f"{module}.get_random_string", side_effect=keys)
            stack.enter_context(random)
        yield


def test_a_taken_key_is_not_written_over(request_for: Open, key: str) -> None:
    session = request_for().set(mine=1)
    with new_keys(key, "n" * 32):
        session.save()
    assert session.session_key == "n" * 32
    with new_keys(key, "o" * 32):
        session.cycle_key()
    session.save()
    assert session.session_key == "o" * 32
    assert request_for(session.session_key).data == {"mine": 1}
    assert request_for(key).data == {"a": 1, "b": 2}


def test_what_cannot_be_stored_is_an_error_and_nothing_is_lost(request_for: Open, key: str) -> None:
    session = request_for(key).set(bad=lambda: None)
    with pytest.raises((TypeError, AttributeError, PicklingError)):
        session.save()
    assert request_for(key).data == {"a": 1, "b": 2}


def test_a_session_of_some_size_comes_back_whole(request_for: Open) -> None:
    value: dict[str, Any] = {
        "text": "žluťoučký kůň 🐎" * 5000,
        "list": [1, 2.5, None, True, {"deep": [[]]}],
    }
    session = request_for().set(**value)
    session.save()
    assert request_for(session.session_key).data == value


def test_expiry_is_a_part_of_the_session(request_for: Open) -> None:
    session = request_for().set(a=1)
    session.set_expiry(60)
    session.save()
    again = request_for(session.session_key)
    assert again.get_expiry_age() == 60
    assert not again.get_expire_at_browser_close()


def test_a_session_that_has_expired_is_gone(request_for: Open) -> None:
    session = request_for().set(a=1)
    session.set_expiry(timezone.now() - timedelta(seconds=1))
    session.save()
    again = request_for(session.session_key)
    assert again.data == {}
    assert again.session_key != session.session_key


def test_deleting_the_test_cookie_is_a_change(engine: Engine, request_for: Open) -> None:
    session = request_for()
    session.set_test_cookie()
    session.save()
    again = request_for(session.session_key)
    assert again.test_cookie_worked()
    again.delete_test_cookie()
    broken = ALL if again.half == "async" else NONE
    kept(engine, again.store.modified, "modified is False", broken)
