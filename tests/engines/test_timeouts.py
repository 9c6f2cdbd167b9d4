"""SESSION_IDLE_AGE and SESSION_ABSOLUTE_AGE: when a session ends, and what renews it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.clock import aware
from cookieproj.engines.constants import AUTH_TIME, EXPIRY_ITEM
from cookieproj.engines.decorators import passive
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.renewal import recent_checks
from cookieproj.engines.round_trips import count_round_trips
from tests.stores import before, instead, steps_of

from .contract import Engine, on_engines
from .handover_switch import PAIRS, Switch, only_switches
from .stopped_clock import Clock, stopped_clock

NAME = "sessionid"
IDLE, ABSOLUTE = 1000, 2500

# Servers round a time to live to whole seconds.
SECOND = 2

pytestmark = on_engines(lambda engine: engine.ours)


@pytest.fixture(autouse=True)
def idle(settings: Settings) -> None:
    settings.SESSION_IDLE_AGE = IDLE
    # It would query a table that these databases lack.
    settings.SESSION_REVOCATION_CHECK = ""
    recent_checks.clear()


@pytest.fixture
def clock(engine: Engine) -> Iterator[Clock]:
    with stopped_clock(engine.Store) as clock:
        yield clock


class Visitor:
    """A browser with a session cookie. It ignores Max-Age, as a thief would."""

    def __init__(self, cookie: str = "", half: str = "sync") -> None:
        self.cookie = cookie
        self.half = half
        self.max_age: Any = None

    def visit(self, view: Callable[[Any], object], **headers: str) -> Any:
        """Return what the view returned for the session; ``max_age`` is that of the cookie set."""
        result = None

        def sync_view(request: HttpRequest) -> HttpResponse:
            nonlocal result
            result = view(request.session)
            return HttpResponse()

        response = self.request(sync_view, **headers)
        assert response.status_code == 200
        cookie = response.cookies.get(NAME)
        self.max_age = cookie["max-age"] if cookie else None
        self.cookie = cookie.value if cookie else self.cookie
        return result

    def request(self, view: Any, **headers: str) -> Any:
        request = HttpRequest()
        request.META |= headers
        request.COOKIES[NAME] = self.cookie
        if self.half == "sync":
            return SessionMiddleware(view)(request)

        async def async_view(request: HttpRequest) -> Any:
            await request.session.aget("a")
            return view(request)

        return async_to_sync(SessionMiddleware(async_view))(request)


@pytest.fixture(params=["sync", "async"])
def visitor(engine: Engine, request: pytest.FixtureRequest, clock: Clock) -> Visitor:
    """Has a session that was saved just now."""
    visitor = Visitor(half=request.param)
    visitor.visit(lambda session: session.update({"a": 1}))
    assert visitor.cookie
    return visitor


def read(session: Any) -> Any:
    return session.get("a")


def write(session: Any) -> None:
    session["b"] = session.get("b", 0) + 1


def leave_alone(session: Any) -> None:
    """Do not even create the session."""


def test_reader_stays(visitor: Visitor, clock: Clock) -> None:
    for _visit in range(4):
        clock.move(900, visitor.cookie)
        assert visitor.visit(read) == 1
        assert visitor.max_age == IDLE


def test_whoever_has_left_is_signed_out(visitor: Visitor, clock: Clock, engine: Engine) -> None:
    clock.move(IDLE + SECOND, visitor.cookie)
    assert visitor.visit(lambda session: (read(session), session.session_key)) == (None, None)
    assert visitor.max_age is None
    if engine.on_server:
        assert store_of(engine.Store).read(visitor.cookie) is None


def test_session_is_renewed_once_in_a_tenth_of_the_idle_age(visitor: Visitor, clock: Clock) -> None:
    clock.move(50, visitor.cookie)
    assert visitor.visit(read) == 1
    assert visitor.max_age is None
    clock.move(100, visitor.cookie)
    assert visitor.visit(read) == 1
    assert visitor.max_age == IDLE
    assert visitor.visit(read) == 1
    assert visitor.max_age is None


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_renewal_writes_no_payload(visitor: Visitor, clock: Clock, engine: Engine) -> None:
    clock.move(500, visitor.cookie)
    steps: list[str] = []
    with steps_of(
        engine.Store,
        touch=before(lambda: steps.append("touch")),
        compare_and_swap=before(lambda: steps.append("swap")),
        insert=before(lambda: steps.append("insert")),
    ):
        assert visitor.visit(read) == 1
        assert visitor.max_age == IDLE
    # The rows and the cache of cached_db are one store.
    assert steps == ["touch"]


@on_engines(lambda engine: engine.ours and engine.on_server and engine.database != "sqlite")
def test_requests_at_once_renew_once(engine: Engine, clock: Clock) -> None:
    visitor = Visitor()
    visitor.visit(lambda session: session.update({"a": 1}))
    clock.move(500, visitor.cookie)
    all_have_read, touches = Barrier(8), []

    def read_with_the_others(_number: int) -> Any:
        def view(session: Any) -> Any:
            value = read(session)
            all_have_read.wait()
            return value

        try:
            return Visitor(visitor.cookie).visit(view)
        finally:
            connections.close_all()
            caches.close_all()

    with (
        steps_of(engine.Store, touch=before(lambda: touches.append(1))),
        ThreadPoolExecutor(8) as threads,
    ):
        assert list(threads.map(read_with_the_others, range(8))) == [1] * 8
    assert len(touches) == 1


def test_failed_response_leaves_the_renewal_to_the_next_request(
    visitor: Visitor, clock: Clock
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        assert read(request.session) == 1
        return HttpResponse(status=500)

    clock.move(900, visitor.cookie)
    assert not visitor.request(view).cookies
    assert visitor.visit(read) == 1
    assert visitor.max_age == IDLE


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_failing_store_leaves_the_renewal_to_the_next_request(
    visitor: Visitor, clock: Clock, engine: Engine
) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise StoreUnavailableError("the store", TimeoutError("not reached"))

    clock.move(900, visitor.cookie)
    with steps_of(engine.Store, touch=instead(refuse)):
        assert visitor.visit(read) == 1
    assert visitor.max_age is None
    assert visitor.visit(read) == 1
    assert visitor.max_age == IDLE


def test_reader_stays_although_the_session_ends_before_the_idle_age(
    visitor: Visitor, clock: Clock, settings: Settings
) -> None:
    """The tenth after which a renewal is due is then that of the session's own age."""
    settings.SESSION_IDLE_AGE = 100 * IDLE
    visitor.visit(lambda session: session.set_expiry(900))
    clock.move(20, visitor.cookie)
    # Too early for a renewal, and this process must not wait too long until it checks again.
    visitor.visit(read)
    assert visitor.max_age is None
    for _visit in range(4):
        clock.move(500, visitor.cookie)
        assert visitor.visit(read) == 1
        assert visitor.max_age == 900


@pytest.mark.parametrize("age", [10**12, 10**18])
@pytest.mark.parametrize("by", ["cookie age", "seconds", "date"])
def test_ages_without_end(
    visitor: Visitor, clock: Clock, age: int, by: str, settings: Settings
) -> None:
    """Beyond the year 9999, the last one of a datetime."""
    settings.SESSION_IDLE_AGE = settings.SESSION_ABSOLUTE_AGE = age

    def view(session: Any) -> None:
        sign_in(session)
        if by != "cookie age":
            session.set_expiry(60 if by == "seconds" else timezone.now() + timedelta(seconds=60))

    visitor.visit(view)
    assert visitor.max_age == (settings.SESSION_COOKIE_AGE if by == "cookie age" else 60)
    assert visitor.visit(read) == 1


def test_request_that_leaves_session_alone_does_not_renew(visitor: Visitor, clock: Clock) -> None:
    if visitor.half == "async":
        pytest.skip("Its view reads the session.")
    clock.move(900, visitor.cookie)
    visitor.visit(leave_alone)
    assert visitor.max_age is None
    clock.move(100 + SECOND, visitor.cookie)
    assert visitor.visit(read) is None


def passively(visitor: Visitor, view: Callable[[Any], object], by: str) -> Any:
    if by == "header":
        return visitor.visit(view, HTTP_X_SESSION_PASSIVE="1")
    marked = passive(lambda request: view(request.session))
    results = []

    def view_of_request(request: HttpRequest) -> HttpResponse:
        results.append(marked(request))
        return HttpResponse()

    response = visitor.request(view_of_request)
    cookie = response.cookies.get(NAME)
    visitor.max_age = cookie["max-age"] if cookie else None
    visitor.cookie = cookie.value if cookie else visitor.cookie
    return results[0]


@pytest.mark.parametrize("saves_every_request", [False, True])
@pytest.mark.parametrize("by", ["header", "decorator"])
def test_passive_request_renews_nothing(
    visitor: Visitor, clock: Clock, by: str, saves_every_request: bool, settings: Settings
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = saves_every_request
    clock.move(600, visitor.cookie)
    assert passively(visitor, read, by) == 1
    assert visitor.max_age is None
    clock.move(400 + SECOND, visitor.cookie)
    assert visitor.visit(read) is None


@pytest.mark.parametrize("by", ["header", "decorator"])
def test_passive_change_is_saved_and_moves_no_expiry(
    visitor: Visitor, clock: Clock, by: str
) -> None:
    clock.move(600, visitor.cookie)
    passively(visitor, write, by)
    assert visitor.max_age == pytest.approx(400, abs=SECOND)
    assert passively(visitor, lambda session: session.get("b"), by) == 1
    clock.move(400 + SECOND, visitor.cookie)
    assert visitor.visit(read) is None


def test_passive_view_may_get_a_request_around_djangos(engine: Engine, clock: Clock) -> None:
    """As those of Django REST framework do."""
    visitor = Visitor()
    visitor.visit(lambda session: session.update({"a": 1}))
    clock.move(600, visitor.cookie)
    view = passive(lambda request: HttpResponse(request._request.session["a"]))

    def outer(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = view(SimpleNamespace(_request=request))
        return response

    assert not visitor.request(outer).cookies


def test_passive_view_may_be_async(clock: Clock, engine: Engine) -> None:
    @passive
    async def view(request: HttpRequest) -> HttpResponse:
        await request.session.aget("a")
        return HttpResponse()

    visitor = Visitor()
    visitor.visit(lambda session: session.update({"a": 1}))
    clock.move(600, visitor.cookie)
    request = HttpRequest()
    request.COOKIES[NAME] = visitor.cookie
    assert not async_to_sync(SessionMiddleware(view))(request).cookies


def sign_in(session: Any) -> None:
    session[SESSION_KEY] = "1"


def test_absolute_timeout_ends_session_whatever_is_done(
    visitor: Visitor, clock: Clock, settings: Settings
) -> None:
    settings.SESSION_ABSOLUTE_AGE = ABSOLUTE
    visitor.visit(sign_in)
    for _visit in range(4):
        clock.move(600, visitor.cookie)
        visitor.visit(write)
    assert visitor.max_age == pytest.approx(100, abs=SECOND)
    clock.move(100 + SECOND, visitor.cookie)
    assert visitor.visit(read) is None


def test_visitor_who_is_not_signed_in_has_no_absolute_timeout(
    visitor: Visitor, clock: Clock, settings: Settings
) -> None:
    settings.SESSION_ABSOLUTE_AGE = ABSOLUTE
    for _visit in range(6):
        clock.move(600, visitor.cookie)
        assert visitor.visit(read) == 1
    assert visitor.max_age == IDLE


def test_absolute_timeout_alone(visitor: Visitor, clock: Clock, settings: Settings) -> None:
    settings.SESSION_IDLE_AGE = None
    settings.SESSION_ABSOLUTE_AGE = ABSOLUTE
    visitor.visit(sign_in)
    assert visitor.max_age == ABSOLUTE
    clock.move(ABSOLUTE - 10, visitor.cookie)
    assert visitor.visit(read) == 1
    assert visitor.max_age is None
    clock.move(10 + SECOND, visitor.cookie)
    assert visitor.visit(read) is None


def test_shorter_absolute_age_applies_to_stored_sessions(
    visitor: Visitor, clock: Clock, settings: Settings
) -> None:
    """Although their stored expiry is later."""
    settings.SESSION_IDLE_AGE = None
    settings.SESSION_ABSOLUTE_AGE = ABSOLUTE
    visitor.visit(sign_in)
    settings.SESSION_ABSOLUTE_AGE = 100
    clock.move(90, visitor.cookie)
    assert visitor.visit(read) == 1
    clock.move(20, visitor.cookie)
    assert visitor.visit(read) is None


@pytest.mark.parametrize(
    ("set_expiry", "seconds"),
    [
        (lambda session: session.set_expiry(60), 60),
        (lambda session: session.set_expiry(timezone.now() + timedelta(seconds=60)), 60),
        (lambda session: session.set_expiry(timedelta(seconds=60)), 60),
        (lambda session: session.set_expiry(2 * IDLE), IDLE),
        (lambda session: session.set_expiry(timezone.now() + timedelta(days=1)), IDLE),
        (lambda session: session.set_expiry(timedelta(days=1)), IDLE),
    ],
    ids=["60", "date in 60", "timedelta 60", "later", "later date", "later timedelta"],
)
def test_earliest_of_all_wins(
    visitor: Visitor, clock: Clock, set_expiry: Callable[[Any], None], seconds: int
) -> None:
    visitor.visit(set_expiry)
    assert visitor.max_age == seconds
    clock.move(seconds - 5, visitor.cookie)
    assert passively(visitor, read, "header") == 1
    clock.move(5 + SECOND, visitor.cookie)
    assert visitor.visit(read) is None


@pytest.mark.parametrize("use_tz", [True, False])
def test_reader_of_session_with_later_date_stays(
    visitor: Visitor, clock: Clock, use_tz: bool, settings: Settings
) -> None:
    settings.USE_TZ = use_tz
    visitor.visit(lambda session: session.set_expiry(timedelta(days=1)))
    for _visit in range(3):
        clock.move(900, visitor.cookie)
        assert visitor.visit(read) == 1
        assert visitor.max_age == IDLE
    clock.move(IDLE + SECOND, visitor.cookie)
    assert visitor.visit(read) is None


def test_shorter_cookie_age_wins(visitor: Visitor, clock: Clock, settings: Settings) -> None:
    settings.SESSION_COOKIE_AGE = 500
    visitor.visit(write)
    assert visitor.max_age == 500


def test_until_browser_closes(visitor: Visitor, clock: Clock) -> None:
    """The browser gets no age; the server ends the session all the same."""
    visitor.visit(lambda session: session.set_expiry(0))
    assert visitor.max_age == ""
    clock.move(900, visitor.cookie)
    assert visitor.visit(read) == 1
    assert visitor.max_age == ""
    clock.move(IDLE + SECOND, visitor.cookie)
    assert visitor.visit(read) is None


@pytest.mark.parametrize("use_tz", [True, False])
def test_methods_for_the_expiry_know_the_timeout(
    visitor: Visitor, clock: Clock, use_tz: bool, settings: Settings
) -> None:
    settings.USE_TZ = use_tz

    def view(session: Any) -> tuple[int, float]:
        date = session.get_expiry_date()
        assert timezone.is_aware(date) is use_tz
        return session.get_expiry_age(), aware(date).timestamp()

    assert visitor.visit(view) == (IDLE, pytest.approx(time.time() + IDLE, abs=1e-3))
    # From their arguments alone, as Django's.
    now = timezone.now()
    assert visitor.visit(lambda session: session.get_expiry_age(expiry=5000)) == 5000
    assert visitor.visit(
        lambda session: session.get_expiry_date(modification=now, expiry=5000)
    ) == now + timedelta(seconds=5000)


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_session_of_before_the_setting_gets_it_with_its_next_request(
    visitor: Visitor, clock: Clock, settings: Settings
) -> None:
    settings.SESSION_IDLE_AGE = None
    visitor.visit(write)
    assert visitor.max_age == settings.SESSION_COOKIE_AGE
    settings.SESSION_IDLE_AGE = 10 * 24 * 60 * 60
    assert visitor.visit(read) == 1
    assert visitor.max_age == settings.SESSION_IDLE_AGE


def test_absolute_age_of_session_of_before_the_setting_begins_with_its_next_request(
    visitor: Visitor, clock: Clock, settings: Settings
) -> None:
    settings.SESSION_IDLE_AGE = None
    visitor.visit(sign_in)
    settings.SESSION_ABSOLUTE_AGE = ABSOLUTE
    assert visitor.visit(read) == 1
    assert visitor.max_age == ABSOLUTE
    assert visitor.visit(lambda session: session[AUTH_TIME]) == int(time.time())
    assert visitor.max_age is None


@pytest.mark.parametrize("wrong", ["1", None, 1.5, [], True])
def test_wrong_moment_of_sign_in_counts_from_now(
    visitor: Visitor, clock: Clock, wrong: Any, settings: Settings
) -> None:
    settings.SESSION_ABSOLUTE_AGE = 100

    def view(session: Any) -> None:
        sign_in(session)
        session[AUTH_TIME] = wrong

    visitor.visit(view)
    assert visitor.max_age == 100


def test_site_without_timeouts_stores_nothing_and_renews_nothing(
    visitor: Visitor, clock: Clock, settings: Settings
) -> None:
    settings.SESSION_IDLE_AGE = None
    visitor.visit(sign_in)
    assert AUTH_TIME not in visitor.visit(dict)
    clock.move(24 * 60 * 60, visitor.cookie)
    assert visitor.visit(read) == 1
    assert visitor.max_age is None


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_response_is_served_if_session_ends_during_the_request(
    visitor: Visitor, clock: Clock, engine: Engine
) -> None:
    clock.move(500, visitor.cookie)

    def view(session: Any) -> Any:
        value = session["a"]
        engine.Store(visitor.cookie).delete()
        return value

    if visitor.half == "async":
        pytest.skip("Its view runs on the event loop.")
    assert visitor.visit(view) == 1
    assert visitor.max_age is None


@on_engines(
    lambda engine: (
        engine.ours
        and engine.name != "file"
        and (engine.database in {"", "postgresql"} and engine.cache in {"", "redis"})
    )
)
def test_round_trips(engine: Engine, clock: Clock) -> None:
    """A cache is asked for the expiry, but only now and then."""
    visitor = Visitor()
    visitor.visit(lambda session: session.update({"a": 1}))
    numbers = []
    # The first read asks whether a renewal is due, the second does not, and the third renews.
    for seconds in (50, 0, 450):
        clock.move(seconds, visitor.cookie)
        with count_round_trips() as round_trips:
            assert visitor.visit(read) == 1
        numbers.append(round_trips.number)
    assert visitor.max_age == IDLE
    assert numbers == {
        "db": [1, 1, 2],
        "mongodb": [1, 1, 2],
        "cache": [2, 1, 3],
        "cached_db": [2, 1, 5],
    }.get(engine.name, [0, 0, 0])


@pytest.mark.parametrize("value", [0, -1, "900", 1.5, True])
@pytest.mark.parametrize("name", ["SESSION_IDLE_AGE", "SESSION_ABSOLUTE_AGE"])
def test_wrong_setting_stops_the_start(name: str, value: Any, settings: Settings) -> None:
    setattr(settings, name, value)
    with pytest.raises(ImproperlyConfigured, match=f"{name} = .*number of seconds"):
        SessionMiddleware(lambda request: HttpResponse())


def test_reader_stays_after_a_switch_of_engines(switch: Switch) -> None:
    with time_machine.travel(time.time(), tick=False) as travel:
        visitor = Visitor()
        visitor.visit(lambda session: session.update({"a": 1}))
        switch.make()
        for _visit in range(4):
            travel.shift(300)
            assert visitor.visit(read) == 1


@only_switches(pair for pair in PAIRS if not {"cache", "cached_db"} & set(pair))
@pytest.mark.parametrize("seconds", [300, 900])
def test_whoever_leaves_after_a_switch_of_engines_is_signed_out(
    switch: Switch, seconds: int
) -> None:
    """A cache on a server has a clock of its own."""
    with time_machine.travel(time.time(), tick=False) as travel:
        visitor = Visitor()
        visitor.visit(lambda session: session.update({"a": 1}))
        switch.make()
        travel.shift(seconds)
        assert visitor.visit(read) == 1
        travel.shift(IDLE + SECOND)
        assert visitor.visit(read) is None


def test_view_may_keep_what_it_has_set_from_being_saved(engine: Engine) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.session["a"] = 1
        request.session.modified = False
        return HttpResponse()

    request = HttpRequest()
    assert not SessionMiddleware(view)(request).cookies
    assert request.session.session_key is None


def test_overridden_get_decides_the_expiry(engine: Engine) -> None:
    class Session(engine.Store):  # type: ignore[name-defined,misc]
        def get(self, key: str, default: Any = None) -> Any:
            return 60 if key == EXPIRY_ITEM else super().get(key, default)

    assert Session().get_expiry_age() == 60
