"""Extreme expiries cause no error on our engines where they cause none on Django's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from pytest_django import Settings

from cookieproj.devices.models import RefusedSession, SignedInSession
from demo.models import User
from tests.browsers import browser, is_in, key_of, row_of
from tests.conftest import forget_folder, on
from tests.families import COOKIE_ENGINES, IN_COOKIES, run_on
from tests.fault_table import WHOSE, Whose

EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
EXPIRIES: dict[str, Any] = {
    "max UTC": datetime.max.replace(tzinfo=UTC),
    "max east": datetime.max.replace(tzinfo=EAST),
    "max west": datetime.max.replace(tzinfo=WEST),
    "max naive": datetime.max,  # noqa: DTZ901 - that is the point
    "min UTC": datetime.min.replace(tzinfo=UTC),
    "min east": datetime.min.replace(tzinfo=EAST),
    "min west": datetime.min.replace(tzinfo=WEST),
    "min naive": datetime.min,  # noqa: DTZ901 - that is the point
    "2100 naive": datetime(2100, 1, 1),  # noqa: DTZ001 - that is the point
    "5000 years": timedelta(days=365 * 5000),
    "5000 years in seconds": 365 * 5000 * 86400,
    "too many seconds": 10**12,
    "far too many seconds": 10**20,
    "infinite": float("inf"),
    "no number": "never",
}
PAST = {name for name in EXPIRIES if name.startswith("min")}


def set_expiry(request: HttpRequest, name: str) -> HttpResponse:
    request.session.set_expiry(EXPIRIES[name])
    return HttpResponse()


def set_expiry_and_sign_out(request: HttpRequest, name: str) -> HttpResponse:
    request.session.set_expiry(EXPIRIES[name])
    logout(request)
    return HttpResponse()


urlpatterns = [
    path("set-expiry/<name>/", set_expiry),
    path("set-expiry-and-sign-out/<name>/", set_expiry_and_sign_out),
    path("", include("cookieproj.urls")),
]


@pytest.fixture(params=EXPIRIES)
def name(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.ROOT_URLCONF = __name__
    value: str = request.param
    return value


Outcomes = list[tuple[int, bool]]


def outcomes(client: Client, *steps: Callable[[], Any]) -> Outcomes:
    """Return the status of each step, and whether the client is signed in after it."""
    client.raise_request_exception = False
    return [(step().status_code, is_in(client)) for step in steps]


def outcomes_of_use(client: Client, name: str) -> Outcomes:
    return outcomes(
        client,
        lambda: client.get(f"/set-expiry/{name}/"),
        lambda: client.post("/sessions/set-item/"),
        lambda: client.get("/devices/"),
        lambda: client.post("/auth/sign-out/"),
    )


def test_expiry_that_works_on_djangos_engine_works_on_ours(
    name: str, profile: str, settings: Settings, ada: User
) -> None:
    by_family: dict[Whose, Outcomes] = {}
    middleware = settings.MIDDLEWARE
    for whose in WHOSE:
        settings.MIDDLEWARE = middleware
        run_on(settings, whose, profile)
        forget_folder()
        by_family[whose] = outcomes_of_use(browser(ada), name)
    if profile in IN_COOKIES and name in PAST:
        # Django's engine ignores such an expiry.
        return
    for ours, djangos in zip(by_family["ours"], by_family["Django's"], strict=True):
        assert ours == djangos or djangos[0] >= 500
    (_status, was_signed_in), signed_out = by_family["ours"][-2:]
    # If the session has expired by then, the recipe says that nobody was signed in.
    assert signed_out == (302 if was_signed_in else 200, False)


def test_sign_out_ends_session_with_any_expiry(name: str, profile: str, ada: User) -> None:
    client = browser(ada)
    copied_key = key_of(client)
    assert outcomes(client, lambda: client.get(f"/set-expiry-and-sign-out/{name}/")) == [
        (200, False)
    ]
    client.cookies["sessionid"] = copied_key
    assert not is_in(client)
    assert not SignedInSession.objects.exists()


@pytest.mark.parametrize("name", ["max UTC", "5000 years"], indirect=True)
@pytest.mark.parametrize("ended_by", ["sign-out", "another device", "sign-out of all others"])
def test_session_with_far_expiry_can_be_ended(
    ended_by: str, name: str, profile: str, ada: User
) -> None:
    client, other_device = browser(ada), browser(ada)
    assert client.get(f"/set-expiry/{name}/").status_code == 200
    copied_key = key_of(client)
    assert is_in(client)
    assert is_in(client)
    if ended_by == "sign-out":
        client.post("/auth/sign-out/")
    elif ended_by == "another device":
        other_device.post(f"/devices/{row_of(client).pk}/sign-out/")
    else:
        other_device.post("/devices/sign-out-others/")
    client.cookies["sessionid"] = copied_key
    assert not is_in(client)
    assert is_in(other_device)
    assert "this device" in other_device.get("/devices/").text


@on(*COOKIE_ENGINES)
def test_deleting_row_with_latest_expiry_ends_session(profile: str, ada: User) -> None:
    client = browser(ada)
    SignedInSession.objects.update(expires=EXPIRIES["max UTC"])
    row_of(client).delete()
    assert not is_in(client)
    assert RefusedSession.objects.get().until.year == 9999
