"""Expiry, integrity and size of sessions in signed and in encrypted cookies."""

import random
import string
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
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


def open_session(cookie: str | None = None) -> CookieSession:
    session: CookieSession = import_module(django_settings.SESSION_ENGINE).SessionStore(cookie)
    return session


def stored_session(expiry: Any = None, **data: Any) -> CookieSession:
    session = open_session()
    session.update(data)
    session.set_expiry(expiry)
    session.save()
    return session


@pytest.mark.parametrize(
    ("expiry", "seconds"), [(None, AGE), (0, AGE), (60, 60), (2 * AGE, 2 * AGE)]
)
def test_session_expires_after_its_age(expiry: int | None, seconds: int) -> None:
    cookie = stored_session(expiry, a=1).session_key
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds - 5), tick=False):
        assert open_session(cookie)["a"] == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds + 5), tick=False):
        session = open_session(cookie)
        assert session.load() == {}
        # As without a cookie, so that the response does not replace one that was set meanwhile.
        assert session.is_empty()
        assert not session.modified


def test_session_expires_at_its_date() -> None:
    moment = timezone.now() + timedelta(days=100)
    cookie = stored_session(moment, a=1).session_key
    with time_machine.travel(moment - timedelta(seconds=1), tick=False):
        assert open_session(cookie)["a"] == 1
    with time_machine.travel(moment + timedelta(seconds=1), tick=False):
        assert open_session(cookie).load() == {}


@pytest.mark.parametrize("use_tz", [True, False])
def test_expiry_date_survives_a_change_of_use_tz(settings: Settings, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    cookie = stored_session(timezone.now() + timedelta(days=2), a=1).session_key
    settings.USE_TZ = not use_tz
    assert open_session(cookie)["a"] == 1


@pytest.mark.parametrize("position", [0, 5, -1])
def test_changed_cookie_opens_nothing(position: int) -> None:
    cookie = list(str(stored_session(a=1).session_key))
    cookie[position] = "A" if cookie[position] != "A" else "B"
    assert open_session("".join(cookie)).load() == {}
    assert open_session("").load() == {}


def keep(request: HttpRequest, length: int) -> HttpResponse:
    """Store a text of that length that cannot be compressed."""
    letters = random.Random(0).choices(string.ascii_letters + string.digits, k=length)
    request.session["text"] = "".join(letters)
    return HttpResponse()


urlpatterns = [path("keep/<int:length>/", keep), path("", include("cookieproj.urls"))]


def response_for(length: int) -> HttpResponse:
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
def test_too_large_cookie_raises_in_debug_mode(
    settings: Settings, attributes: dict[str, Any]
) -> None:
    """The size counts the name, the value and the attributes, to the byte."""
    for name, value in attributes.items():
        setattr(settings, name, value)
    settings.DEBUG = True
    longest = max(length for length in range(2500, 4000) if not raises_too_large(length))
    assert cookie_bytes(response_for(longest)) <= MAX_COOKIE_BYTES
    with pytest.raises(CookieTooLargeError) as error:
        response_for(longest + 1)
    settings.DEBUG = False
    size = cookie_bytes(response_for(longest + 1))
    assert (error.value.size, error.value.limit) == (size, MAX_COOKIE_BYTES)
    assert MAX_COOKIE_BYTES < size <= MAX_COOKIE_BYTES + 4
    assert str(size) in str(error.value)


def raises_too_large(length: int) -> bool:
    try:
        response_for(length)
    except CookieTooLargeError:
        return True
    return False


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("is_error", [True, False])
def test_setting_overrides_debug_mode(
    settings: Settings, caplog: pytest.LogCaptureFixture, debug: bool, is_error: bool
) -> None:
    settings.DEBUG, settings.SESSION_COOKIE_TOO_LARGE_IS_ERROR = debug, is_error
    assert raises_too_large(5000) == is_error
    assert ("bytes" in caplog.text) != is_error


def test_too_large_session_gets_the_500_page_and_keeps_the_previous_one(
    settings: Settings, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is logged like any other error of a view."""
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


def test_too_large_cookie_is_logged_with_its_size_in_production(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DEBUG = False
    response = response_for(5000)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f" {cookie_bytes(response)} bytes" in record.getMessage()
    assert "sessionid" in record.getMessage()
    assert response.cookies["sessionid"].value not in record.getMessage()
    caplog.clear()
    response_for(100)
    assert caplog.records == []


class TestExpiryByAge:
    """A session without an expiry of its own expires by its age, as a subclass decides."""

    def subclass(self, **members: Any) -> Any:
        return type("SessionStore", (type(open_session()),), {"__module__": __name__, **members})

    def opened_after(self, seconds: int, cookie: str | None, store: Any) -> dict[str, Any]:
        with time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False):
            return dict(store(cookie).items())

    def test_overridden_age_counts(self) -> None:
        cookie = stored_session(a=1).session_key
        store = self.subclass(get_session_cookie_age=lambda self: 100)
        assert self.opened_after(95, cookie, store) == {"a": 1}
        assert self.opened_after(105, cookie, store) == {}

    def test_overridden_date_counts(self) -> None:
        cookie = stored_session(a=1).session_key
        moment = timezone.now() + timedelta(seconds=100)
        store = self.subclass(get_expiry_date=lambda self, **kwargs: moment)
        assert self.opened_after(95, cookie, store) == {"a": 1}
        assert self.opened_after(105, cookie, store) == {}
