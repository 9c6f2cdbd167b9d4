"""What only sessions in cookies can get wrong, signed or encrypted."""

import random
import string
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.conf import settings as site
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES
from cookieproj.engines.exceptions import CookieTooLargeError

AGE = 14 * 24 * 60 * 60


@pytest.fixture(params=["signed_cookies", "encrypted_cookies"], autouse=True)
def cookie_engine(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{request.param}"


def opened(cookie: str | None = None) -> CookieSession:
    session: CookieSession = import_module(site.SESSION_ENGINE).SessionStore(cookie)
    return session


def stored(expiry: Any = None, **data: Any) -> CookieSession:
    session = opened()
    session.update(data)
    session.set_expiry(expiry)
    session.save()
    return session


@pytest.mark.parametrize(
    ("expiry", "seconds"), [(None, AGE), (0, AGE), (60, 60), (2 * AGE, 2 * AGE)]
)
def test_a_session_lives_as_long_as_it_was_given(expiry: int | None, seconds: int) -> None:
    key = stored(expiry, a=1).session_key
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds - 5), tick=False):
        assert opened(key)["a"] == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds + 5), tick=False):
        session = opened(key)
        assert session.load() == {}
        # As without a cookie: a response sets none in the place of one that came meanwhile.
        assert session.is_empty()
        assert not session.modified


def test_and_until_the_moment_it_was_given() -> None:
    moment = timezone.now() + timedelta(days=100)
    key = stored(moment, a=1).session_key
    with time_machine.travel(moment - timedelta(seconds=1), tick=False):
        assert opened(key)["a"] == 1
    with time_machine.travel(moment + timedelta(seconds=1), tick=False):
        assert opened(key).load() == {}


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_date_outlives_a_change_of_use_tz(settings: Settings, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    key = stored(timezone.now() + timedelta(days=2), a=1).session_key
    settings.USE_TZ = not use_tz
    assert opened(key)["a"] == 1


@pytest.mark.parametrize("place", [0, 5, -1])
def test_what_was_changed_holds_nothing(place: int) -> None:
    key = list(str(stored(a=1).session_key))
    key[place] = "A" if key[place] != "A" else "B"
    assert opened("".join(key)).load() == {}
    assert opened("").load() == {}


def keep(request: HttpRequest, length: int) -> HttpResponse:
    """So much text in the session; it does not compress."""
    letters = random.Random(0).choices(string.ascii_letters + string.digits, k=length)
    request.session["text"] = "".join(letters)
    return HttpResponse()


urlpatterns = [path("keep/<int:length>/", keep), path("", include("cookieproj.urls"))]


def answer(length: int) -> HttpResponse:
    middleware: Any = SessionMiddleware(lambda request: keep(request, length))
    response: HttpResponse = middleware(RequestFactory().get("/"))
    return response


def cookie_bytes(response: HttpResponse) -> int:
    return len(response.cookies["sessionid"].OutputString())


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"SESSION_EXPIRE_AT_BROWSER_CLOSE": True},
        {"SESSION_COOKIE_DOMAIN": "shop.example.com", "SESSION_COOKIE_SECURE": True},
    ],
)
def test_a_cookie_that_a_browser_may_drop_raises_while_developing(
    settings: Settings, attributes: dict[str, Any]
) -> None:
    """Name, value and attributes count: the last one that fits is not one byte off."""
    for name, value in attributes.items():
        setattr(settings, name, value)
    settings.DEBUG = True
    fits = max(length for length in range(2500, 4000) if not too_large(length))
    assert cookie_bytes(answer(fits)) <= MAX_COOKIE_BYTES
    with pytest.raises(CookieTooLargeError) as error:
        answer(fits + 1)
    settings.DEBUG = False
    size = cookie_bytes(answer(fits + 1))
    assert (error.value.size, error.value.limit) == (size, MAX_COOKIE_BYTES)
    assert MAX_COOKIE_BYTES < size <= MAX_COOKIE_BYTES + 4
    assert str(size) in str(error.value)


def too_large(length: int) -> bool:
    try:
        answer(length)
    except CookieTooLargeError:
        return True
    return False


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("is_error", [True, False])
def test_a_setting_decides_whatever_debug_is(
    settings: Settings, caplog: pytest.LogCaptureFixture, debug: bool, is_error: bool
) -> None:
    settings.DEBUG, settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = debug, is_error
    assert too_large(5000) == is_error
    assert ("bytes" in caplog.text) != is_error


def test_a_visitor_gets_a_page_and_keeps_the_session(
    settings: Settings, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """As for any error of the site; and whoever runs it gets what Django makes of one."""
    settings.DEBUG, settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = False, True
    settings.MIDDLEWARE = ["cookieproj.engines.middleware.SessionMiddleware"]
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False
    assert client.get("/keep/100/").status_code == 200
    before = client.cookies["sessionid"].value
    response = client.get("/keep/5000/")
    assert response.status_code == 500
    assert "Something broke here" in response.text
    assert "CookieTooLarge" not in response.text
    assert "sessionid" not in response.cookies
    assert client.cookies["sessionid"].value == before
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info
    assert isinstance(record.exc_info[1], CookieTooLargeError)
    assert client.get("/keep/100/").status_code == 200


def test_in_production_it_is_logged_with_its_size(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DEBUG = False
    response = answer(5000)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f" {cookie_bytes(response)} bytes" in record.getMessage()
    assert "sessionid" in record.getMessage()
    assert response.cookies["sessionid"].value not in record.getMessage()
    caplog.clear()
    answer(100)
    assert caplog.records == []
