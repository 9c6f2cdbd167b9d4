"""Handover by the async methods, with other settings, and between other stores."""

import logging
import secrets
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import caches as cache_connections
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.exceptions import CookieTooLargeError
from cookieproj.settings.caches import caches
from tests.families import IN_COOKIES

from .conftest import database
from .handover_switch import (
    PAIRS,
    Browser,
    Switch,
    View,
    browser_of_moved_session,
    flush,
    only_switches,
    unreachable,
)

OUT_OF_COOKIES = only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)
INTO_COOKIES = only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)


class TestAsync:
    """Django raises SynchronousOnlyOperation for a query on the event loop."""

    def test_reading_first(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        assert browser.visit(lambda session: async_to_sync(session.aget)("a")) == 1
        assert browser.read() == {"a": 1}

    def test_writing_first(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        browser.visit(lambda session: async_to_sync(session.aset)("b", 2))
        assert browser.read() == {"a": 1, "b": 2}

    def test_a_new_key_first(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        before = browser.copy()
        browser.visit(lambda session: async_to_sync(session.acycle_key)())
        assert browser.read() == {"a": 1}
        assert before.read() == {}

    def test_a_sign_out_first(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        before = browser.copy()
        browser.visit(lambda session: async_to_sync(session.aflush)())
        assert browser.cookie is None
        assert before.read() == {}

    def test_the_expiry(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)

        def ages(session: Any) -> list[int]:
            session.get("a")
            return [session.get_expiry_age(), async_to_sync(session.aget_expiry_age)()]

        one, other = browser.visit(ages)
        assert abs(one - other) <= 1


@OUT_OF_COOKIES
@pytest.mark.parametrize("renew", ["flush", "create", "cycle_key"])
def test_who_signs_in_after_a_sign_out_gets_a_key_that_no_old_cookie_opens(
    switch: Switch, renew: str
) -> None:
    """In one request, like a sign-in of another user."""
    browser = browser_of_moved_session(switch)
    before = browser.copy()

    def sign_in(session: Any) -> None:
        session.get("a")
        getattr(session, renew)()
        session["user"] = "ada"

    browser.visit(sign_in)
    assert browser.read()["user"] == "ada"
    assert "user" not in before.read()


@INTO_COOKIES
def test_a_sign_in_that_fails_leaves_the_old_key(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser has not received another key yet."""
    browser = browser_of_moved_session(switch)

    def sign_in(session: Any) -> None:
        session.cycle_key()
        session["user"] = "ada"
        with unreachable(switch, "old", "put"):
            session.save()

    browser.visit(sign_in)
    assert browser.read() == {"a": 1}
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


@INTO_COOKIES
def test_a_cookie_that_cannot_be_exchanged_back_leaves_what_others_stand_on(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late response set a cookie that depends on the session key of the exchange."""
    browser = browser_of_moved_session(switch)
    late = browser.copy()
    browser.set(b=2)
    browser.set(c=3)
    late.visit(lambda session: session.save())
    switch.back()
    with unreachable(switch, "old", "insert"):
        browser.visit(lambda session: session.get("a"))
    assert browser.response.status_code == 503
    assert late.read()["a"] == 1


def test_where_it_is_can_be_told_all_along(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    age = switch.settings.SESSION_COOKIE_AGE
    for use in (lambda session: session.get("a"), lambda session: session.update({"b": 2})):
        located = [browser.visit(where) for where in (located_after(use), located_after(use))]
        assert all(age - 60 < seconds <= age for seconds in located)


def located_after(use: View) -> View:
    """Return the seconds until the session expires in the place that ``locate`` names."""

    def view(session: Any) -> float:
        use(session)
        [first, *_copies] = session.locate()
        left: float = (first.expires - timezone.now()).total_seconds()
        return left

    return view


def test_to_look_where_it_is_changes_nothing(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.set(b=2)
    other = browser.copy()

    def view(session: Any) -> None:
        session.get("a")
        other.set(c=3)
        session.locate()
        session["d"] = 4

    browser.visit(view)
    assert browser.read() == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_also_where_each_request_saves(switch: Switch, settings: Settings) -> None:
    browser = browser_of_moved_session(switch)
    settings.SESSION_SAVE_EVERY_REQUEST = True
    for _ in range(3):
        assert browser.read() == {"a": 1}
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


@pytest.mark.parametrize("use_tz", [True, False])
def test_with_time_zones_and_without(switch: Switch, settings: Settings, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    browser = browser_of_moved_session(switch)
    browser.visit(lambda session: session.set_expiry(500))
    browser.set(b=2)
    assert browser.read() == {"a": 1, "_session_expiry": 500, "b": 2}


def test_what_empties_the_session_unread(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()
    browser.visit(lambda session: (session.clear(), session.update({"b": 2})))
    assert browser.read() == {"b": 2}
    if switch.new not in IN_COOKIES:
        assert "a" not in before.read()


@INTO_COOKIES
@pytest.mark.parametrize("debug", [True, False])
def test_what_is_too_large_for_a_cookie_stays_where_it_is(
    switch: Switch, settings: Settings, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    settings.DEBUG = debug
    browser = Browser()
    browser.set(large=secrets.token_hex(4000))
    key = browser.cookie
    switch.make()
    with caplog.at_level(logging.WARNING, "django.contrib.sessions"):
        for number in range(3):
            browser.set(number=number)
            assert browser.cookie == key
    assert browser.read()["number"] == 2
    assert "A session stays in" in caplog.text
    assert str(key) not in caplog.text
    browser.visit(lambda session: session.pop("large"))
    assert browser.read() == {"number": 2}
    assert browser.cookie != key


@INTO_COOKIES
def test_what_grows_too_large_in_its_cookie_is_an_error_where_a_setting_says_so(
    switch: Switch, settings: Settings
) -> None:
    """The old store no longer has the session, so it cannot stay in it."""
    settings.DEBUG, settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = False, True
    browser = browser_of_moved_session(switch)
    browser.set(b=2)
    browser.set(c=3)
    before = browser.cookie
    with pytest.raises(CookieTooLargeError):
        browser.set(large=secrets.token_hex(4000))
    assert browser.cookie == before
    assert browser.read() == {"a": 1, "b": 2, "c": 3}


@INTO_COOKIES
def test_a_late_request_with_the_old_key_exchanges_nothing(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    late = browser.copy()
    browser.read()
    browser.set(b=2)
    key = late.cookie
    assert late.read()["a"] == 1
    assert late.cookie == key


@only_switches([("db", "cache"), ("cache", "db"), ("cached_db", "file"), ("file", "cached_db")])
def test_between_postgresql_and_memcached(
    switch: Switch, settings: Settings, memcached_url: str, postgresql_sessions_url: str
) -> None:
    settings.CACHES = caches(memcached_url)
    cache_connections["sessions"].clear()
    with database(postgresql_sessions_url):
        switch.before()
        browser = Browser()
        browser.visit(lambda session: (session.set_expiry(5000), session.update({"a": 1})))
        other = browser.copy()
        switch.make()
        assert browser.read()["a"] == 1
        if switch.new == "cache":
            expires = switch.expiry("cache", browser.cookie)
            left = (expires - expires.now(expires.tzinfo)).total_seconds()
            assert abs(left - 5000) < 5
        other.set(b=2)
        switch.back()
        browser.set(c=3)
        switch.make()
        expected = {"a": 1, "b": 2, "c": 3, "_session_expiry": 5000}
        assert browser.read() == expected
        browser.visit(flush)
        assert other.read() == {}
        switch.back()
        assert other.read() == {}
