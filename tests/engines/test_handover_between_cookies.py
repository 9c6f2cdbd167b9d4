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
# It is compressed to a fraction in a signed cookie, and takes all its room in an encrypted one.
LONG = "a" * 3500


def is_in_form(browser: Browser, engine: str) -> bool:
    return FORMS[engine].is_cookie(browser.cookie)


def test_the_first_page_that_reads_it_sets_it_in_the_new_form(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    assert is_in_form(browser, switch.old)
    assert browser.read() == {"a": 1}
    assert is_in_form(browser, switch.new)
    switch.run(switch.new, "")
    assert browser.read() == {"a": 1}


def test_a_page_that_leaves_it_alone_sets_nothing(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.visit(lambda session: None)
    assert not browser.response.cookies
    assert is_in_form(browser, switch.old)


def test_what_the_first_page_changes_is_kept(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


def test_back_again(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.read()
    switch.back()
    assert browser.read() == {"a": 1}
    assert is_in_form(browser, switch.old)


@pytest.mark.parametrize("expiry", [None, 60, 0])
def test_to_be_moved_is_no_use_and_moves_no_expiry(switch: Switch, expiry: int | None) -> None:
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


def test_what_is_changed_then_lives_anew(switch: Switch) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser = browser_of_moved_session(switch)
        clock.shift(timedelta(days=13))
        browser.set(b=2)
        clock.shift(timedelta(days=13))
        assert browser.read() == {"a": 1, "b": 2}


def test_a_sign_out_takes_the_cookie_from_the_browser(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    browser.visit(flush)
    assert browser.read() == {}


def test_what_the_site_has_refused_opens_in_neither_form(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browser_of_moved_session(switch)
    copied = browser.copy()
    browser.read()
    switch.settings.SESSION_REVOCATION_CHECK = f"{__name__}.is_of_a"
    assert browser.read() == {}
    assert copied.read() == {}


def is_of_a(data: dict[str, object], session_key: str) -> bool:
    return data.get("a") == 1


def test_with_a_secret_key_that_is_a_fallback_by_now(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    switch.settings.SECRET_KEY_FALLBACKS = [switch.settings.SECRET_KEY]
    switch.settings.SECRET_KEY = "another " * 8
    assert browser.read() == {"a": 1}
    switch.settings.SECRET_KEY_FALLBACKS = []
    assert browser.read() == {"a": 1}


@pytest.mark.parametrize("cookie", ["e1." + "A" * 60, "a:b:" + "c" * 43, "k" * 32, ""])
def test_nothing_else_opens(switch: Switch, cookie: str) -> None:
    switch.make()
    assert Browser(cookie).read() == {}


def test_what_only_the_old_form_has_room_for_stays_in_it(switch: Switch) -> None:
    switch.settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = True
    if switch.old == "encrypted_cookies":
        pytest.skip("A signed cookie has room for whatever an encrypted one has.")
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
def test_on_the_way_to_a_server_nothing_old_is_taken_for_it(switch: Switch, server: str) -> None:
    """From a server by way of both forms and back: what was written meanwhile counts."""
    switch.run(server, "")
    browser = Browser()
    browser.set(a=1)
    switch.run(switch.old, server)
    browser.read()
    switch.make()
    browser.set(b=2)
    switch.run(server, switch.new)
    assert browser.read() == {"a": 1, "b": 2}


def test_what_grows_too_large_is_not_put_into_a_form_that_can_be_read(switch: Switch) -> None:
    """A visitor could have the site do so, by a long search term."""
    if switch.new == "signed_cookies":
        pytest.skip("That form can be read.")
    switch.settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = True
    browser = browser_of_moved_session(switch)
    with pytest.raises(CookieTooLargeError):
        browser.set(term=LONG)
    browser = Browser()
    with pytest.raises(CookieTooLargeError):
        browser.set(secret=7, term=LONG)
    assert browser.cookie is None


def test_through_the_async_half(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    session = switch.engine("new")(browser.cookie)

    async def use() -> None:
        assert await session.aget("a") == 1
        await session.aset("b", 2)
        await session.asave()

    async_to_sync(use)()
    assert FORMS[switch.new].is_cookie(session.session_key)
    assert Browser(session.session_key).read() == {"a": 1, "b": 2}
