"""A request that may not open its bound session, on a site that stores something for visitors."""

import re

import pytest
from django.conf import settings as site
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from pytest_django import Settings

from demo.models import User
from tests.conftest import on
from tests.servers import free_port

from .bound_device import Device

pytestmark = pytest.mark.urls(__name__)

VISITOR_COOKIE = "__Host-visitor_session"
SIGN_IN = "/auth/sign-in/"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')

# What Chromium sends with a link of another site.
CROSS_SITE = {"sec_fetch_mode": "navigate", "sec_fetch_site": "cross-site"}


def creates(request: HttpRequest) -> HttpResponse:
    request.session.create()
    return HttpResponse()


urlpatterns = [path("creates/", creates), path("", include("cookieproj.urls"))]


@pytest.fixture
def device(device: Device, settings: Settings) -> Device:
    """Its bound cookie has expired, and each form stores a token in the session."""
    settings.CSRF_USE_SESSIONS = True
    return device.forget_bound_cookie()


def session_cookie(device: Device) -> str:
    return str(device.client.cookies[site.SESSION_COOKIE_NAME].value)


def form_of(device: Device) -> dict[str, str]:
    """The sign-in form, filled in."""
    found = TOKEN.search(device.get(SIGN_IN).content.decode())
    assert found
    return {"username": "ada", "password": "cookies", "csrfmiddlewaretoken": found[1]}


def test_refused_request_leaves_the_session_cookie(device: Device) -> None:
    before = session_cookie(device)
    assert device.get(SIGN_IN).status_code == 200
    assert session_cookie(device) == before
    assert device.renew().status_code == 200
    assert device.is_in


def test_refused_response_may_be_late(device: Device) -> None:
    late = device.thief_of_session().get(SIGN_IN)
    device.renew()
    device.receive(late)
    assert device.is_in


def test_session_of_the_visitor_goes_on(device: Device) -> None:
    device.post("/sessions/set-item/")
    for _request in range(2):
        assert device.get("/sessions/get/").content == b"color is blue\n"
    device.post("/lifecycle/flush/")
    assert VISITOR_COOKIE not in device.client.cookies
    assert device.renew().status_code == 200
    assert device.get("/sessions/get/").content != b"color is blue\n"
    assert device.is_in


def test_browser_without_its_key_can_sign_in(device: Device) -> None:
    """As a copied profile: nothing ever opens its session again."""
    other = device.thief_of_session()
    other.client.handler.enforce_csrf_checks = True
    before = session_cookie(other)
    assert other.post(SIGN_IN, form_of(other), **from_here()).status_code == 302
    assert session_cookie(other) != before
    assert VISITOR_COOKIE not in other.client.cookies
    assert other.is_in
    device.renew()
    assert device.is_in


def test_visitor_of_before_does_not_hide_a_later_session(device: Device) -> None:
    """A late response sets the visitor's cookie once more, after a sign-in."""
    other = device.thief_of_session()
    form = form_of(other)
    late = other.thief().post("/sessions/set-item/")
    other.post(SIGN_IN, form)
    other.receive(late)
    assert VISITOR_COOKIE in other.client.cookies
    assert other.is_in


def from_here() -> dict[str, str]:
    """Over https Django asks for the page that a form was on."""
    return {"referer": f"https://testserver{SIGN_IN}"}


def test_visitor_is_forgotten_when_the_session_opens_again(device: Device) -> None:
    device.get(SIGN_IN)
    assert VISITOR_COOKIE in device.client.cookies
    device.renew()
    assert device.is_in
    assert VISITOR_COOKIE not in device.client.cookies


def test_visitor_who_is_signed_in_is_none(device: Device, ada: User) -> None:
    device.get(SIGN_IN)
    mark, _separator, _value = device.client.cookies[VISITOR_COOKIE].value.partition(".")
    other = Device().sign_in(ada)
    device.client.cookies[VISITOR_COOKIE] = f"{mark}.{session_cookie(other)}"
    assert not device.is_in
    assert other.is_in


def test_new_session_of_a_visitor_is_beside_the_bound_one(device: Device) -> None:
    before = session_cookie(device)
    device.get("/creates/")
    assert session_cookie(device) == before
    device.renew()
    assert device.is_in


def test_visitor_is_answered_as_before(device: Device) -> None:
    """A browser that could not renew, or that follows a link of another site, does not get in."""
    device.get(SIGN_IN)
    assert device.get(**CROSS_SITE).headers["Refresh"] == "0"
    assert device.get(secure_session_skipped="unreachable").status_code == 503
    assert device.renew().status_code == 200
    assert device.is_in


@on("cache")
def test_unreachable_store_is_unavailable(device: Device, settings: Settings) -> None:
    """Neither for the visitor nor for the user is it asked once more, after the page for it."""
    device.get(SIGN_IN)
    visitor = device.thief()
    device.renew()
    # Django's page for the status 500 would read the token.
    settings.CSRF_USE_SESSIONS = False
    redis = settings.CACHES["sessions"] | {"LOCATION": f"redis://127.0.0.1:{free_port()}/0"}
    settings.CACHES = settings.CACHES | {"sessions": redis}

    for sender in (visitor, device):
        assert VISITOR_COOKIE in sender.client.cookies
        sender.client.raise_request_exception = False
        assert sender.get().status_code == 503


def test_visitors_without_a_bound_session_have_the_usual_cookie(
    settings: Settings, bound: None
) -> None:
    settings.CSRF_USE_SESSIONS = True
    visitor = Device()
    visitor.get(SIGN_IN)
    assert set(visitor.client.cookies) >= {site.SESSION_COOKIE_NAME}
    assert VISITOR_COOKIE not in visitor.client.cookies
