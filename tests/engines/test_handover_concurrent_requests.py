"""Concurrent requests of one browser during a handover, for each pair of engines."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.families import IN_COOKIES

from .handover_switch import Browser, Switch, browser_of_moved_session

Meanwhile = Callable[[], object]


def sign_in(session: Any, meanwhile: Meanwhile = lambda: None) -> None:
    """Sign in as a view does it. ``meanwhile`` is called after the session was read."""
    session.get("a")
    meanwhile()
    session.cycle_key()
    session["signed_in"] = 1


def is_in(browser: Browser) -> bool:
    return browser.read() == {"a": 1, "signed_in": 1}


@pytest.mark.parametrize("is_settled", [False, True])
def test_two_sign_ins_at_once(switch: Switch, is_settled: bool) -> None:
    browser = browser_of_moved_session(switch)
    if is_settled:
        browser.read()
        browser.read()
    first = browser.copy()
    browser.visit(lambda session: sign_in(session, lambda: first.visit(sign_in)))
    assert is_in(browser)
    assert is_in(first)


@pytest.mark.parametrize("is_settled", [False, True])
def test_a_late_answer_to_a_page_that_only_looks(switch: Switch, is_settled: bool) -> None:
    """The request read the session before the sign-in, or finds nothing after it."""
    browser = browser_of_moved_session(switch)
    if is_settled:
        browser.read()
        browser.read()
    tab = browser.copy()

    def signs_in() -> Any:
        tab.visit(sign_in)
        browser.cookie = tab.cookie

    browser.visit(lambda session: signs_in() or session.get("a"))
    assert is_in(browser)


def test_a_session_that_has_ended_leaves_the_cookie(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    copy = browser.copy()
    browser.visit(lambda session: session.flush())
    assert browser.cookie is None
    cookie = copy.cookie
    if switch.new not in IN_COOKIES:
        assert copy.read() == {}
        assert copy.cookie == cookie
