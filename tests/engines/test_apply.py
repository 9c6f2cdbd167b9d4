"""``apply`` changes the stored value; on Django's engines the tests read and save instead."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pickle import PicklingError
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.handlers.exception import response_for_exception
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.utils import override_settings
from pytest_django import Settings

from cookieproj.engines.cached_db import SessionStore as CachedDBStore
from cookieproj.engines.db import SessionStore as DBStore
from cookieproj.engines.exceptions import HeldByClientError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.round_trips import count_round_trips as count_own_round_trips
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies
from tests.families import IN_COOKIES
from tests.sites import forks

from .contract import ALL, Engine, Open, kept, on_engines
from .handover_switch import PAIRS, Browser, Switch, browser_of_moved_session, only_switches
from .test_round_trips import SESSIONS, count_round_trips
from .writer import WRITER, add_one

on_server = on_engines(lambda engine: engine.on_server)
ours = on_engines(lambda engine: engine.ours and engine.on_server)

THREADS, PROCESSES, TIMES = 20, 8, 10


def increment(number: int) -> int:
    return number + 1


@on_server
def test_concurrent_threads_lose_no_increment(engine: Engine) -> None:
    """All threads read the session before any of them increments its counter."""
    session = engine.Store()
    session.create()
    session_key = session.session_key
    barrier = threading.Barrier(THREADS)

    def work(_thread: int) -> None:
        try:
            for _time in range(TIMES):
                session = engine.Store(session_key)
                session.get("n")
                barrier.wait(timeout=60)
                add_one(session)
                barrier.wait(timeout=60)
        finally:
            connections.close_all()
            caches.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    count = engine.Store(session_key)["n"]
    kept(engine, count == THREADS * TIMES, f"{count} of {THREADS * TIMES} increments kept", ALL)


@ours
def test_flushed_session_starts_anew(engine: Engine) -> None:
    """As after a sign-out: neither the function nor the store gets what it had before."""
    session = engine.Store()
    session.update({"n": 5, "name": "ada"})
    session.save()
    session = engine.Store(session.session_key)
    assert session["n"] == 5
    session.flush()
    session["name"] = "ada"
    assert session.apply("n", increment, default=0) == 1
    assert dict(engine.Store(session.session_key).items()) == {"n": 1}
    session.save()
    assert dict(engine.Store(session.session_key).items()) == {"n": 1, "name": "ada"}


@on_engines(lambda engine: engine.on_server and engine.cache != "memory")
def test_concurrent_processes_lose_no_increment(
    engine: Engine, environment: dict[str, str]
) -> None:
    session = engine.Store()
    session.create()
    arguments = session.session_key, str(PROCESSES), str(TIMES), "count"
    ran = forks().run(WRITER, *arguments, **environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    count = engine.Store(session.session_key)["n"]
    kept(engine, count == PROCESSES * TIMES, f"{count} of {PROCESSES * TIMES} increments kept", ALL)


@ours
def test_apply_returns_and_stores_the_new_value(request_for: Open, key: str) -> None:
    session = request_for(key)
    assert session.apply("a", increment) == 2
    assert session.data == request_for(key).data == {"a": 2, "b": 2}
    assert session.store.accessed
    assert session.store.modified


@ours
def test_apply_uses_the_stored_value_not_the_loaded_one(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.get("a")
    request_for(key).apply("a", lambda number: number + 10)
    assert session.apply("a", increment) == 12
    assert session.get("a") == request_for(key).get("a") == 12


@ours
def test_apply_keeps_other_changes_unsaved(request_for: Open, key: str) -> None:
    session = request_for(key).set(c=3)
    session.pop("b")
    session.apply("a", increment)
    assert request_for(key).data == {"a": 2, "b": 2}
    assert session.data == {"a": 2, "c": 3}
    session.save()
    assert request_for(key).data == {"a": 2, "c": 3}


@ours
def test_apply_merges_saves_of_other_requests(request_for: Open, key: str) -> None:
    session = request_for(key).set(c=3)
    request_for(key).set(b="new", d=4).save()
    session.apply("a", increment)
    assert session.data == {"a": 2, "b": "new", "c": 3, "d": 4}
    session.save()
    assert request_for(key).data == {"a": 2, "b": "new", "c": 3, "d": 4}


@ours
def test_save_after_apply_keeps_later_increments(request_for: Open, key: str) -> None:
    session = request_for(key).set(c=3)
    session.apply("a", increment)
    request_for(key).apply("a", increment)
    session.save()
    assert request_for(key).data == {"a": 3, "b": 2, "c": 3}


@ours
@pytest.mark.parametrize("change", ["set", "pop"])
def test_apply_discards_an_unsaved_change_of_its_key(
    request_for: Open, key: str, change: str
) -> None:
    session = request_for(key)
    session.set(a=100) if change == "set" else session.pop("a")
    assert session.apply("a", increment) == 2
    session.save()
    assert request_for(key).data == {"a": 2, "b": 2}


@ours
def test_apply_after_clear_of_an_unread_session(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.clear()
    assert session.apply("a", increment) == 2
    assert request_for(key).data == {"a": 2, "b": 2}
    session.save()
    assert request_for(key).data == {"a": 2}


@ours
@pytest.mark.parametrize("cookie", [None, "k" * 32])
def test_apply_creates_a_session_if_there_is_none(request_for: Open, cookie: str | None) -> None:
    session = request_for(cookie).set(c=3)
    assert session.apply("n", increment, 0) == 1
    assert session.session_key not in {None, cookie}
    assert session.store.modified
    assert request_for(session.session_key).data == {"n": 1}
    session.save()
    assert request_for(session.session_key).data == {"c": 3, "n": 1}


@ours
def test_apply_raises_key_error_without_a_default(request_for: Open, key: str) -> None:
    for session in (request_for(key), request_for()):
        before = session.data
        with pytest.raises(KeyError, match="none"):
            session.apply("none", increment)
        assert session.data == before
        assert not session.store.modified
    assert request_for(key).apply("none", lambda value: [value], None) == [None]


@ours
def test_function_gets_a_fresh_value_on_each_call(request_for: Open, key: str) -> None:
    """A second call sees neither the value nor the default as the first call has changed them."""
    default: list[str] = []
    for name in ("old", "new"):
        request_for(key).set(old=[]).save()
        calls: list[int] = []

        def add(items: list[str], name: str = name, calls: list[int] = calls) -> list[str]:
            if not calls:
                request_for(key).set(**{f"meanwhile-{name}": 1}).save()
            calls.append(len(items))
            items.append("tea")
            return items

        assert loaded_session(request_for, key).apply(name, add, default) == ["tea"]
        assert calls == [0] * len(calls)
        assert len(calls) > 1
        assert request_for(key).get(name) == ["tea"]
    assert default == []


def loaded_session(request_for: Open, key: str) -> Any:
    """Return a session that has been read, without its async half: the function sends requests."""
    session = request_for(key)
    session.get("a")
    return session.store


@ours
def test_error_of_the_function_changes_nothing(request_for: Open, key: str) -> None:
    def fail(value: Any) -> Any:
        value.append(lambda: None)
        raise ZeroDivisionError

    request_for(key).set(cart=["tea"]).save()
    session = request_for(key)
    cart = session.get("cart")
    with pytest.raises(ZeroDivisionError):
        session.apply("cart", fail)
    assert session.data == request_for(key).data == {"a": 1, "b": 2, "cart": ["tea"]}
    assert session.get("cart") is cart
    assert not session.store.modified
    session.set(c=3)
    session.save()
    assert request_for(key).data == {"a": 1, "b": 2, "cart": ["tea"], "c": 3}


@ours
def test_function_is_not_called_with_an_outdated_value(request_for: Open, key: str) -> None:
    """An error that it raises for such a value would be wrong."""

    def take_one(stock: int) -> int:
        if not stock:
            raise ZeroDivisionError
        return stock - 1

    request_for(key).set(stock=0).save()
    session = request_for(key)
    session.get("stock")
    request_for(key).set(stock=5).save()
    assert session.apply("stock", take_one) == 4


UNSTORABLE = (TypeError, AttributeError, PicklingError)


@ours
def test_unserializable_result_changes_nothing(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.get("a")
    with pytest.raises(UNSTORABLE):
        session.apply("a", lambda _: threading.Lock())
    assert session.data == request_for(key).data == {"a": 1, "b": 2}
    assert session.apply("a", increment) == 2


@ours
def test_apply_beside_an_unsaved_unserializable_value(
    engine: Engine, request_for: Open, key: str
) -> None:
    """Stores that serialize the data raise before they write. The others write ``a`` alone."""
    session = request_for(key).set(bad=threading.Lock())
    before = session.data
    if engine.name == "cache" and engine.cache != "redis":
        assert session.apply("a", increment) == 2
        assert request_for(key).data == {"a": 2, "b": 2}
    else:
        with pytest.raises(UNSTORABLE):
            session.apply("a", increment)
        assert session.data == before
        assert request_for(key).data == {"a": 1, "b": 2}


@ours
@pytest.mark.parametrize("retries", [0, 1])
def test_result_that_is_nested_too_deeply_changes_nothing(
    request_for: Open, key: str, retries: int
) -> None:
    """Such a result could not be read again. The last call of the function returns it."""
    deep: list[Any] = []
    for _level in range(300):
        deep = [deep]
    retries_left = [retries]

    def grow(_value: Any) -> Any:
        if not retries_left[0]:
            return deep
        retries_left[0] -= 1
        request_for(key).set(b=retries_left[0]).save()
        return 1

    with pytest.raises(ValueError, match="at most 200 levels deep"):
        loaded_session(request_for, key).apply("a", grow)
    assert request_for(key).get("a") == 1


@ours
def test_apply_raises_update_error_if_the_session_has_ended(request_for: Open, key: str) -> None:
    for is_cleared in (False, True):
        session = request_for().set(a=1)
        session.save()
        late = request_for(session.session_key)
        late.clear() if is_cleared else late.get("a")
        request_for(session.session_key).flush()
        with pytest.raises(UpdateError, match="has ended in the meantime"):
            late.apply("a", increment, 0)
        assert request_for(session.session_key).data == {}
        late.set(c=3)
        with pytest.raises(UpdateError):
            late.save()
        assert request_for(session.session_key).data == {}


@ours
def test_response_is_400_if_the_session_ended_before_apply(engine: Engine, key: str) -> None:
    """The same status as if the session had ended before its save."""

    def view(request: HttpRequest) -> HttpResponse:
        session: Any = request.session
        session.get("a")
        engine.Store(key).flush()
        session.apply("a", increment)
        raise AssertionError

    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = key
    middleware: Any = SessionMiddleware(view)
    with pytest.raises(UpdateError) as error:
        middleware(request)
    with override_settings(DEBUG=False):
        assert response_for_exception(request, error.value).status_code == 400


@ours
def test_apply_does_not_store_an_unsaved_expiry(request_for: Open, key: str) -> None:
    before = stored_expiry(request_for, key)
    session = request_for(key)
    session.set_expiry(60)
    session.apply("a", increment)
    assert stored_expiry(request_for, key) >= before
    session.save()
    if before:
        assert stored_expiry(request_for, key) < before


def stored_expiry(request_for: Open, key: str) -> float:
    """Return 0 for memcached, which does not reveal the expiry."""
    expires = request_for(key).locate()[0].expires
    return expires.timestamp() if expires else 0


@on_engines(lambda engine: engine.ours and engine.name == "cached_db")
@pytest.mark.parametrize("value", [10, None])
def test_apply_uses_the_row_if_its_copy_is_outdated(
    engine: Engine, key: str, value: int | None
) -> None:
    session = CachedDBStore(key)
    assert session["a"] == 1
    row = DBStore(key)
    row["a"] = row["new"] = value
    row.save()
    assert session.apply("new", lambda new: [new]) == [value]
    assert CachedDBStore(key)["new"] == DBStore(key)["new"] == [value]


@on_engines(lambda engine: engine.ours and engine.name == "cached_db")
def test_apply_invalidates_a_copy_without_a_row(engine: Engine, key: str) -> None:
    session = CachedDBStore(key)
    assert session["a"] == 1
    DBStore(key).delete()
    with pytest.raises(UpdateError):
        session.apply("a", increment)
    assert dict(CachedDBStore(key).items()) == {}


class CacheSubclass(LocMemCache):
    """A subclass of a cache may override anything, so it is not trusted to compare and swap."""


@on_engines(lambda engine: engine.ours and (engine.name, engine.cache) == ("cache", "memory"))
def test_apply_on_a_cache_without_compare_and_swap(engine: Engine, settings: Settings) -> None:
    settings.CACHES = {"sessions": {"BACKEND": f"{__name__}.{CacheSubclass.__name__}"}}
    session = engine.Store()
    assert not store_of(engine.Store).compares_and_swaps
    session.apply("a", increment, 0)
    other = engine.Store(session.session_key)
    other.apply("a", increment)
    assert session.apply("a", increment) == 3
    assert engine.Store(session.session_key)["a"] == 3


@ours
def test_apply_after_cycle_key_keeps_increments_under_the_old_key(
    engine: Engine, key: str, settings: Settings
) -> None:
    """The old key ends when the response saves the session. Other requests use it until then."""
    settings.SESSION_ENGINE = engine.Store.__module__
    browser = Browser(key)

    def view(session: Any) -> Any:
        session.cycle_key()
        first = session.apply("a", increment)
        browser.copy().visit(lambda other: other.apply("a", increment))
        session["c"] = 3
        return first

    assert browser.visit(view) == 2
    assert browser.read() == {"a": 3, "b": 2, "c": 3}


@only_switches(pair for pair in PAIRS if pair[1] not in IN_COOKIES)
class TestHandover:
    def test_apply_moves_an_unread_session(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        assert browser.visit(lambda session: session.apply("a", increment)) == 2
        assert browser.read() == {"a": 2}
        assert browser.visit(lambda session: session.apply("a", increment)) == 3

    def test_concurrent_increments_both_count(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)

        def view(session: Any) -> Any:
            session.get("a")
            browser.copy().visit(lambda other: other.apply("a", increment))
            session["c"] = 3
            return session.apply("a", increment)

        assert browser.visit(view) == 3
        assert browser.read() == {"a": 3, "c": 3}

    def test_result_equal_to_the_loaded_value_is_stored(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)

        def view(session: Any) -> Any:
            session.get("a")
            browser.copy().set(a=-1)
            return session.apply("a", lambda number: max(number, 1))

        assert browser.visit(view) == 1
        assert browser.read() == {"a": 1}


class TestCookies:
    def test_apply_raises_held_by_client_error(self) -> None:
        session = SignedCookies()
        with pytest.raises(HeldByClientError, match="Keep sessions on the server"):
            session.apply("n", increment, 0)
        with pytest.raises(HeldByClientError):
            async_to_sync(session.aapply)("n", increment, 0)
        assert dict(session.items()) == {}

    @only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
    def test_apply_raises_during_a_switch_to_cookies(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)

        def view(session: Any) -> None:
            with pytest.raises(HeldByClientError):
                session.apply("a", increment)

        for _time in range(3):
            browser.visit(view)
            assert browser.read() == {"a": 1}


@pytest.fixture
def counter(engine: Engine) -> str:
    """The key of a stored session with the counter ``n``."""
    session = engine.Store()
    session["n"] = 1
    session.save()
    session_key: str = session.session_key
    return session_key


with_counted_round_trips = on_engines(
    lambda engine: (
        (engine.database, engine.cache)
        in {("postgresql", ""), ("", "redis"), ("postgresql", "redis")}
    )
)


@with_counted_round_trips
@pytest.mark.parametrize(
    ("is_loaded", "limit", "limit_of_cached_db"), [(False, 2, 4), (True, 1, 3)]
)
def test_apply_makes_as_few_round_trips_as_possible(
    engine: Engine,
    redis_url: str,
    counter: str,
    is_loaded: bool,
    limit: int,
    limit_of_cached_db: int,
) -> None:
    """No other request interferes. cached_db has loaded a copy, so it reads the row first."""
    session = engine.Store(counter)
    if is_loaded:
        session.get("n")
    with (
        count_round_trips([f"{redis_url}/{SESSIONS}"]) as round_trips,
        count_own_round_trips() as own_round_trips,
    ):
        add_one(session)
    assert not engine.ours or own_round_trips.number == len(round_trips), round_trips
    allowed = limit_of_cached_db if engine.name == "cached_db" else limit
    kept(engine, len(round_trips) <= allowed, f"{round_trips}, at most {allowed} allowed", ALL)


def count_visit(request: HttpRequest) -> HttpResponse:
    session: Any = request.session
    if hasattr(session, "apply"):
        session.apply("n", increment)
    else:
        session["n"] = session["n"] + 1
    return HttpResponse()


@with_counted_round_trips
def test_request_with_apply_makes_as_few_round_trips_as_possible(
    engine: Engine, redis_url: str, counter: str
) -> None:
    """The clock stands still: a second later the save would move the stored expiry too."""
    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = counter
    middleware: Any = SessionMiddleware(count_visit)
    with (
        time_machine.travel(time.time(), tick=False),
        count_round_trips([f"{redis_url}/{SESSIONS}"]) as round_trips,
    ):
        response = middleware(request)
    assert response.cookies["sessionid"].value == counter
    allowed = 4 if engine.name == "cached_db" else 2
    kept(engine, len(round_trips) <= allowed, f"{round_trips}, at most {allowed} allowed", ALL)


@on_engines(lambda engine: engine.on_server and bool(engine.database))
def test_rolled_back_new_session_raises_session_interrupted(engine: Engine) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            session: Any = request.session
            if hasattr(session, "apply"):
                session.apply("n", increment, 0)
            else:
                session["n"] = 1
                session.create()
            transaction.set_rollback(True)
        return HttpResponse()

    middleware: Any = SessionMiddleware(view)
    with pytest.raises(SessionInterrupted):
        middleware(RequestFactory().get("/"))


@ours
def test_save_after_apply_moves_the_expiry(request_for: Open, key: str) -> None:
    session = request_for(key)
    with time_machine.travel(time.time(), tick=False) as clock:
        session.apply("a", increment)
        before = session.locate()[0].expires
        clock.shift(1000)
        session.save()
        after = session.locate()[0].expires
    assert after is before is None or (after - before).total_seconds() > 900
