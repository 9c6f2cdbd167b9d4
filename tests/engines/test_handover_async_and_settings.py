"""A handover by async methods, with other settings, and between PostgreSQL and memcached."""

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

FROM_COOKIES = only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)
TO_COOKIES = only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)


class TestAsync:
    """An async method is the first access, and must not query a database on the event loop."""

    def test_aget_reads_the_old_session(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        assert browser.visit(lambda session: async_to_sync(session.aget)("a")) == 1
        assert browser.read() == {"a": 1}

    def test_aset_keeps_the_old_data(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        browser.visit(lambda session: async_to_sync(session.aset)("b", 2))
        assert browser.read() == {"a": 1, "b": 2}

    def test_acycle_key_ends_the_old_key(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        before = browser.copy()
        browser.visit(lambda session: async_to_sync(session.acycle_key)())
        assert browser.read() == {"a": 1}
        assert before.read() == {}

    def test_aflush_ends_the_old_session(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)
        before = browser.copy()
        browser.visit(lambda session: async_to_sync(session.aflush)())
        assert browser.cookie is None
        assert before.read() == {}

    def test_aget_expiry_age_equals_get_expiry_age(self, switch: Switch) -> None:
        browser = browser_of_moved_session(switch)

        def ages(session: Any) -> list[int]:
            session.get("a")
            return [session.get_expiry_age(), async_to_sync(session.aget_expiry_age)()]

        sync_age, async_age = browser.visit(ages)
        assert abs(sync_age - async_age) <= 1


@FROM_COOKIES
@pytest.mark.parametrize("renew", ["flush", "create", "cycle_key"])
def test_old_cookie_does_not_open_a_sign_in_after_a_sign_out(switch: Switch, renew: str) -> None:
    """Both happen in one request, like a sign-in as another user."""
    browser = browser_of_moved_session(switch)
    before = browser.copy()

    def sign_in(session: Any) -> None:
        session.get("a")
        getattr(session, renew)()
        session["user"] = "ada"

    browser.visit(sign_in)
    assert browser.read()["user"] == "ada"
    assert "user" not in before.read()


@TO_COOKIES
def test_failed_sign_in_keeps_the_old_key(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
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


@TO_COOKIES
def test_failed_exchange_back_keeps_the_old_session(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late response has set a cookie that still needs that session key."""
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


def test_locate_shows_the_expiry_before_and_after_the_move(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    age = switch.settings.SESSION_COOKIE_AGE
    for use in (lambda session: session.get("a"), lambda session: session.update({"b": 2})):
        expiries = [
            browser.visit(view)
            for view in (seconds_until_expiry_after(use), seconds_until_expiry_after(use))
        ]
        assert all(age - 60 < seconds <= age for seconds in expiries)


def seconds_until_expiry_after(use: View) -> View:
    """Return the seconds until the session expires in the place that ``locate`` names."""

    def view(session: Any) -> float:
        use(session)
        [first, *_copies] = session.locate()
        remaining: float = (first.expires - timezone.now()).total_seconds()
        return remaining

    return view


def test_locate_does_not_undo_concurrent_writes(switch: Switch) -> None:
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


def test_session_is_kept_with_session_save_every_request(
    switch: Switch, settings: Settings
) -> None:
    browser = browser_of_moved_session(switch)
    settings.SESSION_SAVE_EVERY_REQUEST = True
    for _ in range(3):
        assert browser.read() == {"a": 1}
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


@pytest.mark.parametrize("use_tz", [True, False])
def test_expiry_is_kept_with_and_without_use_tz(
    switch: Switch, settings: Settings, use_tz: bool
) -> None:
    settings.USE_TZ = use_tz
    browser = browser_of_moved_session(switch)
    browser.visit(lambda session: session.set_expiry(500))
    browser.set(b=2)
    assert browser.read() == {"a": 1, "_session_expiry": 500, "b": 2}


def test_clear_before_reading_deletes_the_old_data(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()
    browser.visit(lambda session: (session.clear(), session.update({"b": 2})))
    assert browser.read() == {"b": 2}
    if switch.new not in IN_COOKIES:
        assert "a" not in before.read()


@TO_COOKIES
@pytest.mark.parametrize("debug", [True, False])
def test_session_too_large_for_a_cookie_stays_in_the_old_store(
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


@TO_COOKIES
def test_moved_session_that_grows_too_large_for_its_cookie_raises(
    switch: Switch, settings: Settings
) -> None:
    """The old store no longer has the session, so the session cannot stay there."""
    settings.DEBUG, settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = False, True
    browser = browser_of_moved_session(switch)
    browser.set(b=2)
    browser.set(c=3)
    before = browser.cookie
    with pytest.raises(CookieTooLargeError):
        browser.set(large=secrets.token_hex(4000))
    assert browser.cookie == before
    assert browser.read() == {"a": 1, "b": 2, "c": 3}


@TO_COOKIES
def test_late_request_with_the_old_key_gets_no_cookie(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    late = browser.copy()
    browser.read()
    browser.set(b=2)
    key = late.cookie
    assert late.read()["a"] == 1
    assert late.cookie == key


@only_switches([("db", "cache"), ("cache", "db"), ("cached_db", "file"), ("file", "cached_db")])
def test_switch_between_postgresql_and_memcached(
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
            remaining = (expires - expires.now(expires.tzinfo)).total_seconds()
            assert abs(remaining - 5000) < 5
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
