"""Concurrent requests of one browser during a handover, for each pair of engines."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.families import IN_COOKIES

from .handover_switch import Browser, Switch, browser_of_moved_session

Meanwhile = Callable[[], object]


def sign_in(session: Any, meanwhile: Meanwhile = lambda: None) -> None:
    """Sign in as a view does. ``meanwhile`` is called after the session was read."""
    session.get("a")
    meanwhile()
    session.cycle_key()
    session["signed_in"] = 1


def is_signed_in(browser: Browser) -> bool:
    return browser.read() == {"a": 1, "signed_in": 1}


@pytest.mark.parametrize("is_moved", [False, True])
def test_concurrent_sign_ins_both_succeed(switch: Switch, is_moved: bool) -> None:
    browser = browser_of_moved_session(switch)
    if is_moved:
        browser.read()
        browser.read()
    first = browser.copy()
    browser.visit(lambda session: sign_in(session, lambda: first.visit(sign_in)))
    assert is_signed_in(browser)
    assert is_signed_in(first)


@pytest.mark.parametrize("is_moved", [False, True])
def test_late_response_to_a_read_keeps_the_sign_in(switch: Switch, is_moved: bool) -> None:
    """The request read the session before the sign-in, or finds nothing after it."""
    browser = browser_of_moved_session(switch)
    if is_moved:
        browser.read()
        browser.read()
    tab = browser.copy()

    def sign_in_from_tab() -> Any:
        tab.visit(sign_in)
        browser.cookie = tab.cookie

    browser.visit(lambda session: sign_in_from_tab() or session.get("a"))
    assert is_signed_in(browser)


def test_request_for_an_ended_session_keeps_the_cookie(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    copy = browser.copy()
    browser.visit(lambda session: session.flush())
    assert browser.cookie is None
    cookie = copy.cookie
    if switch.new not in IN_COOKIES:
        assert copy.read() == {}
        assert copy.cookie == cookie
