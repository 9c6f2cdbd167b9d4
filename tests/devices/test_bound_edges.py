"""Bound sessions under other settings, with a store or cache that fails, and in other orders."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as site
from django.contrib.auth import SESSION_KEY
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from pytest_django import Settings

from cookieproj.devices.bound.admission import GRACE, REGISTRATION_TIME
from cookieproj.devices.bound.binding import binding_of
from cookieproj.devices.bound.bound_cookie import cookie_name
from cookieproj.devices.constants import BINDING_ITEM, BOUND_COOKIE_SALT, VISITOR_COOKIE
from cookieproj.devices.models import SignedInSession
from cookieproj.engines import running_engine
from cookieproj.engines.key_renewal import GRACE as RENEWAL_GRACE
from cookieproj.engines.renewal import recent_checks
from cookieproj.engines.signatures import sign
from demo.models import User
from tests.browsers import key_of
from tests.conftest import on
from tests.engines.stopped_clock import stopped_clock
from tests.families import COOKIE_ENGINES, SERVER_ENGINES
from tests.servers import free_port

from .bound_device import BOUND_AGE, Device

FORM = {"username": "ada", "password": "cookies"}
RENEWAL = "/devices/bound/renew/"

# What Chromium sends with a link of another site.
CROSS_SITE = {"sec_fetch_mode": "navigate", "sec_fetch_site": "cross-site"}


# The one-time links that were followed.
USED: list[str] = []


def once(request: HttpRequest) -> HttpResponse:
    USED.append(request.path)
    return HttpResponse("confirmed" if len(USED) == 1 else "used before")


async def clears(request: HttpRequest) -> HttpResponse:
    request.session.clear()
    return HttpResponse("cleared")


async def flushes(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse("flushed")


def loses_binding(request: HttpRequest) -> HttpResponse:
    """Another request removes the binding meanwhile."""
    assert SESSION_KEY in request.session
    other: Any = running_engine.store()(request.session.session_key)
    del other[BINDING_ITEM]
    other.save()
    return HttpResponse()


urlpatterns = [
    path("once/", csrf_exempt(once)),
    path("clears/", clears),
    path("flushes/", flushes),
    path("loses-binding/", loses_binding),
    path("", include("cookieproj.urls")),
]

pytestmark = [pytest.mark.urls(__name__), pytest.mark.usefixtures("bound")]


class TestLinkOfAnotherSite:
    def test_page_loads_itself_again_if_the_bound_cookie_has_expired(self, device: Device) -> None:
        device.forget_bound_cookie()
        response = device.get("/auth/account/?a=1&b=2", **CROSS_SITE)
        assert (response.status_code, response.headers["Refresh"]) == (200, "0")
        assert 'href="/auth/account/?a=1&amp;b=2"' in response.content.decode()
        assert not response.cookies
        assert device.renew().status_code == 200
        assert device.is_in

    @pytest.mark.parametrize("is_visitor", [False, True])
    def test_one_time_link_is_not_used_up(self, is_visitor: bool, device: Device) -> None:
        USED.clear()
        device.forget_bound_cookie()
        if is_visitor:
            device.post("/sessions/set-item/")
        assert (cookie_name(VISITOR_COOKIE) in device.client.cookies) is is_visitor
        assert device.get("/once/", **CROSS_SITE).headers["Refresh"] == "0"
        assert device.get("/once/", secure_session_skipped="unreachable").status_code == 503
        assert not USED
        device.renew()
        assert device.get("/once/").content == b"confirmed"

    def test_link_to_a_page_without_a_session(self, device: Device) -> None:
        """It depends on no cookie."""
        USED.clear()
        response = device.get("/once/", **CROSS_SITE)
        assert response.content == b"confirmed"
        assert not response.cookies
        assert "Cookie" not in response.headers.get("Vary", "")

    def test_request_of_the_page_itself_does_not_load_again(self, device: Device) -> None:
        device.forget_bound_cookie()
        same_origin = CROSS_SITE | {"sec_fetch_site": "same-origin"}
        assert device.get(**same_origin).status_code == 302

    def test_page_opens_with_a_good_cookie(self, device: Device) -> None:
        response = device.get(**CROSS_SITE)
        assert response.status_code == 200
        assert "Refresh" not in response.headers


class TestSignInWithARefusedCookie:
    def test_after_a_session_that_had_to_be_bound(
        self, clock: Any, ada: User, settings: Settings
    ) -> None:
        settings.DEVICES_BOUND = "require"
        device = Device().sign_in(ada)
        clock.shift(REGISTRATION_TIME + 1)
        device.bind(ada)
        assert device.is_in

    def test_in_a_browser_that_could_not_renew(self, device: Device) -> None:
        device.forget_bound_cookie()
        response = device.post("/auth/sign-in/", FORM, secure_session_skipped="unreachable")
        assert response.status_code == 302
        assert device.is_in


def test_copy_from_right_after_the_registration_is_bound(clock: Any, ada: User) -> None:
    device = Device().sign_in(ada)
    device.register()
    thief = device.thief_of_session()
    assert device.is_in
    clock.shift(3600)
    assert not thief.is_in


@pytest.mark.parametrize("path", [RENEWAL, "/devices/bound/register/"])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("saves", [True, False])
def test_request_without_a_proof_is_no_use_of_the_session(
    path: str, method: str, saves: bool, device: Device, clock: Any, settings: Settings
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = saves
    [before] = SignedInSession.objects.values()
    clock.shift(3600)
    response = getattr(device.thief_of_session(), method)(path)
    assert site.SESSION_COOKIE_NAME not in response.cookies
    assert [before] == list(SignedInSession.objects.values())


def test_renewal_is_no_use_of_the_session(device: Device, clock: Any, settings: Settings) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    [before] = SignedInSession.objects.values()
    clock.shift(3600)
    device.forget_bound_cookie().renew("")
    response = device.renew()
    assert response.status_code == 200
    assert site.SESSION_COOKIE_NAME not in response.cookies
    assert [before] == list(SignedInSession.objects.values())


class AnswersItself:
    """A middleware that answers before the session is read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse() if request.path == "/itself/" else self.get_response(request)


def test_refused_request_gets_no_cookie_if_every_request_saves(
    clock: Any, ada: User, settings: Settings
) -> None:
    sessions = "cookieproj.engines.middleware.SessionMiddleware"
    at = settings.MIDDLEWARE.index(sessions) + 1
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:at], f"{__name__}.AnswersItself", *settings.MIDDLEWARE[at:]
    ]  # fmt: skip
    settings.SESSION_SAVE_EVERY_REQUEST = True
    device = Device().bind(ada)
    clock.shift(GRACE + 1)
    response = device.thief_of_session().get("/itself/")
    assert site.SESSION_COOKIE_NAME not in response.cookies
    assert site.SESSION_COOKIE_NAME in device.get("/itself/").cookies


@pytest.mark.django_db(transaction=True)
def test_async_view_may_clear_a_session_that_was_not_read(ada: User) -> None:
    device = Device().bind(ada)
    client = AsyncClient()
    client.cookies = device.client.cookies
    get: Any = async_to_sync(client.get)
    assert get("/clears/", secure=True).content == b"cleared"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/clears/", "/flushes/"])
def test_copy_ends_no_session_by_an_async_view(path: str, device: Device) -> None:
    thief = device.thief_of_session()
    thief.client.raise_request_exception = False
    thief.get(path)
    assert device.is_in


@pytest.mark.parametrize("purposes", [False, "pay", None])
def test_bound_cookie_of_another_form_is_not_valid(purposes: Any, device: Device) -> None:
    binding = binding_of(running_engine.store()(key_of(device.client)))
    assert binding
    content = [binding.id, binding.used, purposes]
    device.client.cookies[cookie_name()] = sign(json.dumps(content).encode(), BOUND_COOKIE_SALT)
    assert not device.is_in
    assert device.renew().status_code == 200
    assert device.is_in


@on(*SERVER_ENGINES)
def test_binding_that_another_request_has_removed_is_not_confirmed(ada: User) -> None:
    device = Device().sign_in(ada)
    device.register()
    assert device.get("/loses-binding/").status_code == 200
    assert device.is_in


@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("policy", ["offer", "require"])
class TestLateResponseToARequestFromBeforeTheRegistration:
    """It replaces the session cookie that has the key."""

    @pytest.fixture
    def device(self, policy: str, clock: Any, ada: User, settings: Settings) -> Device:
        settings.DEVICES_BOUND = policy
        device = Device().sign_in(ada)
        late = key_of(device.client)
        assert device.register().status_code == 200
        assert device.is_in
        device.client.cookies[site.SESSION_COOKIE_NAME] = late
        return device

    def test_the_bound_cookie_brings_the_key_back(self, device: Device, clock: Any) -> None:
        assert device.is_in
        clock.shift(BOUND_AGE)
        assert not device.thief_of_session().is_in

    def test_so_does_a_renewal(self, device: Device, clock: Any) -> None:
        clock.shift(BOUND_AGE)
        assert device.forget_bound_cookie().renew().status_code == 200
        assert device.is_in
        clock.shift(GRACE + 1)
        assert not device.thief_of_session().is_in
        [row] = SignedInSession.objects.all()
        assert (row.bound_at and row.bound_at.year, row.bound_by) == (2027, "ES256")
        clock.shift(BOUND_AGE)
        assert device.forget_bound_cookie().renew().status_code == 200
        assert device.is_in

    def test_link_of_another_site_ends_nothing(self, device: Device, clock: Any) -> None:
        clock.shift(BOUND_AGE)
        response = device.forget_bound_cookie().get(**CROSS_SITE)
        assert response.status_code == 200
        assert device.renew().status_code == 200
        assert device.has_bound_cookie
        assert device.is_in

    def test_without_the_key_nothing_is_renewed(self, device: Device, clock: Any) -> None:
        clock.shift(BOUND_AGE)
        thief = device.forget_bound_cookie().thief_of_session()
        assert thief.renew("").status_code == 403
        thief.challenge = device.challenge
        assert thief.renew().status_code == 403
        assert not thief.has_bound_cookie


@on(*COOKIE_ENGINES)
def test_unreachable_default_cache_is_unavailable(
    device: Device, ada: User, settings: Settings
) -> None:
    """It keeps the challenges that were used."""
    other = Device().sign_in(ada)
    redis = "django.core.cache.backends.redis.RedisCache"
    address = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = settings.CACHES | {"default": {"BACKEND": redis, "LOCATION": address}}
    assert device.forget_bound_cookie().renew().status_code == 503
    assert other.register().status_code == 503


def test_refused_sign_in_offers_nothing(ada: User, settings: Settings) -> None:
    settings.DEVICES_LIMIT, settings.DEVICES_OVER_LIMIT = 1, "refuse"
    Device().sign_in(ada)
    device = Device()
    assert device.post("/auth/sign-in/", FORM).status_code == 403
    assert not device.registration


@on(*SERVER_ENGINES)
@pytest.mark.parametrize("path", ["/auth/account/", RENEWAL, "/devices/bound/register/"])
def test_copy_without_the_bound_cookie_does_not_end_the_session(
    path: str, ada: User, store: Any, settings: Settings
) -> None:
    """With SESSION_END_COPIED, and not with a proof that somebody has made up."""
    settings.SESSION_RENEW_AGE, settings.SESSION_END_COPIED = 3600, True
    recent_checks.clear()
    with stopped_clock(store) as clock:
        device = Device().bind(ada)
        thief, key = device.thief_of_session(), key_of(device.client)
        clock.move(3600, key)
        assert device.forget_bound_cookie().renew().status_code == 200
        assert device.is_in
        assert device.is_in
        assert key_of(device.client) != key
        clock.move(RENEWAL_GRACE + 1, key_of(device.client))
        assert device.forget_bound_cookie().renew().status_code == 200
        thief.post(path, secure_session_response="made.up.proof", sec_secure_session_id="made-up")
        assert not thief.is_in
        assert device.is_in


class TestLostKeyAtTheLimitOfDevices:
    @pytest.fixture(autouse=True)
    def limit(self, settings: Settings) -> None:
        settings.DEVICES_LIMIT, settings.DEVICES_OVER_LIMIT = 1, "refuse"

    def test_browser_without_its_key_is_another_device(self, device: Device, clock: Any) -> None:
        clock.shift(24 * 3600)
        for lost in (Device(), device.thief_of_session()):
            assert lost.post("/auth/sign-in/", FORM).status_code == 403
        device.forget_bound_cookie().renew("")
        assert device.renew().status_code == 200
        assert device.is_in, "it had not lost its key"

    @pytest.mark.parametrize("way_out", ["new password", "signout", "expiry"])
    def test_way_out(
        self, way_out: str, device: Device, ada: User, clock: Any, settings: Settings
    ) -> None:
        form = FORM
        match way_out:
            case "new password":
                form = FORM | {"password": "another"}
                ada.set_password("another")
                ada.save()
            case "signout":
                call_command("signout", "ada", stdout=StringIO())
            case "expiry":
                clock.shift(settings.SESSION_COOKIE_AGE + 1)
        assert Device().post("/auth/sign-in/", form).status_code == 302
