"""SESSION_ID_SIGNED: forged cookies cause no round trip, and turning it on signs nobody out."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.core import signing
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.checks import session_ids_are_signed
from cookieproj.engines.handover import session_store
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.round_trips import count_round_trips
from cookieproj.engines.session_keys import SessionKeys, random_key
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies
from demo.models import User
from tests.browsers import again, browser
from tests.conftest import on
from tests.families import COOKIE_ENGINES, IN_COOKIES, SERVER_ENGINES

from .handover_switch import PAIRS, Browser, Switch, flush, is_cookie, only_switches

pytestmark = pytest.mark.usefixtures("db", "empty_stores")

on_server = on(*SERVER_ENGINES)


@pytest.fixture(autouse=True)
def session_id_signed(settings: Settings) -> None:
    settings.SESSION_ID_SIGNED = True


def signer() -> signing.Signer:
    return signing.Signer(salt="cookieproj.engines.signed_ids")


def key_in(browser: Browser) -> str:
    return signer().unsign(browser.cookie or "")


def browser_with(**data: Any) -> Browser:
    browser = Browser()
    browser.set(**data)
    return browser


def is_signed(browser: Browser) -> bool:
    return ":" in (browser.cookie or "")


@on_server
def test_cookie_is_signed_session_key(profile: str) -> None:
    browser = browser_with(a=1)
    assert session_store()(key_in(browser))["a"] == 1
    assert browser.read() == {"a": 1}
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


@on_server
def test_forged_cookies_cause_no_round_trip(profile: str) -> None:
    """Neither do valid session keys without their signature."""
    genuine = browser_with(a=1)
    key = key_in(genuine)
    forged = [
        *(f"{'k' * 32}:{number:043}" for number in range(1000)),
        *(f"{key}:{'A' * 43}", f"{'k' * 32}:{(genuine.cookie or '')[-43:]}"),
        *(key, f"{key}:", ":", "x", "\u017c" * 44, signing.Signer(salt="another").sign(key)),
    ]
    with count_round_trips() as round_trips:
        assert [Browser(cookie).read() for cookie in forged] == [{}] * len(forged)
    assert round_trips.number == 0
    with count_round_trips() as round_trips:
        assert genuine.read() == {"a": 1}
    assert round_trips.number > 0


@on_server
def test_session_gets_new_key_instead_of_forged_one(profile: str) -> None:
    browser = Browser(f"{'k' * 32}:{'A' * 43}")
    browser.set(a=1)
    assert key_in(browser) != "k" * 32
    assert browser.read() == {"a": 1}


@on_server
def test_sign_in_and_sign_out_end_old_cookie(profile: str) -> None:
    browser = browser_with(a=1)
    before = browser.copy()
    browser.visit(lambda session: session.cycle_key())
    assert browser.read() == {"a": 1}
    assert before.read() == {}
    after = browser.copy()
    browser.visit(flush)
    assert browser.cookie is None
    assert after.read() == {}


@on_server
@pytest.mark.parametrize("expiry", [None, 0, 60])
def test_turning_it_on_signs_nobody_out(
    profile: str, settings: Settings, expiry: int | None
) -> None:
    """The first page that loads the session replaces the cookie, with one more round trip."""
    settings.SESSION_ID_SIGNED = False
    browser = browser_with(a=1)
    browser.visit(lambda session: session.set_expiry(expiry))
    late = browser.copy()
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = (timezone.now() + timedelta(days=14)).isoformat()
    browser.visit(lambda session: None)
    assert not browser.response.cookies
    with count_round_trips() as round_trips:
        assert browser.read()["a"] == 1
    when_replaced = round_trips.number
    with count_round_trips() as round_trips:
        assert browser.read()["a"] == 1
    assert when_replaced == 2 * round_trips.number
    assert is_signed(browser)
    assert browser.max_age == {None: 14 * 24 * 60 * 60, 0: "", 60: 60}[expiry]
    with time_machine.travel(timezone.now() + timedelta(days=14), tick=False):
        with count_round_trips() as round_trips:
            assert late.read() == {}
        assert round_trips.number == 0


@on_server
@pytest.mark.parametrize(
    "view", [lambda session: session.session_key, lambda session: session.get("a")]
)
def test_unknown_key_is_not_signed(
    profile: str, settings: Settings, view: Callable[[Any], Any]
) -> None:
    """Even by a page that uses only the key, while unsigned keys are accepted."""
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    browser = Browser("k" * 32)
    browser.visit(view)
    assert not browser.response.cookies


@on_server
def test_cached_page_contains_no_cookie(profile: str, settings: Settings, ada: User) -> None:
    """A page whose session is created but not used sets no cookie, so a cache may share it."""
    pages = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "pages"}
    settings.CACHES = settings.CACHES | {"pages": pages}
    settings.CACHE_MIDDLEWARE_ALIAS = "pages"
    caches["pages"].clear()
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    settings.ROOT_URLCONF = __name__
    settings.SESSION_ID_SIGNED = False
    client = browser(ada)
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    client = again(client)
    with count_round_trips() as round_trips:
        assert not client.get("/public/").cookies
    assert round_trips.number == 0
    assert not Client().get("/public/").cookies
    response = client.get("/mine/")
    assert "sessionid" in response.cookies
    assert "Cookie" in response.headers["Vary"]
    stranger = Client()
    assert stranger.get("/mine/").content == b"AnonymousUser"
    assert not stranger.cookies
    assert again(client).get("/mine/").content == b"ada"


def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def mine(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user))


urlpatterns = [path("public/", public), path("mine/", mine), path("", include("cookieproj.urls"))]


@on_server
def test_error_response_sets_no_cookie(profile: str, settings: Settings) -> None:
    settings.SESSION_ID_SIGNED = False
    browser = browser_with(a=1)
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    browser.visit(lambda session: session.cycle_key(), status=500)
    assert not browser.response.cookies
    assert browser.read() == {"a": 1}


@on_server
def test_response_sets_no_cookie_if_key_was_replaced_meanwhile(
    profile: str, settings: Settings
) -> None:
    """The browser may receive the response of the concurrent sign-in first."""
    settings.SESSION_ID_SIGNED = False
    late = browser_with(a=1)
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    signing_in = late.copy()

    def sign_in_meanwhile(session: Any) -> None:
        assert session["a"] == 1
        signing_in.visit(lambda other: other.cycle_key())

    late.visit(sign_in_meanwhile)
    assert not late.response.cookies
    assert signing_in.read() == {"a": 1}


@only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
def test_late_response_of_handover_sets_no_session_id(switch: Switch, settings: Settings) -> None:
    """The session id would replace the new engine's cookie, and end with the old entry."""
    settings.SESSION_ID_SIGNED = False
    switch.before()
    moved = browser_with(a=1)
    late = moved.copy()
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    switch.make()
    for _visit in range(2):
        assert moved.read() == {"a": 1}
    late.read()
    assert not late.response.cookies


@on_server
def test_turning_it_off_signs_nobody_out(profile: str, settings: Settings) -> None:
    browser = browser_with(a=1)
    settings.SESSION_ID_SIGNED = False
    assert browser.read() == {"a": 1}
    assert not is_signed(browser)
    assert browser.read() == {"a": 1}


@on_server
def test_cookie_is_valid_while_secret_key_is_fallback(profile: str, settings: Settings) -> None:
    browser, late = browser_with(a=1), browser_with(b=2)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another " * 8
    assert browser.read() == {"a": 1}
    browser.visit(lambda session: session.update({"c": 3}))
    settings.SECRET_KEY_FALLBACKS = []
    with count_round_trips() as round_trips:
        assert late.read() == {}
    assert round_trips.number == 0


@on_server
def test_session_opens_with_cookie_value(profile: str, settings: Settings) -> None:
    """Channels and Django's test client open sessions this way."""
    browser = browser_with(a=1)
    store = import_module(settings.SESSION_ENGINE).SessionStore
    assert store(browser.cookie)["a"] == 1
    assert store(browser.cookie).session_key == key_in(browser)
    assert dict(store(f"{key_in(browser)}:{'A' * 43}").items()) == {}


@on(*COOKIE_ENGINES)
def test_cookie_engines_ignore_it(profile: str) -> None:
    browser = browser_with(a=1)
    assert is_cookie(browser.cookie)
    assert browser.read() == {"a": 1}


@only_switches(PAIRS)
@pytest.mark.parametrize("is_new", [True, False])
def test_handover_keeps_session(switch: Switch, settings: Settings, is_new: bool) -> None:
    """``is_new``: it is turned on together with the switch."""
    settings.SESSION_ID_SIGNED = not is_new
    switch.before()
    browser = browser_with(a=1)
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=1) if is_new else None
    switch.make()
    for _visit in range(2):
        assert browser.read() == {"a": 1}
        assert is_signed(browser) or switch.new == "encrypted_cookies"
    browser.set(b=2)
    switch.run(switch.new, "")
    assert browser.read().items() >= {"a": 1, "b": 2}.items()
    switch.back()
    assert browser.read().items() >= {"a": 1, "b": 2}.items()
    browser.visit(flush)
    assert browser.read() == {}


@only_switches([("signed_cookies", "db")])
def test_signed_key_with_a_colon_is_no_signed_cookie(
    switch: Switch, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its signature, such a key of a site's own has the form of a cookie of the old engine."""
    switch.before()
    moved = browser_with(a=1)
    switch.make()
    monkeypatch.setattr(SessionKeys, "_get_new_session_key", lambda self: f"shop:{random_key()}")
    browser = browser_with(b=2)
    assert SignedCookies.is_cookie(browser.cookie)
    browser.set(c=3)
    assert browser.read() == {"b": 2, "c": 3}
    assert key_in(browser).startswith("shop:")
    moved.visit(lambda session: session.cycle_key())
    assert moved.read() == {"a": 1}
    moved.visit(flush)
    browser.visit(flush)
    assert (moved.read(), browser.read()) == ({}, {})


def test_check_warns_about_django_middleware(settings: Settings) -> None:
    assert session_ids_are_signed() == []
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    [warning] = session_ids_are_signed()
    assert warning.id == "engines.W006"
    settings.SESSION_ID_SIGNED = False
    assert session_ids_are_signed() == []


@pytest.mark.parametrize("value", ["tomorrow", "2030-13-01T00:00", 7])
def test_invalid_unsigned_until_raises_improperly_configured_and_fails_check(
    settings: Settings, value: Any
) -> None:
    settings.SESSION_ID_UNSIGNED_UNTIL = value
    with pytest.raises(ImproperlyConfigured, match="SESSION_ID_UNSIGNED_UNTIL"):
        SessionMiddleware(RequestFactory().get)
    [error] = session_ids_are_signed()
    assert error.id == "engines.E005"
