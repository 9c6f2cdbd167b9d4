"""SESSION_REVOCATION_CHECK: sessions that a browser brings back though they have ended."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from pytest_django import Settings

from cookieproj.engines.checks import revoked_sessions_are_refused
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.signed_cookies import SessionStore
from tests.families import IN_COOKIES

from .contract import Request
from .handover_switch import PAIRS, Switch, browser_of_moved_session, only_switches

# What the function below was asked, and what it answers; an error it raises.
asked: list[tuple[dict[str, Any], str]] = []
answers: list[Any] = []


def is_revoked(data: dict[str, Any], session_key: str) -> Any:
    asked.append((dict(data), session_key))
    answer = answers[-1]
    if isinstance(answer, Exception):
        raise answer
    return answer


async def is_revoked_later(data: dict[str, Any], session_key: str) -> bool:
    return False


@pytest.fixture(autouse=True)
def named(settings: Settings) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
    settings.SESSION_REVOCATION_CHECK = f"{__name__}.is_revoked"
    asked.clear()
    answers[:] = [False]


def stored(expiry: Any = None) -> str:
    session = SessionStore()
    session["a"] = 1
    session.set_expiry(expiry)
    session.save()
    return str(session.session_key)


HALVES = pytest.mark.parametrize("half", ["sync", "async"])


@HALVES
@pytest.mark.parametrize(("answer", "holds"), [(True, {}), (False, {"a": 1}), (None, {"a": 1})])
def test_the_site_is_asked_once_about_what_is_signed(
    answer: Any, holds: dict[str, int], half: str
) -> None:
    key = stored()
    answers.append(answer)
    session = SessionStore(key)
    assert Request(session, half).data == holds
    assert asked == [({"a": 1}, key)]
    # As without a cookie: a response sets none in the place of one that came meanwhile.
    assert (session.session_key is None) is bool(answer)
    assert not session.modified


def test_nobody_is_asked_about_what_is_not_signed_or_has_expired() -> None:
    assert SessionStore("forged").load() == SessionStore(stored(-60)).load() == {}
    assert asked == []


@HALVES
def test_what_it_raises_the_view_gets(half: str) -> None:
    key = stored()
    answers.append(ZeroDivisionError())
    session = SessionStore(key)
    for _time in range(2):
        with pytest.raises(ZeroDivisionError):
            _data = Request(session, half).data
    # It may open with the next request.
    assert session.session_key == key


@pytest.mark.parametrize("path", ["", None])
def test_without_one_nobody_is_asked(path: str | None, settings: Settings) -> None:
    settings.SESSION_REVOCATION_CHECK = path
    assert SessionStore(stored())["a"] == 1
    del settings.SESSION_REVOCATION_CHECK
    assert SessionStore(stored())["a"] == 1
    assert revoked_sessions_are_refused() == []


def loaded(key: str) -> Any:
    return SessionStore(key).load()


def served(key: str) -> Any:
    return SessionMiddleware(lambda request: HttpResponse())


@pytest.mark.parametrize("step", [loaded, served])
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere.is_revoked", "No module named 'nowhere'"),
        (f"{__name__}.is_revokd", "does not define a"),
        ("is_revoked", "doesn't look like a module path"),
        ("..is_revoked", "is not a function that can be called: "),
        (f"{__name__}.asked", "it cannot be called"),
        (f"{__name__}.is_revoked_later", "it is a coroutine function"),
        (is_revoked, "doesn't look like a module path"),
    ],
)
def test_nothing_is_opened_by_a_path_that_is_wrong(
    path: Any, why: str, step: Callable[[str], Any], settings: Settings
) -> None:
    key = stored()
    settings.SESSION_REVOCATION_CHECK = path
    with pytest.raises(ImproperlyConfigured, match="SESSION_REVOCATION_CHECK") as caught:
        step(key)
    assert why in str(caught.value)
    [error] = [found for found in run_checks(tags=["security"]) if found.id == "engines.E003"]
    assert error.msg == str(caught.value)
    assert "such as mysite.sessions.is_revoked" in str(error.hint)


@only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)
def test_out_of_cookies_it_is_asked_about_both(switch: Switch) -> None:
    """The cookie, and the session that became of it: by another copy it may have ended."""
    browser = browser_of_moved_session(switch)
    cookie = str(browser.cookie)
    asked.clear()
    assert browser.read() == {"a": 1}
    assert [key for _data, key in asked] == [cookie, browser.cookie]
    assert browser.cookie != cookie
    answers.append(True)
    asked.clear()
    assert browser.read() == {}
    assert asked == [({"a": 1}, browser.cookie)]


@only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
def test_into_cookies_it_is_asked_about_what_is_still_in_the_store(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    key = browser.cookie
    answers.append(True)
    asked.clear()
    assert browser.read() == {}
    assert asked == [({"a": 1}, key)]
    answers.append(False)
    assert browser.read() == {"a": 1}
