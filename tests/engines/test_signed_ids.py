"""SESSION_ID_SIGNED: made-up cookies cost the store nothing; turning it on signs nobody out."""

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
from demo.models import User
from tests.browsers import again, browser
from tests.conftest import on
from tests.families import COOKIE_ENGINES, IN_COOKIES

from .handover_switch import PAIRS, Browser, Switch, flush, is_cookie, only_switches

pytestmark = pytest.mark.usefixtures("db", "empty_stores")

on_server = on("db", "cache", "file", "cached_db")


@pytest.fixture(autouse=True)
def signed(settings: Settings) -> None:
    settings.SESSION_ID_SIGNED = True


def signer() -> signing.Signer:
    return signing.Signer(salt="cookieproj.engines.signed_ids")


def key_in(browser: Browser) -> str:
    return signer().unsign(browser.cookie or "")


def visitor(**data: Any) -> Browser:
    browser = Browser()
    browser.set(**data)
    return browser


def is_signed(browser: Browser) -> bool:
    return ":" in (browser.cookie or "")


@on_server
def test_the_cookie_holds_the_key_and_its_signature(profile: str) -> None:
    browser = visitor(a=1)
    assert session_store()(key_in(browser))["a"] == 1
    assert browser.read() == {"a": 1}
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}


@on_server
def test_what_is_made_up_costs_the_store_nothing(profile: str) -> None:
    """Not one trip for a thousand of them, or for a genuine key without its signature."""
    genuine = visitor(a=1)
    key = key_in(genuine)
    forged = [
        *(f"{'k' * 32}:{number:043}" for number in range(1000)),
        *(f"{key}:{'A' * 43}", f"{'k' * 32}:{(genuine.cookie or '')[-43:]}"),
        *(key, f"{key}:", ":", "x", "\u017c" * 44, signing.Signer(salt="another").sign(key)),
    ]
    with count_round_trips() as trips:
        assert [Browser(cookie).read() for cookie in forged] == [{}] * len(forged)
    assert trips.number == 0
    with count_round_trips() as trips:
        assert genuine.read() == {"a": 1}
    assert trips.number > 0


@on_server
def test_a_made_up_cookie_is_not_taken_for_a_new_session(profile: str) -> None:
    browser = Browser(f"{'k' * 32}:{'A' * 43}")
    browser.set(a=1)
    assert key_in(browser) != "k" * 32
    assert browser.read() == {"a": 1}


@on_server
def test_a_sign_in_and_a_sign_out(profile: str) -> None:
    browser = visitor(a=1)
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
def test_to_be_turned_on_signs_nobody_out(
    profile: str, settings: Settings, expiry: int | None
) -> None:
    """The first page that reads the session gives the cookie its new form: it looks once more."""
    settings.SESSION_ID_SIGNED = False
    browser = visitor(a=1)
    browser.visit(lambda session: session.set_expiry(expiry))
    late = browser.copy()
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = (timezone.now() + timedelta(days=14)).isoformat()
    browser.visit(lambda session: None)
    assert not browser.response.cookies
    with count_round_trips() as trips:
        assert browser.read()["a"] == 1
    replaced = trips.number
    with count_round_trips() as trips:
        assert browser.read()["a"] == 1
    assert replaced == 2 * trips.number
    assert is_signed(browser)
    assert browser.max_age == {None: 14 * 24 * 60 * 60, 0: "", 60: 60}[expiry]
    with time_machine.travel(timezone.now() + timedelta(days=14), tick=False):
        with count_round_trips() as trips:
            assert late.read() == {}
        assert trips.number == 0


@on_server
@pytest.mark.parametrize(
    "view", [lambda session: session.session_key, lambda session: session.get("a")]
)
def test_no_key_is_signed_that_is_none(
    profile: str, settings: Settings, view: Callable[[Any], Any]
) -> None:
    """Also by a page that asks for the key alone, while keys without a signature are accepted."""
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    browser = Browser("k" * 32)
    browser.visit(view)
    assert not browser.response.cookies


@on_server
def test_a_shared_cache_hands_no_cookie_to_others(
    profile: str, settings: Settings, ada: User
) -> None:
    """A page that only creates its session, as a middleware does, sets no cookie."""
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
    with count_round_trips() as trips:
        assert not client.get("/public/").cookies
    assert trips.number == 0
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
def test_an_error_sets_no_cookie(profile: str, settings: Settings) -> None:
    settings.SESSION_ID_SIGNED = False
    visited = visitor(a=1)
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    visited.visit(lambda session: session.cycle_key(), status=500)
    assert not visited.response.cookies
    assert visited.read() == {"a": 1}


@on_server
def test_nor_does_a_page_whose_key_has_been_replaced(profile: str, settings: Settings) -> None:
    """By a sign-in under way: whose answer comes first nobody knows."""
    settings.SESSION_ID_SIGNED = False
    late = visitor(a=1)
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    signing_in = late.copy()

    def look(session: Any) -> None:
        assert session["a"] == 1
        signing_in.visit(lambda other: other.cycle_key())

    late.visit(look)
    assert not late.response.cookies
    assert signing_in.read() == {"a": 1}


@only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
def test_a_late_answer_of_a_switch_sets_no_id(switch: Switch, settings: Settings) -> None:
    """The browser has its cookie already: an id in its place would end with the old entry."""
    settings.SESSION_ID_SIGNED = False
    switch.before()
    moved = visitor(a=1)
    late = moved.copy()
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_ID_UNSIGNED_UNTIL = timezone.now() + timedelta(days=14)
    switch.make()
    for _visit in range(2):
        assert moved.read() == {"a": 1}
    late.read()
    assert not late.response.cookies


@on_server
def test_to_be_turned_off_signs_nobody_out(profile: str, settings: Settings) -> None:
    browser = visitor(a=1)
    settings.SESSION_ID_SIGNED = False
    assert browser.read() == {"a": 1}
    assert not is_signed(browser)
    assert browser.read() == {"a": 1}


@on_server
def test_with_another_secret_key(profile: str, settings: Settings) -> None:
    browser, left = visitor(a=1), visitor(b=2)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another " * 8
    assert browser.read() == {"a": 1}
    browser.visit(lambda session: session.update({"c": 3}))
    settings.SECRET_KEY_FALLBACKS = []
    with count_round_trips() as trips:
        assert left.read() == {}
    assert trips.number == 0


@on_server
def test_who_opens_sessions_by_the_cookies_value(profile: str, settings: Settings) -> None:
    """As Channels does, and Django's test client."""
    browser = visitor(a=1)
    store = import_module(settings.SESSION_ENGINE).SessionStore
    assert store(browser.cookie)["a"] == 1
    assert store(browser.cookie).session_key == key_in(browser)
    assert dict(store(f"{key_in(browser)}:{'A' * 43}").items()) == {}


@on(*COOKIE_ENGINES)
def test_where_the_session_is_the_cookie_it_changes_nothing(profile: str) -> None:
    browser = visitor(a=1)
    assert is_cookie(browser.cookie)
    assert browser.read() == {"a": 1}


@only_switches(PAIRS)
@pytest.mark.parametrize("is_new", [True, False])
def test_through_a_switch(switch: Switch, settings: Settings, is_new: bool) -> None:
    """It is on all along, or turned on together with the switch."""
    settings.SESSION_ID_SIGNED = not is_new
    switch.before()
    browser = visitor(a=1)
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


def test_a_check_says_where_nothing_signs(settings: Settings) -> None:
    assert session_ids_are_signed() == []
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    [warning] = session_ids_are_signed()
    assert warning.id == "engines.W006"
    settings.SESSION_ID_SIGNED = False
    assert session_ids_are_signed() == []


@pytest.mark.parametrize("value", ["tomorrow", "2030-13-01T00:00", 7])
def test_a_moment_that_is_none(settings: Settings, value: Any) -> None:
    settings.SESSION_ID_UNSIGNED_UNTIL = value
    with pytest.raises(ImproperlyConfigured, match="SESSION_ID_UNSIGNED_UNTIL"):
        SessionMiddleware(RequestFactory().get)
    [error] = session_ids_are_signed()
    assert error.id == "engines.E005"
