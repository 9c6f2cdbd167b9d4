"""``apply``: a change of what is stored now. Beside it what one writes for Django's engines."""

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
from cookieproj.engines.round_trips import count_round_trips as counted
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


def one_more(number: int) -> int:
    return number + 1


@on_server
def test_threads_lose_no_count(engine: Engine) -> None:
    """All have read the session before any of them adds to its counter."""
    session = engine.Store()
    session.create()
    session_key = session.session_key
    everybody = threading.Barrier(THREADS)

    def work(_thread: int) -> None:
        try:
            for _time in range(TIMES):
                session = engine.Store(session_key)
                session.get("n")
                everybody.wait(timeout=60)
                add_one(session)
                everybody.wait(timeout=60)
        finally:
            connections.close_all()
            caches.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    count = engine.Store(session_key)["n"]
    kept(engine, count == THREADS * TIMES, f"{count} of {THREADS * TIMES} counted", ALL)


@on_engines(lambda engine: engine.on_server and engine.cache != "memory")
def test_processes_lose_no_count(engine: Engine, environment: dict[str, str]) -> None:
    session = engine.Store()
    session.create()
    arguments = session.session_key, str(PROCESSES), str(TIMES), "count"
    ran = forks().run(WRITER, *arguments, **environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    count = engine.Store(session.session_key)["n"]
    kept(engine, count == PROCESSES * TIMES, f"{count} of {PROCESSES * TIMES} counted", ALL)


@ours
def test_the_new_value_is_returned_and_stored_at_once(request_for: Open, key: str) -> None:
    session = request_for(key)
    assert session.apply("a", one_more) == 2
    assert session.data == request_for(key).data == {"a": 2, "b": 2}
    assert session.store.accessed
    assert session.store.modified


@ours
def test_what_is_stored_now_counts_not_what_was_read(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.get("a")
    request_for(key).apply("a", lambda number: number + 10)
    assert session.apply("a", one_more) == 12
    assert session.get("a") == request_for(key).get("a") == 12


@ours
def test_other_changes_stay_unsaved_and_are_not_lost(request_for: Open, key: str) -> None:
    session = request_for(key).set(c=3)
    session.pop("b")
    session.apply("a", one_more)
    assert request_for(key).data == {"a": 2, "b": 2}
    assert session.data == {"a": 2, "c": 3}
    session.save()
    assert request_for(key).data == {"a": 2, "c": 3}


@ours
def test_nor_are_those_of_others(request_for: Open, key: str) -> None:
    session = request_for(key).set(c=3)
    request_for(key).set(b="theirs", d=4).save()
    session.apply("a", one_more)
    assert session.data == {"a": 2, "b": "theirs", "c": 3, "d": 4}
    session.save()
    assert request_for(key).data == {"a": 2, "b": "theirs", "c": 3, "d": 4}


@ours
def test_the_save_of_the_request_undoes_no_later_count(request_for: Open, key: str) -> None:
    session = request_for(key).set(c=3)
    session.apply("a", one_more)
    request_for(key).apply("a", one_more)
    session.save()
    assert request_for(key).data == {"a": 3, "b": 2, "c": 3}


@ours
@pytest.mark.parametrize("change", ["set", "pop"])
def test_an_unsaved_change_of_the_same_key_gives_way(
    request_for: Open, key: str, change: str
) -> None:
    session = request_for(key)
    session.set(a=100) if change == "set" else session.pop("a")
    assert session.apply("a", one_more) == 2
    session.save()
    assert request_for(key).data == {"a": 2, "b": 2}


@ours
def test_a_session_that_was_emptied_unread(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.clear()
    assert session.apply("a", one_more) == 2
    assert request_for(key).data == {"a": 2, "b": 2}
    session.save()
    assert request_for(key).data == {"a": 2}


@ours
@pytest.mark.parametrize("cookie", [None, "k" * 32])
def test_a_session_without_a_key_is_created(request_for: Open, cookie: str | None) -> None:
    session = request_for(cookie).set(c=3)
    assert session.apply("n", one_more, 0) == 1
    assert session.session_key not in {None, cookie}
    assert session.store.modified
    assert request_for(session.session_key).data == {"n": 1}
    session.save()
    assert request_for(session.session_key).data == {"c": 3, "n": 1}


@ours
def test_a_key_that_is_missing(request_for: Open, key: str) -> None:
    for session in (request_for(key), request_for()):
        before = session.data
        with pytest.raises(KeyError, match="none"):
            session.apply("none", one_more)
        assert session.data == before
        assert not session.store.modified
    assert request_for(key).apply("none", lambda value: [value], None) == [None]


@ours
def test_the_function_has_a_value_of_its_own_each_time(request_for: Open, key: str) -> None:
    """Called again, it finds neither the value nor the default as it has left them."""
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

        assert session_of(request_for, key).apply(name, add, default) == ["tea"]
        assert calls == [0] * len(calls)
        assert len(calls) > 1
        assert request_for(key).get(name) == ["tea"]
    assert default == []


def session_of(request_for: Open, key: str) -> Any:
    """One that has been read, by its sync half: the function makes requests itself."""
    session = request_for(key)
    session.get("a")
    return session.store


@ours
def test_what_the_function_raises_leaves_all_as_it_was(request_for: Open, key: str) -> None:
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
def test_it_raises_for_what_is_stored_only(request_for: Open, key: str) -> None:
    """Of a value that was read some time ago it may be wrong to raise."""

    def take(left: int) -> int:
        if not left:
            raise ZeroDivisionError
        return left - 1

    request_for(key).set(left=0).save()
    session = request_for(key)
    session.get("left")
    request_for(key).set(left=5).save()
    assert session.apply("left", take) == 4


UNSTORABLE = (TypeError, AttributeError, PicklingError)


@ours
def test_what_cannot_be_stored_leaves_all_as_it_was(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.get("a")
    with pytest.raises(UNSTORABLE):
        session.apply("a", lambda _: threading.Lock())
    assert session.data == request_for(key).data == {"a": 1, "b": 2}
    assert session.apply("a", one_more) == 2


@ours
def test_an_unsaved_value_that_cannot_be_stored(
    engine: Engine, request_for: Open, key: str
) -> None:
    """Where the data is stored in another form than it has here, that is an error before all."""
    session = request_for(key).set(bad=threading.Lock())
    before = session.data
    if engine.name == "cache" and engine.cache != "redis":
        assert session.apply("a", one_more) == 2
        assert request_for(key).data == {"a": 2, "b": 2}
    else:
        with pytest.raises(UNSTORABLE):
            session.apply("a", one_more)
        assert session.data == before
        assert request_for(key).data == {"a": 1, "b": 2}


@ours
@pytest.mark.parametrize("others", [0, 1])
def test_nor_what_could_not_be_read_again(request_for: Open, key: str, others: int) -> None:
    """Also where it becomes that as the function is called again."""
    deep: list[Any] = []
    for _level in range(300):
        deep = [deep]
    left = [others]

    def grow(_value: Any) -> Any:
        if not left[0]:
            return deep
        left[0] -= 1
        request_for(key).set(b=left[0]).save()
        return 1

    with pytest.raises(ValueError, match="at most 200 levels deep"):
        session_of(request_for, key).apply("a", grow)
    assert request_for(key).get("a") == 1


@ours
def test_a_session_that_has_ended_meanwhile(request_for: Open, key: str) -> None:
    for empties in (False, True):
        session = request_for().set(a=1)
        session.save()
        late = request_for(session.session_key)
        late.clear() if empties else late.get("a")
        request_for(session.session_key).flush()
        with pytest.raises(UpdateError, match="has ended in the meantime"):
            late.apply("a", one_more, 0)
        assert request_for(session.session_key).data == {}
        late.set(c=3)
        with pytest.raises(UpdateError):
            late.save()
        assert request_for(session.session_key).data == {}


@ours
def test_the_visitor_of_such_a_session_gets_a_400(engine: Engine, key: str) -> None:
    """As of one that is found to have ended when the request saves it."""

    def view(request: HttpRequest) -> HttpResponse:
        session: Any = request.session
        session.get("a")
        engine.Store(key).flush()
        session.apply("a", one_more)
        raise AssertionError

    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = key
    middleware: Any = SessionMiddleware(view)
    with pytest.raises(UpdateError) as error:
        middleware(request)
    with override_settings(DEBUG=False):
        assert response_for_exception(request, error.value).status_code == 400


@ours
def test_an_expiry_that_is_not_saved_yet_is_not_stored(request_for: Open, key: str) -> None:
    before = expires(request_for, key)
    session = request_for(key)
    session.set_expiry(60)
    session.apply("a", one_more)
    assert expires(request_for, key) >= before
    session.save()
    if before:
        assert expires(request_for, key) < before


def expires(request_for: Open, key: str) -> float:
    """0 where the store does not tell: memcached."""
    moment = request_for(key).locate()[0].expires
    return moment.timestamp() if moment else 0


@on_engines(lambda engine: engine.ours and engine.name == "cached_db")
@pytest.mark.parametrize("value", [10, None])
def test_a_copy_that_is_behind_its_row(engine: Engine, key: str, value: int | None) -> None:
    session = CachedDBStore(key)
    assert session["a"] == 1
    row = DBStore(key)
    row["a"] = row["new"] = value
    row.save()
    assert session.apply("new", lambda new: [new]) == [value]
    assert CachedDBStore(key)["new"] == DBStore(key)["new"] == [value]


@on_engines(lambda engine: engine.ours and engine.name == "cached_db")
def test_a_copy_whose_row_is_gone_is_forgotten(engine: Engine, key: str) -> None:
    session = CachedDBStore(key)
    assert session["a"] == 1
    DBStore(key).delete()
    with pytest.raises(UpdateError):
        session.apply("a", one_more)
    assert dict(CachedDBStore(key).items()) == {}


class SomeCache(LocMemCache):
    """A subclass of a cache may do anything, so it is not known to compare and swap."""


@on_engines(lambda engine: engine.ours and (engine.name, engine.cache) == ("cache", "memory"))
def test_a_cache_that_cannot_compare_and_swap(engine: Engine, settings: Settings) -> None:
    settings.CACHES = {"sessions": {"BACKEND": f"{__name__}.{SomeCache.__name__}"}}
    session = engine.Store()
    assert not store_of(engine.Store).compares_and_swaps
    session.apply("a", one_more, 0)
    other = engine.Store(session.session_key)
    other.apply("a", one_more)
    assert session.apply("a", one_more) == 3
    assert engine.Store(session.session_key)["a"] == 3


@ours
def test_under_a_new_key_it_counts_what_was_added_under_the_old(
    engine: Engine, key: str, settings: Settings
) -> None:
    """Which ends as the response saves the session: until then others count under it."""
    settings.SESSION_ENGINE = engine.Store.__module__
    browser = Browser(key)

    def view(session: Any) -> Any:
        session.cycle_key()
        first = session.apply("a", one_more)
        browser.copy().visit(lambda other: other.apply("a", one_more))
        session["c"] = 3
        return first

    assert browser.visit(view) == 2
    assert browser.read() == {"a": 3, "b": 2, "c": 3}


@only_switches(pair for pair in PAIRS if pair[1] not in IN_COOKIES)
class TestHandover:
    def test_first_thing(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        assert browser.visit(lambda session: session.apply("a", one_more)) == 2
        assert browser.read() == {"a": 2}
        assert browser.visit(lambda session: session.apply("a", one_more)) == 3

    def test_of_two_at_once_both_count(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)

        def view(session: Any) -> Any:
            session.get("a")
            browser.copy().visit(lambda other: other.apply("a", one_more))
            session["c"] = 3
            return session.apply("a", one_more)

        assert browser.visit(view) == 3
        assert browser.read() == {"a": 3, "c": 3}

    def test_also_where_this_one_changes_nothing(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)

        def view(session: Any) -> Any:
            session.get("a")
            browser.copy().set(a=-1)
            return session.apply("a", lambda number: max(number, 1))

        assert browser.visit(view) == 1
        assert browser.read() == {"a": 1}


class TestHeldByClient:
    def test_signed_cookies(self) -> None:
        session = SignedCookies()
        with pytest.raises(HeldByClientError, match="Keep sessions on the server"):
            session.apply("n", one_more, 0)
        with pytest.raises(HeldByClientError):
            async_to_sync(session.aapply)("n", one_more, 0)
        assert dict(session.items()) == {}

    @only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
    def test_on_the_way_there(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)

        def view(session: Any) -> None:
            with pytest.raises(HeldByClientError):
                session.apply("a", one_more)

        for _time in range(3):
            browser.visit(view)
            assert browser.read() == {"a": 1}


@pytest.fixture
def counter(engine: Engine) -> str:
    """The key of a stored session that holds one."""
    session = engine.Store()
    session["n"] = 1
    session.save()
    session_key: str = session.session_key
    return session_key


on_servers = on_engines(
    lambda engine: (
        (engine.database, engine.cache)
        in {("postgresql", ""), ("", "redis"), ("postgresql", "redis")}
    )
)


@on_servers
@pytest.mark.parametrize(
    ("is_loaded", "limit", "limit_of_cached_db"), [(False, 2, 4), (True, 1, 3)]
)
def test_it_makes_no_more_trips_than_it_must(
    engine: Engine,
    redis_url: str,
    counter: str,
    is_loaded: bool,
    limit: int,
    limit_of_cached_db: int,
) -> None:
    """Nobody else is there. What cached_db has read is a copy, so it finds the row first."""
    session = engine.Store(counter)
    if is_loaded:
        session.get("n")
    with count_round_trips([f"{redis_url}/{SESSIONS}"]) as trips, counted() as own:
        add_one(session)
    assert not engine.ours or own.number == len(trips), trips
    allowed = limit_of_cached_db if engine.name == "cached_db" else limit
    kept(engine, len(trips) <= allowed, f"{trips} where {allowed} do", ALL)


def count(request: HttpRequest) -> HttpResponse:
    session: Any = request.session
    if hasattr(session, "apply"):
        session.apply("n", one_more)
    else:
        session["n"] = session["n"] + 1
    return HttpResponse()


@on_servers
def test_nor_does_the_request_that_does_nothing_else(
    engine: Engine, redis_url: str, counter: str
) -> None:
    """Its cookie is renewed. Within a second: after that the expiry is moved as well."""
    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = counter
    middleware: Any = SessionMiddleware(count)
    with (
        time_machine.travel(time.time(), tick=False),
        count_round_trips([f"{redis_url}/{SESSIONS}"]) as trips,
    ):
        response = middleware(request)
    assert response.cookies["sessionid"].value == counter
    allowed = 4 if engine.name == "cached_db" else 2
    kept(engine, len(trips) <= allowed, f"{trips} where {allowed} do", ALL)


@on_engines(lambda engine: engine.on_server and bool(engine.database))
def test_a_new_session_that_is_rolled_back_is_no_cookie_to_nowhere(engine: Engine) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            session: Any = request.session
            if hasattr(session, "apply"):
                session.apply("n", one_more, 0)
            else:
                session["n"] = 1
                session.create()
            transaction.set_rollback(True)
        return HttpResponse()

    middleware: Any = SessionMiddleware(view)
    with pytest.raises(SessionInterrupted):
        middleware(RequestFactory().get("/"))


@ours
def test_a_later_save_moves_the_expiry(request_for: Open, key: str) -> None:
    session = request_for(key)
    with time_machine.travel(time.time(), tick=False) as clock:
        session.apply("a", one_more)
        before = session.locate()[0].expires
        clock.shift(1000)
        session.save()
        after = session.locate()[0].expires
    assert after is before is None or (after - before).total_seconds() > 900
