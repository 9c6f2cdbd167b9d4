"""SESSION_END_COPIED: a key that was renewed long ago ends the session when it is used again."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from pytest_django import Settings

from cookieproj.engines.key_renewal import GRACE
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.renewal import recent_checks
from cookieproj.engines.signals import copied_session_ended

from .contract import Engine, on_engines
from .stopped_clock import Clock, stopped_clock

NAME = "sessionid"
RENEW = 3600

pytestmark = on_engines(lambda engine: engine.ours and engine.on_server)


@pytest.fixture(autouse=True)
def clock(engine: Engine, settings: Settings) -> Iterator[Clock]:
    settings.SESSION_RENEW_AGE = RENEW
    settings.SESSION_END_COPIED = True
    recent_checks.clear()
    with stopped_clock(engine.Store) as clock:
        yield clock


@pytest.fixture
def ended() -> Iterator[list[Any]]:
    """The data of each session that the signal was sent for."""
    ended: list[Any] = []

    def receive(data: Any, **kwargs: Any) -> None:
        ended.append(data["a"])

    copied_session_ended.connect(receive)
    yield ended
    copied_session_ended.disconnect(receive)


class Holder:
    """A browser, or a thief, with a cookie."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key

    def visit(self, **data: Any) -> Any:
        """Return what the session has under ``a``."""
        found = None

        def view(request: HttpRequest) -> HttpResponse:
            nonlocal found
            request.session.update(data) if data else None
            found = request.session.get("a")
            return HttpResponse()

        request = HttpRequest()
        if self.key:
            request.COOKIES[NAME] = self.key
        response = SessionMiddleware(view)(request)
        if cookie := response.cookies.get(NAME):
            self.key = cookie.value
        return found


def is_renewed(holder: Holder, clock: Clock) -> bool:
    """Let the holder get a new key, and send it."""
    previous = str(holder.key)
    clock.move(RENEW, previous)
    holder.visit()
    holder.visit()
    return holder.key != previous


@pytest.fixture
def browser() -> Holder:
    browser = Holder()
    browser.visit(a=1)
    return browser


def test_copy_that_is_used_after_a_renewal_ends_both(
    browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    thief = Holder(browser.key)
    assert thief.visit() == 1
    assert is_renewed(browser, clock)
    clock.move(GRACE + 1, str(browser.key))
    assert thief.visit() is None
    assert browser.visit() is None
    assert ended == [1]


def test_browser_that_comes_back_after_the_thief_has_renewed_ends_both(
    browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    thief = Holder(browser.key)
    for _renewal in range(3):
        assert is_renewed(thief, clock)
    clock.move(GRACE + 1, str(thief.key))
    assert browser.visit() is None
    assert thief.visit() is None
    assert ended == [1]
    assert browser.visit() is None
    assert ended == [1]


def test_late_request_of_the_browser_ends_nothing(
    browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    late = Holder(browser.key)
    assert is_renewed(browser, clock)
    clock.move(GRACE - 1, str(browser.key))
    assert late.visit() == 1
    assert browser.visit() == 1
    assert not ended


def test_previous_key_of_a_session_that_has_ended_is_no_copy(
    engine: Engine, browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    late = Holder(browser.key)
    assert is_renewed(browser, clock)
    engine.Store(browser.key).delete(browser.key)
    clock.move(GRACE + 1, str(late.key))
    assert late.visit() is None
    assert not ended


def test_save_with_a_copied_key_is_lost_with_the_session(
    browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    thief = Holder(browser.key)
    assert is_renewed(browser, clock)
    clock.move(GRACE + 1, str(browser.key))
    thief.visit(b=2)
    assert ended == [1]
    assert browser.visit() is None


def test_without_the_setting_the_previous_key_opens_nothing_and_ends_nothing(
    browser: Holder, clock: Clock, settings: Settings, ended: list[Any]
) -> None:
    settings.SESSION_END_COPIED = False
    thief = Holder(browser.key)
    assert is_renewed(browser, clock)
    clock.move(GRACE + 1, str(thief.key))
    assert thief.visit() is None
    assert browser.visit() == 1
    assert not ended
