"""A switch between each pair of engines: no session is lost, and no ended session comes back."""

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


def test_a_session_goes_on(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1, nested={"list": [1, None]})
    before = browser.cookie
    switch.make()
    assert browser.read() == {"a": 1, "nested": {"list": [1, None]}}
    assert (browser.cookie == before) == switch.keeps_the_key
    browser.set(b=2)
    assert browser.read() == {"a": 1, "nested": {"list": [1, None]}, "b": 2}


@only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)
def test_a_cookie_becomes_a_key_of_its_own_kind(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    assert browser.cookie
    assert re.fullmatch("[0-9a-f]{40}", browser.cookie)


def test_it_needs_the_old_engine_no_more(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    switch.make()
    browser.read()
    browser.set(b=2)
    switch.run(switch.new, "")
    data = browser.read()
    assert (data["a"], data["b"]) == (1, 2)


def forget_in_redis(seconds: int) -> None:
    """Expire Redis's keys as if time had passed: Redis has its own clock."""
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
def test_it_expires_as_it_would_have(switch: Switch, expiry: Any) -> None:
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
        # Redis has a clock of its own.
        place, key = switch.place(switch.old), browser.cookie or ""
        place.touch(key, switch.stored(switch.old, key), expires)
    switch.make()
    assert browser.read()["a"] == 1
    after = expiry_of(switch, browser.cookie or "")
    assert abs(after - expires) < timedelta(seconds=3)
    if not switch.keeps_the_key:
        left = (expires - timezone.now()).total_seconds()
        assert (browser.max_age == "") == (expiry == 0)
        assert expiry == 0 or abs(browser.max_age - left) < 3


def test_a_sign_out_ends_it_in_both(switch: Switch) -> None:
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
def test_also_if_that_is_the_first_request(switch: Switch, reads: bool) -> None:
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


def test_whoever_knew_the_old_key_is_out_after_a_sign_in(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    switch.make()
    browser.visit(lambda session: (session.get("a"), session.cycle_key(), session.update({"b": 2})))
    assert browser.read() == {"a": 1, "b": 2}
    assert before.read() == {}


def test_two_requests_at_once_lose_nothing(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    other = browser.copy()
    switch.make()

    def second_within(session: Any) -> None:
        assert session["a"] == 1
        session["b"] = 2
        other.set(c=3)

    browser.visit(second_within)
    expected = {"a": 1, "b": 2, "c": 3}
    assert browser.read() == expected
    # The browser may have either cookie.
    assert other.read() == expected


@pytest.mark.parametrize("how", [{"status": 500}, {"lost": True}, {"status": 404}])
def test_an_error_or_a_lost_response_signs_nobody_out(switch: Switch, how: Any) -> None:
    browser = Browser()
    browser.set(a=1)
    switch.make()
    for _ in range(3):
        assert browser.read(**how) == {"a": 1}
    assert browser.read() == {"a": 1}
    for _ in range(3):
        assert browser.read(**how) == {"a": 1}
    assert browser.read() == {"a": 1}


def test_nor_does_a_request_that_reads_no_session(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.cookie
    switch.make()
    browser.visit(lambda session: None)
    assert browser.cookie == before
    assert "Cookie" not in browser.response.headers.get("Vary", "")
    assert browser.read() == {"a": 1}


def test_back_again(switch: Switch) -> None:
    browser, other = Browser(), Browser()
    browser.set(a=1)
    other.set(z=1)
    switch.make()
    browser.set(b=2)
    browser.set(c=3)
    switch.back()
    assert browser.read() == {"a": 1, "b": 2, "c": 3}
    # One that the switch has not seen.
    assert other.read() == {"z": 1}
    browser.set(a=9)
    switch.make()
    assert browser.read() == {"a": 9, "b": 2, "c": 3}


def test_a_forged_cookie_moves_nothing(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    cookie = browser.cookie or ""
    switch.make()
    swapped = {"a": "b"}.get(cookie[-1], "a")
    for forged in (cookie[:-1] + swapped, "x" * 32, cookie.upper(), cookie + "x", "../" + cookie):
        attacker = Browser(forged)
        assert attacker.read() == {}
    assert browser.read() == {"a": 1}


def test_a_key_of_an_attackers_choosing_is_not_taken(switch: Switch) -> None:
    chosen = "attackerschosensessionkey1234567"
    switch.make()
    victim = Browser(chosen)
    victim.set(secret=1)
    assert victim.cookie != chosen
    assert Browser(chosen).read() == {}


def test_one_that_has_expired_does_not_come_back(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    switch.make()
    browser.visit(lambda session: (session.set_expiry(60), session.update({"b": 2})))
    browser.set(c=2)
    with time_machine.travel(timezone.now() + timedelta(seconds=70)):
        forget_in_redis(seconds=70)
        assert browser.copy().read() == {}
        assert before.read() == {}


@only_switches([*SERVER_PAIRS, *[pair for pair in PAIRS if pair[1] in IN_COOKIES]])
def test_with_the_old_store_away_what_was_moved_goes_on(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, waiting = Browser(), Browser()
    moved.set(a=1)
    waiting.set(a=2)
    switch.make()
    moved.read()
    moved.read()
    cookie = waiting.cookie

    with unreachable(switch, "old", "read"):
        assert moved.read() == {"a": 1}
        waiting.visit(lambda session: dict(session.items()))
        assert waiting.response.status_code == 503
        assert waiting.cookie == cookie
    assert waiting.read() == {"a": 2}
