"""SESSION_END_COPIED: a key that was renewed long ago ends the session when it is used again."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpRequest, HttpResponse
from pytest_django import Settings

from cookieproj.engines.clock import from_now
from cookieproj.engines.constants import OUR_ENGINES, RENEWAL_ENDED, RENEWED_TO
from cookieproj.engines.handover_mixin import store_of
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

    # Whether its last visit found that the session was copied, and whether it found one.
    was_told = has_session = False

    def __init__(self, key: str | None = None) -> None:
        self.key = key

    def visit(self, **data: Any) -> Any:
        """Return what the session has under ``a``."""
        found = None

        def view(request: HttpRequest) -> HttpResponse:
            nonlocal found
            request.session.update(data) if data else None
            found = request.session.get("a")
            self.was_told = request.session.was_copied  # type: ignore[attr-defined]
            self.has_session = not request.session.is_empty()
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


def test_each_of_the_two_is_told_and_the_session_is_no_session_any_more(
    engine: Engine, browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    thief = Holder(browser.key)
    assert is_renewed(browser, clock)
    slow = engine.Store(browser.key)
    assert slow["a"] == 1
    clock.move(GRACE + 1, str(browser.key))
    key = str(browser.key)
    thief.visit()
    assert thief.was_told
    for _visit in range(2):
        browser.key = key
        browser.visit()
        assert browser.was_told
    assert ended == [1]
    assert not engine.Store().exists(key)
    assert not list(engine.Store(key).items())
    slow["late"] = True
    with pytest.raises(UpdateError):
        slow.save()
    assert not engine.Store().exists(key)


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


def test_previous_key_that_a_late_response_puts_back_is_no_copy(
    browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    """It was saved right before the renewal, and arrives after the browser has sent the new key.

    The user reads the page for some minutes. So GRACE cannot be much shorter.
    """
    previous = str(browser.key)
    late = Holder(previous)
    clock.move(RENEW - 1, previous)
    late.visit(b=2)
    clock.move(1, previous)
    browser.visit()
    browser.visit()
    new = browser.key
    assert late.key == previous != new
    browser.key = late.key
    clock.move(4 * 60, str(new))
    assert browser.visit() == 1
    assert browser.key == new
    assert not ended


def test_upload_of_minutes_that_began_before_the_renewal_is_no_copy(
    engine: Engine, browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    """The server opens the session when the whole body has arrived."""
    upload = Holder(browser.key)
    assert is_renewed(browser, clock)
    clock.move(4 * 60, str(browser.key))
    assert upload.visit(c=3) == 1
    assert engine.Store(browser.key)["c"] == 3
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


def test_setting_that_was_turned_off_ends_nothing(
    browser: Holder, clock: Clock, settings: Settings, ended: list[Any]
) -> None:
    thief = Holder(browser.key)
    assert is_renewed(browser, clock)
    settings.SESSION_END_COPIED = False
    clock.move(GRACE + 1, str(thief.key))
    assert thief.visit() is None
    assert browser.visit() == 1
    assert not ended


def test_copy_is_noticed_when_keys_are_renewed_no_more(
    browser: Holder, clock: Clock, settings: Settings, ended: list[Any]
) -> None:
    thief = Holder(browser.key)
    assert is_renewed(browser, clock)
    assert is_renewed(browser, clock)
    settings.SESSION_RENEW_AGE = None
    clock.move(GRACE + 1, str(browser.key))
    assert thief.visit() is None
    assert browser.visit() is None
    assert ended == [1]


def test_slow_request_of_the_browser_ends_nothing(
    engine: Engine, browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    """It has read the session under the previous key, and saves it long after."""
    slow = engine.Store(browser.key)
    assert slow["a"] == 1
    assert is_renewed(browser, clock)
    clock.move(GRACE + 1, str(browser.key))
    slow["upload"] = "done"
    with pytest.raises(UpdateError):
        slow.save()
    assert browser.visit() == 1
    assert not ended


def test_chain_of_many_keys_is_followed(
    engine: Engine, browser: Holder, clock: Clock, ended: list[Any]
) -> None:
    if engine.cache == "memory":
        pytest.skip("It keeps no more than 300 entries.")
    thief = Holder(browser.key)
    assert is_renewed(browser, clock)
    key, store = str(browser.key), store_of(engine.Store)
    stored = store.read(key, with_expiry=True)
    assert stored
    expires = stored.expires or from_now(RENEW)
    keys = [f"{number:032}" for number in range(1100)]
    store.insert(keys[-1], dict(stored.data or {}), expires)
    over = {RENEWAL_ENDED: 0}
    for previous, new in pairwise([key, *keys]):
        if previous == key:
            store.compare_and_swap(key, stored, {RENEWED_TO: new} | over, expires)
        else:
            store.insert(previous, {RENEWED_TO: new} | over, expires)
    assert Holder(keys[-1]).visit() == 1
    clock.move(GRACE + 1, keys[-1])
    assert thief.visit() is None
    assert Holder(keys[-1]).visit() is None
    assert ended == [1]


def test_session_that_has_ended_stays_so_through_a_switch(
    engine: Engine, browser: Holder, clock: Clock, settings: Settings, ended: list[Any]
) -> None:
    thief = Holder(browser.key)
    assert is_renewed(browser, clock)
    clock.move(GRACE + 1, str(browser.key))
    thief.visit()
    old = settings.SESSION_ENGINE
    new = "file" if engine.name != "file" else "db"
    for running, previous in ((f"{OUR_ENGINES}{new}", old), (old, f"{OUR_ENGINES}{new}")):
        settings.SESSION_ENGINE, settings.SESSION_HANDOVER_FROM = running, previous
        for holder in (Holder(browser.key), Holder(thief.key)):
            holder.visit()
            assert not holder.has_session
    assert ended == [1]
