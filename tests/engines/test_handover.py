"""A switch between each pair of engines loses no session and restores none that has ended."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import caches as cache_connections
from django.utils import timezone

from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from tests.families import IN_COOKIES

from .handover_switch import (
    PAIRS,
    SERVER_PAIRS,
    Browser,
    Switch,
    browser_of_moved_session,
    flush,
    only_switches,
    unreachable,
)


def test_session_is_read_and_written_after_the_switch(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1, nested={"list": [1, None]})
    before = browser.cookie
    switch.make()
    assert browser.read() == {"a": 1, "nested": {"list": [1, None]}}
    assert (browser.cookie == before) == switch.keeps_the_key
    browser.set(b=2)
    assert browser.read() == {"a": 1, "nested": {"list": [1, None]}, "b": 2}


@only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)
def test_cookie_is_exchanged_for_a_key_of_40_hex_digits(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    assert browser.cookie
    assert re.fullmatch("[0-9a-f]{40}", browser.cookie)


def test_moved_session_opens_without_the_handover(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    switch.make()
    browser.read()
    browser.set(b=2)
    switch.run(switch.new, "")
    data = browser.read()
    assert (data["a"], data["b"]) == (1, 2)


def expire_in_redis(seconds: int) -> None:
    """Delete the keys that expire by then: the tests cannot move the clock of Redis."""
    client = cache_connections["sessions"].client.get_client()  # type: ignore[attr-defined]
    for name in client.scan_iter():
        if client.ttl(name) < seconds:
            client.delete(name)


def expiry_of(switch: Switch, cookie: str) -> Any:
    if switch.new not in IN_COOKIES:
        return switch.expiry(switch.new, cookie)
    session = switch.store(switch.new)(cookie)
    return session._expires(session.load())


@pytest.mark.parametrize("expiry", [None, 0, 40 * 24 * 3600, timedelta(days=30)])
def test_move_keeps_the_expiry(switch: Switch, expiry: Any) -> None:
    browser = Browser()
    with time_machine.travel(timezone.now() - timedelta(days=3)):
        expires = browser.visit(
            lambda session: (
                session.set_expiry(expiry),
                session.update({"a": 1}),
                session.get_expiry_date(),
            )
        )[-1]
    if switch.old == "cache":
        # Redis has its own clock.
        store, key = switch.place(switch.old), browser.cookie or ""
        store.touch(key, switch.stored(switch.old, key), expires)
    switch.make()
    assert browser.read()["a"] == 1
    after = expiry_of(switch, browser.cookie or "")
    assert abs(after - expires) < timedelta(seconds=3)
    if not switch.keeps_the_key:
        remaining = (expires - timezone.now()).total_seconds()
        assert (browser.max_age == "") == (expiry == 0)
        assert expiry == 0 or abs(browser.max_age - remaining) < 3


def test_sign_out_ends_the_session_in_both_stores(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    switch.make()
    browser.read()
    after = browser.copy()
    browser.read()
    browser.visit(flush)
    assert browser.cookie is None
    assert before.read() == {}
    if switch.new not in IN_COOKIES:
        # A server of signed cookies stores nothing, so a copy of the cookie opens the session.
        assert after.read() == {}
    switch.back()
    if switch.old not in IN_COOKIES:
        assert Browser(before.cookie).read() == {}


@pytest.mark.parametrize("reads", [True, False])
def test_sign_out_in_the_first_request_ends_the_session_in_both_stores(
    switch: Switch, reads: bool
) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    switch.make()
    if reads:
        browser.visit(lambda session: (session.get("a"), session.flush()))
    else:
        browser.visit(flush)
    assert browser.cookie is None
    assert before.copy().read() == {}
    if switch.old not in IN_COOKIES:
        assert not switch.store(switch.old)().exists(before.cookie)
    if switch.keeps_the_key and not switch.share_rows:
        # The tombstone against late requests expires soon.
        ends = switch.expiry(switch.new, before.cookie)
        assert ends - timezone.now() < timedelta(seconds=TOMBSTONE_TTL + 1)


def test_old_key_opens_nothing_after_cycle_key(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    switch.make()
    browser.visit(lambda session: (session.get("a"), session.cycle_key(), session.update({"b": 2})))
    assert browser.read() == {"a": 1, "b": 2}
    assert before.read() == {}


def test_concurrent_requests_lose_no_write(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    other = browser.copy()
    switch.make()

    def write_concurrently(session: Any) -> None:
        assert session["a"] == 1
        session["b"] = 2
        other.set(c=3)

    browser.visit(write_concurrently)
    expected = {"a": 1, "b": 2, "c": 3}
    assert browser.read() == expected
    # The browser may have either cookie.
    assert other.read() == expected


@pytest.mark.parametrize("options", [{"status": 500}, {"lost": True}, {"status": 404}])
def test_error_or_lost_response_keeps_the_session(switch: Switch, options: Any) -> None:
    browser = Browser()
    browser.set(a=1)
    switch.make()
    for _ in range(3):
        assert browser.read(**options) == {"a": 1}
    assert browser.read() == {"a": 1}
    for _ in range(3):
        assert browser.read(**options) == {"a": 1}
    assert browser.read() == {"a": 1}


def test_request_that_does_not_read_the_session_keeps_the_cookie(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.cookie
    switch.make()
    browser.visit(lambda session: None)
    assert browser.cookie == before
    assert "Cookie" not in browser.response.headers.get("Vary", "")
    assert browser.read() == {"a": 1}


def test_switch_back_and_forth_keeps_the_data(switch: Switch) -> None:
    browser, other = Browser(), Browser()
    browser.set(a=1)
    other.set(z=1)
    switch.make()
    browser.set(b=2)
    browser.set(c=3)
    switch.back()
    assert browser.read() == {"a": 1, "b": 2, "c": 3}
    # This session has not been moved.
    assert other.read() == {"z": 1}
    browser.set(a=9)
    switch.make()
    assert browser.read() == {"a": 9, "b": 2, "c": 3}


def test_forged_cookie_opens_nothing(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    cookie = browser.cookie or ""
    switch.make()
    last = {"a": "b"}.get(cookie[-1], "a")
    for forged in (cookie[:-1] + last, "x" * 32, cookie.upper(), cookie + "x", "../" + cookie):
        attacker = Browser(forged)
        assert attacker.read() == {}
    assert browser.read() == {"a": 1}


def test_key_chosen_by_an_attacker_is_replaced(switch: Switch) -> None:
    chosen = "attackerschosensessionkey1234567"
    switch.make()
    victim = Browser(chosen)
    victim.set(secret=1)
    assert victim.cookie != chosen
    assert Browser(chosen).read() == {}


def test_expired_session_is_not_restored_from_the_old_store(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    switch.make()
    browser.visit(lambda session: (session.set_expiry(60), session.update({"b": 2})))
    browser.set(c=2)
    with time_machine.travel(timezone.now() + timedelta(seconds=70)):
        expire_in_redis(seconds=70)
        assert browser.copy().read() == {}
        assert before.read() == {}


@only_switches([*SERVER_PAIRS, *[pair for pair in PAIRS if pair[1] in IN_COOKIES]])
def test_unreachable_old_store_affects_only_sessions_that_are_not_moved(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, unmoved = Browser(), Browser()
    moved.set(a=1)
    unmoved.set(a=2)
    switch.make()
    moved.read()
    moved.read()
    cookie = unmoved.cookie

    with unreachable(switch, "old", "read"):
        assert moved.read() == {"a": 1}
        unmoved.visit(lambda session: dict(session.items()))
        assert unmoved.response.status_code == 503
        assert unmoved.cookie == cookie
    assert unmoved.read() == {"a": 2}
