"""SESSION_RENEW_AGE: a session gets a new key, and nobody with the previous one is signed out."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from pytest_django import Settings

from cookieproj.engines.constants import KEY_SINCE, RENEWED_FROM, RENEWED_TO
from cookieproj.engines.exceptions import (
    NotListableError,
    StoreFullError,
    StoreUnavailableError,
)
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.key_renewal import GRACE
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.renewal import recent_checks
from cookieproj.engines.signatures import SignedContent
from tests.stores import Step, before, instead, steps_of

from .contract import Engine, on_engines
from .stopped_clock import Clock, stopped_clock

NAME = "sessionid"
RENEW = 3600

# Servers round a time to live to whole seconds.
SECOND = 2

pytestmark = on_engines(lambda engine: engine.ours and engine.on_server)

View = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def clock(engine: Engine, settings: Settings) -> Iterator[Clock]:
    settings.SESSION_RENEW_AGE = RENEW
    recent_checks.clear()
    with stopped_clock(engine.Store) as clock:
        yield clock


def visit(key: str | None, view: View) -> tuple[Any, str | None]:
    """Return what the view returns, and the session key that the response sets."""
    result = None

    def view_of_request(request: HttpRequest) -> HttpResponse:
        nonlocal result
        result = view(request.session)
        return HttpResponse()

    request = HttpRequest()
    if key:
        request.COOKIES[NAME] = key
    response = SessionMiddleware(view_of_request)(request)
    assert response.status_code == 200
    cookie = response.cookies.get(NAME)
    return result, cookie.value if cookie else None


def read(session: Any) -> Any:
    return session.get("a")


def write(session: Any) -> None:
    session["b"] = 2


@pytest.fixture
def key() -> str:
    """The key of a new session."""
    _result, key = visit(None, lambda session: session.update({"a": 1}))
    assert key
    return key


@pytest.fixture
def due(key: str, clock: Clock) -> str:
    """A key that is as old as SESSION_RENEW_AGE."""
    clock.move(RENEW, key)
    return key


def data_of(engine: Engine, key: str) -> dict[str, Any]:
    """The data without the marks of a renewal."""
    marks = {KEY_SINCE, RENEWED_FROM, RENEWED_TO}
    return {name: value for name, value in engine.Store(key).items() if name not in marks}


def test_key_is_not_renewed_before_it_is_due(key: str, clock: Clock) -> None:
    clock.move(RENEW - SECOND, key)
    assert visit(key, read) == (1, None)


@pytest.mark.parametrize(("view", "data"), [(read, {"a": 1}), (write, {"a": 1, "b": 2})])
def test_response_sets_new_key(engine: Engine, due: str, view: View, data: dict[str, int]) -> None:
    _result, new_key = visit(due, view)
    assert new_key not in {None, due}
    assert data_of(engine, new_key or "") == data
    # The next request with it ends the renewal, and sets it again with a new age.
    assert visit(new_key, read) == (1, new_key)
    assert visit(new_key, read) == (1, None)


def test_new_key_is_as_old_as_the_renewal(due: str, clock: Clock) -> None:
    _result, second = visit(due, read)
    assert visit(second, read) == (1, second)
    clock.move(RENEW, second or "")
    _result, third = visit(second, read)
    assert third not in {None, second, due}


def test_session_with_every_request_saved_is_renewed(due: str, settings: Settings) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    _result, new_key = visit(due, read)
    assert new_key not in {None, due}


def test_request_with_previous_key_gets_session_and_new_key(due: str) -> None:
    _result, new_key = visit(due, read)
    assert visit(due, read) == (1, new_key)
    assert visit(due, write) == (None, new_key)
    assert visit(due, lambda session: session.get("b")) == (2, new_key)


def test_browser_that_never_gets_the_new_key_stays(due: str, clock: Clock) -> None:
    """The response is lost, and the next request comes much later."""
    _result, new_key = visit(due, read)
    clock.move(10 * GRACE, due)
    assert visit(due, read) == (1, new_key)


def test_previous_key_ends_soon_after_the_new_one_is_used(due: str, clock: Clock) -> None:
    _result, new_key = visit(due, read)
    visit(new_key, read)
    clock.move(GRACE - SECOND, due)
    assert visit(due, read) == (1, new_key)
    clock.move(2 * SECOND, due)
    assert visit(due, read) == (None, None)
    assert visit(new_key, read) == (1, None)


def test_late_save_is_merged(engine: Engine, due: str) -> None:
    late = engine.Store(due)
    late["c"] = 3
    _result, new_key = visit(due, write)
    late.save()
    assert late.session_key == new_key
    assert data_of(engine, new_key or "") == {"a": 1, "b": 2, "c": 3}


def test_late_apply_is_merged(engine: Engine, due: str) -> None:
    late = engine.Store(due)
    assert late["a"] == 1
    _result, new_key = visit(due, write)
    assert late.apply("a", lambda number: number + 1) == 2
    assert data_of(engine, new_key or "") == {"a": 2, "b": 2}


def test_late_sign_in_ends_both_keys(engine: Engine, due: str, clock: Clock) -> None:
    late = engine.Store(due)
    assert late["a"] == 1
    _result, new_key = visit(due, write)
    late.cycle_key()
    late.save()
    assert late.session_key not in {due, new_key}
    assert data_of(engine, late.session_key) == {"a": 1, "b": 2}
    assert visit(due, read) == (None, None)
    assert visit(new_key, read) == (None, None)


def test_sign_in_with_the_previous_key_completes_the_renewal(engine: Engine, due: str) -> None:
    visit(due, read)
    _result, new_key = visit(due, lambda session: session.cycle_key())
    assert RENEWED_FROM not in engine.Store(new_key)
    assert visit(new_key, read) == (1, None)


@pytest.mark.parametrize("reads_first", [False, True])
def test_late_sign_out_ends_both_keys(engine: Engine, due: str, reads_first: bool) -> None:
    late = engine.Store(due)
    if reads_first:
        assert late["a"] == 1
    _result, new_key = visit(due, read)
    late.flush()
    assert visit(due, read) == (None, None)
    assert visit(new_key, read) == (None, None)


def test_sign_out_during_renewal_ends_both_keys(engine: Engine, due: str) -> None:
    """The renewal comes between the two steps of the sign-out."""
    new_keys: list[str | None] = []

    def renew_once() -> None:
        if not new_keys:
            new_keys.append(None)
            _result, new_keys[0] = visit(due, read)

    with steps_of(engine.Store, compare_and_delete=before(renew_once)):
        engine.Store(due).flush()
    [new_key] = new_keys
    assert new_key
    assert visit(due, read) == (None, None)
    assert visit(new_key, read) == (None, None)


def test_renewal_during_sign_out_does_not_bring_the_session_back(engine: Engine, due: str) -> None:
    """The sign-out comes between the two steps of the renewal."""
    ended: list[int] = []

    def sign_out_once() -> None:
        if not ended:
            ended.append(1)
            engine.Store(due).flush()

    with steps_of(engine.Store, insert=before(sign_out_once)):
        value, new_key = visit(due, read)
    assert (value, new_key) == (1, None)
    assert visit(due, read) == (None, None)
    assert number_of_sessions(engine) in {0, None}


def number_of_sessions(engine: Engine) -> int | None:
    """None if the store cannot list its sessions."""
    try:
        return len(list(engine.Store.walk()))
    except NotListableError:
        return None


@on_engines(lambda engine: engine.ours and engine.on_server and "sqlite" not in engine.database)
def test_requests_at_once_get_one_new_key(engine: Engine, due: str) -> None:
    all_have_read = Barrier(8)

    def read_with_the_others(number: int) -> tuple[Any, str | None]:
        def view(session: Any) -> Any:
            value = read(session)
            all_have_read.wait()
            if number % 2:
                session[f"n{number}"] = number
            return value

        try:
            return visit(due, view)
        finally:
            connections.close_all()
            caches.close_all()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(read_with_the_others, range(8)))
    assert {value for value, _key in answers} == {1}
    # A response from before the renewal sets the previous key, which leads to the new one.
    last_keys = {visit(key, read)[1] or key for _value, key in answers}
    assert len(last_keys) == 1
    [new_key] = last_keys
    assert data_of(engine, new_key or "") == {"a": 1, "n1": 1, "n3": 3, "n5": 5, "n7": 7}
    assert number_of_sessions(engine) in {1, None}


def lost(step: Step) -> Step:
    def take_step_and_lose_the_answer(*arguments: Any, **options: Any) -> Any:
        step(*arguments, **options)
        raise StoreUnavailableError("the store", TimeoutError("no answer"))

    return take_step_and_lose_the_answer


def refuse(*arguments: Any, **options: Any) -> Any:
    raise StoreUnavailableError("the store", TimeoutError("not reached"))


@pytest.mark.parametrize("failing", ["insert", "compare_and_swap"])
@pytest.mark.parametrize("change", [lost, instead(refuse)], ids=["lost", "not sent"])
def test_failing_store_signs_nobody_out(
    engine: Engine, due: str, failing: str, change: Callable[[Step], Step]
) -> None:
    with steps_of(engine.Store, **{failing: change}):
        value, key = visit(due, read)
    assert (value, key) == (1, due)
    value, key = visit(due, read)
    assert value == 1
    assert key not in {None, due}
    assert data_of(engine, key or "") == {"a": 1}


def test_list_has_the_new_key_only(engine: Engine, due: str) -> None:
    _result, new_key = visit(due, read)
    try:
        listed = [session.key for session in engine.Store.walk()]
    except NotListableError:
        pytest.skip("This store lists nothing.")
    assert listed == [new_key]
    assert not engine.Store().exists(due)


def test_renewal_keeps_the_expiry_of_the_session(engine: Engine, due: str, clock: Clock) -> None:
    _result, new_key = visit(due, lambda session: session.set_expiry(7200))
    entry = store_of(engine.Store).read(new_key or "", with_expiry=True)
    assert entry
    assert entry.expires
    assert entry.expires.timestamp() == pytest.approx(time.time() + 7200, abs=SECOND)


def test_reader_with_renewed_keys_is_signed_out_as_on_djangos_engine(
    key: str | None, clock: Clock, settings: Settings
) -> None:
    """Without SESSION_IDLE_AGE only a change moves the expiry."""
    for _visit in range(3):
        clock.move(RENEW, key or "")
        value, new_key = visit(key, read)
        assert value == 1
        assert new_key not in {None, key}
        _value, key = visit(new_key, read)
    clock.move(settings.SESSION_COOKIE_AGE - 3 * RENEW + SECOND, key or "")
    assert visit(key, read) == (None, None)


def test_session_of_before_the_setting_is_renewed_with_its_next_request(
    engine: Engine, settings: Settings
) -> None:
    settings.SESSION_RENEW_AGE = None
    _result, key = visit(None, lambda session: session.update({"a": 1}))
    assert dict(engine.Store(key).items()) == {"a": 1}
    assert visit(key, read) == (1, None)
    settings.SESSION_RENEW_AGE = RENEW
    _result, new_key = visit(key, read)
    assert new_key not in {None, key}


def test_previous_key_leads_on_after_the_setting_is_removed(due: str, settings: Settings) -> None:
    _result, new_key = visit(due, read)
    settings.SESSION_RENEW_AGE = None
    assert visit(due, read) == (1, new_key)


@pytest.mark.parametrize("value", [0, "3600", True])
def test_wrong_setting_stops_the_start(value: Any, settings: Settings) -> None:
    settings.SESSION_RENEW_AGE = value
    with pytest.raises(ImproperlyConfigured, match=r"SESSION_RENEW_AGE = .*number of seconds"):
        SessionMiddleware(lambda request: HttpResponse())


def test_handover_renews_no_key(engine: Engine, due: str, settings: Settings) -> None:
    settings.SESSION_HANDOVER_FROM = "mongodb" if engine.name == "file" else "file"
    assert visit(due, read)[1] in {None, due}


def test_store_that_fails_after_a_lost_race_gets_no_second_session(
    engine: Engine, due: str
) -> None:
    """The sign-out was quicker than the renewal, which cannot delete what it has inserted."""
    steps: list[str] = []

    def sign_out_once() -> None:
        if not steps:
            steps.append("inserted")
            engine.Store(due).flush()
            steps.append("signed out")

    def fail_after_sign_out(delete: Step) -> Step:
        def delete_or_fail(key: str) -> None:
            if len(steps) == 2:
                refuse()
            delete(key)

        return delete_or_fail

    with steps_of(engine.Store, insert=before(sign_out_once), delete=fail_after_sign_out):
        assert visit(due, read)[1] in {None, due}
    assert visit(due, read) == (None, None)


def test_previous_key_ends_although_the_store_failed_once(
    engine: Engine, due: str, clock: Clock
) -> None:
    _result, new_key = visit(due, read)
    with steps_of(engine.Store, touch=instead(refuse), compare_and_swap=instead(refuse)):
        assert visit(new_key, read)[0] == 1
    assert visit(new_key, read) == (1, new_key)
    clock.move(GRACE + SECOND, due)
    assert visit(due, read) == (None, None)


def test_full_store_fails_no_request(engine: Engine, due: str, settings: Settings) -> None:
    def refuse_as_full(*arguments: Any, **options: Any) -> Any:
        raise StoreFullError("the store", "no room")

    settings.SESSION_SAVE_EVERY_REQUEST = True
    with steps_of(engine.Store, insert=instead(refuse_as_full)):
        assert visit(due, read) == (1, due)
    assert data_of(engine, due) == {"a": 1}


@on_engines(lambda engine: engine.ours and engine.name == "cached_db")
def test_previous_key_leads_on_without_its_cached_copy(due: str) -> None:
    _result, new_key = visit(due, read)
    caches["sessions"].clear()
    assert visit(new_key, read) == (1, new_key)
    assert visit(due, read) == (1, new_key)


@on_engines(lambda engine: engine.ours and engine.name in {"db", "cached_db"})
def test_previous_key_leads_on_if_a_subclass_creates_the_rows(
    engine: Engine, due: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a row is written as a whole where others only get another expiry."""
    monkeypatch.setattr(engine.Store, "overrides_row_creation", True)
    _result, new_key = visit(due, read)
    assert visit(new_key, read) == (1, new_key)
    caches["sessions"].clear()
    assert visit(due, read) == (1, new_key)


def test_keys_that_lead_to_a_session_are_alive(engine: Engine, due: str) -> None:
    _result, new_key = visit(due, read)
    try:
        assert engine.Store.alive([due, new_key]) == {due, new_key}
        engine.Store(new_key).delete()
        assert engine.Store.alive([due, new_key]) == set()
    except NotListableError:
        pytest.skip("This store lists nothing.")


@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
def test_sign_out_in_a_transaction_sees_what_others_saved_since(engine: Engine, due: str) -> None:
    """The snapshot of the transaction has the session as it was when the transaction began."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    with transaction.atomic():
        assert Session.objects.filter(pk=due).exists()
        with ThreadPoolExecutor(1) as thread:
            thread.submit(visit_in_thread, due, write).result()
        engine.Store(due).flush()
    assert visit(due, read) == (None, None)


def visit_in_thread(key: str, view: View) -> None:
    try:
        visit(key, view)
    finally:
        connections.close_all()


@on_engines(lambda engine: engine.ours and engine.name == "db" and engine.database == "sqlite")
@pytest.mark.parametrize("age", [None, RENEW])
def test_session_is_decoded_once(
    engine: Engine, key: str, age: int | None, settings: Settings
) -> None:
    settings.SESSION_RENEW_AGE = age
    with mock.patch.object(
        SignedContent, "_loads", autospec=True, side_effect=SignedContent._loads
    ) as loads:
        assert engine.Store(key)["a"] == 1
    assert loads.call_count == 1
