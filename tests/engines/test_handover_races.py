"""Two requests with one old cookie: the second runs between any two steps of the first."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils import timezone

from cookieproj.engines.handover.move_one import insert
from tests.families import IN_COOKIES

from .handover_switch import (
    SERVER_PAIRS,
    Browser,
    Meanwhile,
    Switch,
    at_each_gap,
    flush,
    meanwhile,
    only_switches,
)


def interrupted(browser: Browser, view: Any) -> bool:
    try:
        browser.visit(view)
    except SessionInterrupted:
        return True
    return False


def write(session: Any) -> None:
    session.get("a")
    session["b"] = 2


def sign_in(session: Any) -> None:
    session.get("a")
    session.cycle_key()
    session["d"] = 4


@at_each_gap
def test_concurrent_requests_lose_no_write(switch: Switch, meanwhile: Meanwhile) -> None:
    browser = Browser()
    browser.set(a=1)
    other = browser.copy()
    switch.make()
    with meanwhile(lambda: other.set(c=3)):
        browser.visit(write)
    assert browser.read() == {"a": 1, "b": 2, "c": 3}
    assert other.read() == {"a": 1, "b": 2, "c": 3}


@at_each_gap
def test_write_of_a_process_of_the_old_engine_is_kept(switch: Switch, meanwhile: Meanwhile) -> None:
    browser = Browser()
    browser.set(a=1)
    other = browser.copy()
    switch.make()
    has_written = False

    def old_process() -> None:
        nonlocal has_written
        session = switch.store(switch.old)(other.cookie)
        if session.get("a"):
            session["c"] = 3
            session.save()
            has_written = True

    with meanwhile(old_process):
        browser.visit(write)
    data = browser.read()
    assert (data["a"], data["b"]) == (1, 2)
    if switch.is_followed:
        assert data.get("c") == (3 if has_written else None)


@at_each_gap
def test_write_of_a_process_of_the_old_engine_with_a_handover_is_kept(
    switch: Switch, meanwhile: Meanwhile
) -> None:
    """As in a rolling deployment: the old engine has a handover from the new one."""
    browser = Browser()
    browser.set(a=1)
    other = browser.copy()
    switch.make()

    def old_process() -> None:
        switch.back()
        other.set(c=3)
        switch.make()

    with meanwhile(old_process):
        browser.visit(write)
    if switch.keeps_the_key:
        assert browser.read() == {"a": 1, "b": 2, "c": 3}


def test_alternating_requests_to_both_engines_lose_no_write(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    for number in range(4):
        switch.make()
        browser.read()
        browser.set(**{f"new{number}": number})
        switch.back()
        browser.set(**{f"old{number}": number})
    expected = {f"{side}{number}": number for side in ("old", "new") for number in range(4)}
    assert browser.read() == {"a": 1, **expected}


@at_each_gap
def test_concurrent_sign_out_ends_the_session(switch: Switch, meanwhile: Meanwhile) -> None:
    browser = Browser()
    browser.set(a=1)
    other, third = browser.copy(), browser.copy()
    switch.make()
    with meanwhile(lambda: other.visit(flush)):
        interrupted(browser, write)
    assert third.read() == {}
    if switch.new not in IN_COOKIES:
        assert "a" not in browser.read()


@pytest.mark.parametrize("first", [flush, sign_in])
def test_sign_in_succeeds_if_the_old_session_has_ended(switch: Switch, first: Any) -> None:
    """The other request of a double click, or a sign-out, was faster."""
    browser = Browser()
    browser.set(a=1)
    other, third = browser.copy(), browser.copy()
    switch.make()

    def sign_in_late(session: Any) -> None:
        session.get("a")
        other.visit(first)
        sign_in(session)

    assert not interrupted(browser, sign_in_late)
    assert browser.read() == {"a": 1, "d": 4}
    assert third.read() == {}


@at_each_gap
def test_concurrent_sign_in_leaves_nothing_under_the_old_key(
    switch: Switch, meanwhile: Meanwhile
) -> None:
    browser = Browser()
    browser.set(a=1)
    other, third = browser.copy(), browser.copy()
    switch.make()
    with meanwhile(lambda: other.visit(sign_in)):
        interrupted(browser, write)
    assert third.read() == {}
    assert other.read()["d"] == 4


@only_switches(SERVER_PAIRS)
def test_expiry_that_changes_during_the_move_is_kept(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    key = browser.cookie
    switch.make()

    def old_process() -> None:
        session = switch.store(switch.old)(key)
        session.set_expiry(5000)
        session.save()

    with meanwhile(switch, ("old", "compare_and_delete", "before"), old_process):
        browser.read()
    remaining = switch.expiry(switch.new, key) - timezone.now()
    assert remaining < timedelta(seconds=5001)


@only_switches(SERVER_PAIRS)
def test_late_insert_after_a_sign_out_opens_nothing(switch: Switch) -> None:
    """The late request has read the session in the old store before the sign-out."""
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    entry = switch.stored(switch.old, browser.cookie)
    switch.make()

    def insert_late() -> None:
        insert(switch.place(switch.new), before.cookie or "", entry.data, entry.expires)

    with meanwhile(switch, ("new", "delete", "after"), insert_late):
        browser.visit(flush)
    assert before.read() == {}
    insert_late()
    assert before.read() == {}
