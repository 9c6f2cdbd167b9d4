"""A switch between signed and encrypted cookies: the response sets the session in the new form."""

import random
import string
from datetime import timedelta

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.utils import timezone

from cookieproj.engines import encrypted_cookies, signed_cookies
from cookieproj.engines.exceptions import CookieTooLargeError

from .handover_switch import Browser, Switch, browser_of_moved_session, flush, only_switches

BETWEEN_COOKIES = only_switches(
    [("signed_cookies", "encrypted_cookies"), ("encrypted_cookies", "signed_cookies")]
)
pytestmark = BETWEEN_COOKIES

FORMS = {
    "signed_cookies": signed_cookies.SessionStore,
    "encrypted_cookies": encrypted_cookies.SessionStore,
}
# A signed cookie compresses it to a fraction. An encrypted one compresses nothing.
LONG = "a" * 3500


def is_in_form(browser: Browser, engine: str) -> bool:
    return FORMS[engine].is_cookie(browser.cookie)


def test_first_request_that_reads_the_session_sets_the_new_form(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    assert is_in_form(browser, switch.old)
    assert browser.read() == {"a": 1}
    assert is_in_form(browser, switch.new)
    switch.run(switch.new, "")
    assert browser.read() == {"a": 1}


def test_request_that_does_not_read_the_session_sets_no_cookie(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.visit(lambda session: None)
    assert not browser.response.cookies
    assert is_in_form(browser, switch.old)


def test_change_in_the_first_request_is_kept(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


def test_switch_back_sets_the_old_form(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    switch.back()
    assert browser.read() == {"a": 1}
    assert is_in_form(browser, switch.old)


@pytest.mark.parametrize("expiry", [None, 60, 0])
def test_change_of_form_does_not_move_the_expiry(switch: Switch, expiry: int | None) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        switch.before()
        browser = Browser()
        browser.visit(lambda session: session.update({"a": 1}) or session.set_expiry(expiry))
        age = expiry or 14 * 24 * 60 * 60
        clock.shift(timedelta(seconds=age - 20))
        switch.make()
        assert browser.read()["a"] == 1
        assert is_in_form(browser, switch.new)
        clock.shift(timedelta(seconds=15))
        assert browser.read()["a"] == 1
        clock.shift(timedelta(seconds=10))
        assert browser.read() == {}


def test_change_of_data_moves_the_expiry(switch: Switch) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser = browser_of_moved_session(switch)
        clock.shift(timedelta(days=13))
        browser.set(b=2)
        clock.shift(timedelta(days=13))
        assert browser.read() == {"a": 1, "b": 2}


def test_sign_out_ends_the_session(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.visit(flush)
    assert browser.read() == {}


def test_revoked_session_opens_in_neither_form(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()
    browser.read()
    switch.settings.SESSION_REVOCATION_CHECK = f"{__name__}.is_revoked"
    assert browser.read() == {}
    assert before.read() == {}


def is_revoked(data: dict[str, object], session_key: str) -> bool:
    return data.get("a") == 1


def test_cookie_of_a_fallback_key_is_moved(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    switch.settings.SECRET_KEY_FALLBACKS = [switch.settings.SECRET_KEY]
    switch.settings.SECRET_KEY = "another " * 8
    assert browser.read() == {"a": 1}
    switch.settings.SECRET_KEY_FALLBACKS = []
    assert browser.read() == {"a": 1}


@pytest.mark.parametrize("cookie", ["e1." + "A" * 60, "a:b:" + "c" * 43, "k" * 32, ""])
def test_malformed_cookie_opens_nothing(switch: Switch, cookie: str) -> None:
    switch.make()
    assert Browser(cookie).read() == {}


def test_session_too_large_for_the_new_form_stays_in_the_old_one(switch: Switch) -> None:
    switch.settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = True
    if switch.old == "encrypted_cookies":
        pytest.skip("What fits an encrypted cookie fits a signed one.")
    switch.before()
    browser = Browser()
    browser.set(a=LONG)
    switch.make()
    for _visit in range(2):
        assert browser.read() == {"a": LONG}
        assert is_in_form(browser, switch.old)
    letters = "".join(random.Random(0).choices(string.ascii_letters, k=6000))
    with pytest.raises(CookieTooLargeError):
        browser.set(b=letters)
    browser.set(a="short")
    assert is_in_form(browser, switch.new)


@pytest.mark.parametrize("server", ["db", "cache", "file"])
def test_switch_to_a_server_does_not_restore_its_old_data(switch: Switch, server: str) -> None:
    """The session moves from the server through both forms, changes there, and moves back."""
    switch.run(server, "")
    browser = Browser()
    browser.set(a=1)
    switch.run(switch.old, server)
    browser.read()
    switch.make()
    browser.set(b=2)
    switch.run(server, switch.new)
    assert browser.read() == {"a": 1, "b": 2}


def test_session_that_grows_too_large_is_not_set_in_the_readable_form(switch: Switch) -> None:
    """Otherwise a visitor could force the site to do so with a long search term."""
    if switch.new == "signed_cookies":
        pytest.skip("The new form is readable.")
    switch.settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = True
    browser = browser_of_moved_session(switch)
    with pytest.raises(CookieTooLargeError):
        browser.set(term=LONG)
    browser = Browser()
    with pytest.raises(CookieTooLargeError):
        browser.set(secret=7, term=LONG)
    assert browser.cookie is None


def test_async_methods_set_the_new_form(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    session = switch.engine("new")(browser.cookie)

    async def change() -> None:
        assert await session.aget("a") == 1
        await session.aset("b", 2)
        await session.asave()

    async_to_sync(change)()
    assert FORMS[switch.new].is_cookie(session.session_key)
    assert Browser(session.session_key).read() == {"a": 1, "b": 2}
