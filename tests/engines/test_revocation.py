"""SESSION_REVOCATION_CHECK refuses a session that has ended, though the browser still sends it."""

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

# The calls of the function below, and its results. It raises a result that is an exception.
calls: list[tuple[dict[str, Any], str]] = []
results: list[Any] = []


def is_revoked(data: dict[str, Any], session_key: str) -> Any:
    calls.append((dict(data), session_key))
    result = results[-1]
    if isinstance(result, Exception):
        raise result
    return result


async def is_revoked_async(data: dict[str, Any], session_key: str) -> bool:
    return False


@pytest.fixture(autouse=True)
def revocation_check(settings: Settings) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
    settings.SESSION_REVOCATION_CHECK = f"{__name__}.is_revoked"
    calls.clear()
    results[:] = [False]


def stored(expiry: Any = None) -> str:
    session = SessionStore()
    session["a"] = 1
    session.set_expiry(expiry)
    session.save()
    return str(session.session_key)


HALVES = pytest.mark.parametrize("half", ["sync", "async"])


@HALVES
@pytest.mark.parametrize(("result", "data"), [(True, {}), (False, {"a": 1}), (None, {"a": 1})])
def test_check_is_called_once_for_valid_cookie(
    result: Any, data: dict[str, int], half: str
) -> None:
    key = stored()
    results.append(result)
    session = SessionStore(key)
    assert Request(session, half).data == data
    assert calls == [({"a": 1}, key)]
    # Without a key, the response replaces no cookie that another response has set meanwhile.
    assert (session.session_key is None) is bool(result)
    assert not session.modified


def test_check_is_not_called_for_forged_or_expired_cookie() -> None:
    assert SessionStore("forged").load() == SessionStore(stored(-60)).load() == {}
    assert calls == []


@HALVES
def test_error_of_check_is_raised_in_view(half: str) -> None:
    key = stored()
    results.append(ZeroDivisionError())
    session = SessionStore(key)
    for _time in range(2):
        with pytest.raises(ZeroDivisionError):
            _data = Request(session, half).data
    # The next request may succeed with this key.
    assert session.session_key == key


@pytest.mark.parametrize("path", ["", None])
def test_sessions_open_without_check(path: str | None, settings: Settings) -> None:
    settings.SESSION_REVOCATION_CHECK = path
    assert SessionStore(stored())["a"] == 1
    del settings.SESSION_REVOCATION_CHECK
    assert SessionStore(stored())["a"] == 1
    assert revoked_sessions_are_refused() == []


def load(key: str) -> Any:
    return SessionStore(key).load()


def create_middleware(key: str) -> Any:
    return SessionMiddleware(lambda request: HttpResponse())


@pytest.mark.parametrize("step", [load, create_middleware])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere.is_revoked", "No module named 'nowhere'"),
        (f"{__name__}.is_revokd", "does not define a"),
        ("is_revoked", "doesn't look like a module path"),
        ("..is_revoked", "is not a function that can be called: "),
        (f"{__name__}.calls", "it cannot be called"),
        (f"{__name__}.is_revoked_async", "it is a coroutine function"),
        (is_revoked, "doesn't look like a module path"),
    ],
)
def test_wrong_path_raises_improperly_configured_and_fails_check(
    path: Any, reason: str, step: Callable[[str], Any], settings: Settings
) -> None:
    key = stored()
    settings.SESSION_REVOCATION_CHECK = path
    with pytest.raises(ImproperlyConfigured, match="SESSION_REVOCATION_CHECK") as caught:
        step(key)
    assert reason in str(caught.value)
    [error] = [each for each in run_checks(tags=["security"]) if each.id == "engines.E003"]
    assert error.msg == str(caught.value)
    assert "such as mysite.sessions.is_revoked" in str(error.hint)


@only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)
def test_cookie_to_server_checks_cookie_and_new_session(switch: Switch) -> None:
    """The session may have ended in a request that sent another copy of the cookie."""
    browser = browser_of_moved_session(switch)
    cookie = str(browser.cookie)
    calls.clear()
    assert browser.read() == {"a": 1}
    assert [key for _data, key in calls] == [cookie, browser.cookie]
    assert browser.cookie != cookie
    results.append(True)
    calls.clear()
    assert browser.read() == {}
    assert calls == [({"a": 1}, browser.cookie)]


@only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
def test_server_to_cookie_checks_session_in_old_store(switch: Switch) -> None:
    browser = browser_of_moved_session(switch)
    key = browser.cookie
    results.append(True)
    calls.clear()
    assert browser.read() == {}
    assert calls == [({"a": 1}, key)]
    results.append(False)
    assert browser.read() == {"a": 1}


NO_CHECK = None


def test_name_of_nothing_is_a_wrong_setting(settings: Settings) -> None:
    settings.SESSION_REVOCATION_CHECK = f"{__name__}.NO_CHECK"
    with pytest.raises(ImproperlyConfigured, match="cannot be called"):
        SessionStore(stored()).load()
