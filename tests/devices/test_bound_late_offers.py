"""The late offer is for the user who is signed in when the request ends, and for no other request.

See ``test_bound_later`` for what it is.
"""

from typing import Any

import pytest
from django.conf import settings as site
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from pytest_django import Settings

from cookieproj.devices.bound import headers
from cookieproj.devices.bound.admission import GRACE, REGISTRATION_TIME
from cookieproj.devices.bound.binding import binding_of
from cookieproj.devices.bound.registering import OFFER_INTERVAL, recent_offers
from demo.models import User
from tests.browsers import again
from tests.conftest import on
from tests.families import COOKIE_ENGINES
from tests.servers import free_port

from .bound_device import BOUND_AGE, Device


def becomes_bob(request: HttpRequest) -> HttpResponse:
    """Reads the user, and signs another one in."""
    assert request.user.get_username() == "ada"
    bob = User.objects.get(username="bob")
    login(request, bob, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse()


class ReadsUserAfterwards:
    """A middleware that reads the user and the session after the view."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        _ = request.user.is_authenticated
        response: HttpResponse = self.get_response(request)
        request.session.get("color")
        return response


urlpatterns = [path("becomes-bob/", becomes_bob), path("", include("cookieproj.urls"))]

pytestmark = [pytest.mark.urls(__name__), pytest.mark.usefixtures("bound", "clock")]


@pytest.fixture(autouse=True)
def process_that_has_looked_at_nothing() -> None:
    recent_offers.clear()


def test_sign_out_deletes_the_cookie(ada: User) -> None:
    device = Device().sign_in(ada)
    recent_offers.clear()
    response = device.post("/auth/sign-out/")
    assert response.cookies[site.SESSION_COOKIE_NAME].value == ""
    assert headers.REGISTRATION not in response.headers


def test_sign_out_of_a_bound_session_does_too_and_the_next_sign_in_is_offered_one(
    ada: User, clock: Any
) -> None:
    device = Device().bind(ada)
    clock.shift(GRACE + 1)
    recent_offers.clear()
    response = device.post("/auth/sign-out/")
    assert response.cookies[site.SESSION_COOKIE_NAME].value == ""
    assert b'"continue": false' in device.renew("").content
    device.bind(ada)
    clock.shift(BOUND_AGE)
    assert device.forget_bound_cookie().renew().status_code == 200
    assert device.is_in


def test_pages_open_after_a_sign_out_from_a_session_that_had_to_be_bound(
    ada: User, clock: Any, settings: Settings
) -> None:
    settings.DEVICES_BOUND, settings.CSRF_USE_SESSIONS = "require", True
    device = Device().bind(ada)
    recent_offers.clear()
    device.client.get("/auth/account/", secure=True)
    token = device.client.session["_csrftoken"]
    assert device.post("/auth/sign-out/", {"csrfmiddlewaretoken": token}).status_code == 302
    assert device.get("/auth/sign-in/").status_code == 200
    clock.shift(REGISTRATION_TIME + 1)
    assert device.get("/auth/sign-in/").status_code == 200


def test_user_who_has_signed_in_meanwhile_gets_no_offer_of_another(
    ada: User, clock: Any, settings: Settings
) -> None:
    User.objects.create_user("bob", password="cookies")
    settings.DEVICES_BOUND = lambda user: "require" if user.username == "ada" else None
    device = Device().bind(ada)
    clock.shift(GRACE + 1)
    recent_offers.clear()
    device.registration = {}
    assert device.get("/becomes-bob/").status_code == 200
    assert not device.registration
    assert binding_of(device.client.session) is None
    clock.shift(REGISTRATION_TIME + 1)
    assert device.is_in


@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.parametrize("step", ["register", "renew"])
def test_browsers_own_requests_get_no_offer(
    step: str, saves: bool, ada: User, clock: Any, settings: Settings
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = saves
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.ReadsUserAfterwards"]
    device = Device().sign_in(ada)
    if step == "renew":
        assert device.register().status_code == 200
        assert device.is_in
    clock.shift(OFFER_INTERVAL + 1)
    response = device.register() if step == "register" else device.forget_bound_cookie().renew()
    assert response.status_code == 200
    assert headers.REGISTRATION not in response.headers
    assert device.is_in


@pytest.mark.parametrize("path", ["/devices/bound/register/", "/devices/bound/renew/"])
def test_neither_do_others_to_their_addresses(path: str, ada: User, settings: Settings) -> None:
    settings.DEVICES_BOUND = None
    device = Device().sign_in(ada)
    settings.DEVICES_BOUND = "offer"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.ReadsUserAfterwards"]
    device.client = again(device.client)
    for method in (device.get, device.post):
        assert headers.REGISTRATION not in method(path).headers


@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("policy", ["offer", "require"])
def test_two_processes_do_not_offer_two_bindings_in_two_cookies(
    policy: str, ada: User, clock: Any, settings: Settings
) -> None:
    settings.DEVICES_BOUND = None
    device = Device().sign_in(ada)
    tab = device.thief_of_session()
    settings.DEVICES_BOUND = policy
    assert device.is_in
    recent_offers.clear()
    late = tab.get()
    assert late.status_code == 200
    assert device.register().status_code == 200
    assert device.is_in
    clock.shift(REGISTRATION_TIME + 1)
    device.receive(late)
    assert device.is_in


@on(*COOKIE_ENGINES)
def test_without_the_default_cache_the_page_opens_and_nothing_is_offered(
    ada: User, settings: Settings
) -> None:
    """It keeps that a binding was offered."""
    settings.DEVICES_BOUND = None
    device = Device().sign_in(ada)
    settings.DEVICES_BOUND = "require"
    redis = "django.core.cache.backends.redis.RedisCache"
    address = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = settings.CACHES | {"default": {"BACKEND": redis, "LOCATION": address}}
    assert device.is_in
    assert not device.registration
