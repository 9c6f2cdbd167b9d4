"""Sessions that expire as far away as a datetime goes, on every profile and beside Django's."""

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
FAR: dict[str, Any] = {
    "the last": datetime.max.replace(tzinfo=UTC),
    "the last in the east": datetime.max.replace(tzinfo=EAST),
    "the last in the west": datetime.max.replace(tzinfo=WEST),
    "the last of nowhere": datetime.max,  # noqa: DTZ901 - that is the point
    "the first": datetime.min.replace(tzinfo=UTC),
    "the first in the east": datetime.min.replace(tzinfo=EAST),
    "the first in the west": datetime.min.replace(tzinfo=WEST),
    "the first of nowhere": datetime.min,  # noqa: DTZ901 - that is the point
    "soon, nowhere": datetime(2100, 1, 1),  # noqa: DTZ001 - that is the point
    "5000 years": timedelta(days=365 * 5000),
    "seconds for 5000 years": 365 * 5000 * 86400,
    "seconds beyond": 10**12,
    "more seconds beyond": 10**20,
    "infinite": float("inf"),
    "no date": "never",
}
PAST = {name for name in FAR if name.startswith("the first")}


def gives(request: HttpRequest, name: str) -> HttpResponse:
    request.session.set_expiry(FAR[name])
    return HttpResponse()


def gives_and_signs_out(request: HttpRequest, name: str) -> HttpResponse:
    request.session.set_expiry(FAR[name])
    logout(request)
    return HttpResponse()


urlpatterns = [
    path("give/<name>/", gives),
    path("give-and-sign-out/<name>/", gives_and_signs_out),
    path("", include("cookieproj.urls")),
]


@pytest.fixture(params=FAR)
def name(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.ROOT_URLCONF = __name__
    found: str = request.param
    return found


Tried = list[tuple[int, bool]]


def tried(client: Client, *steps: Callable[[], Any]) -> Tried:
    """Of each step the status, and whether one is signed in then."""
    client.raise_request_exception = False
    return [(step().status_code, is_in(client)) for step in steps]


def lives(client: Client, name: str) -> Tried:
    return tried(
        client,
        lambda: client.get(f"/give/{name}/"),
        lambda: client.post("/sessions/set-item/"),
        lambda: client.get("/devices/"),
        lambda: client.post("/auth/sign-out/"),
    )


def test_what_works_on_djangos_engine_works_on_ours(
    name: str, profile: str, settings: Settings, ada: User
) -> None:
    seen: dict[Whose, Tried] = {}
    middleware = settings.MIDDLEWARE
    for whose in WHOSE:
        settings.MIDDLEWARE = middleware
        run_on(settings, whose, profile)
        forget_folder()
        seen[whose] = lives(browser(ada), name)
    if profile in IN_COOKIES and name in PAST:
        # Django's engine heeds no such expiry.
        return
    for ours, djangos in zip(seen["ours"], seen["Django's"], strict=True):
        assert ours == djangos or djangos[0] >= 500
    assert seen["ours"][-1] == (302, False)


def test_a_session_ends_whatever_it_was_given(name: str, profile: str, ada: User) -> None:
    client = browser(ada)
    copied = key_of(client)
    assert tried(client, lambda: client.get(f"/give-and-sign-out/{name}/")) == [(200, False)]
    client.cookies["sessionid"] = copied
    assert not is_in(client)
    assert not SignedInSession.objects.exists()


@pytest.mark.parametrize("name", ["the last", "5000 years"], indirect=True)
@pytest.mark.parametrize("how", ["signs out", "from elsewhere", "everywhere"])
def test_all_ways_to_end_one(how: str, name: str, profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    assert client.get(f"/give/{name}/").status_code == 200
    copied = key_of(client)
    assert is_in(client)
    assert is_in(client)
    if how == "signs out":
        client.post("/auth/sign-out/")
    elif how == "from elsewhere":
        other.post(f"/devices/{row_of(client).pk}/sign-out/")
    else:
        other.post("/devices/sign-out-others/")
    client.cookies["sessionid"] = copied
    assert not is_in(client)
    assert is_in(other)
    assert "this device" in other.get("/devices/").text


@on(*COOKIE_ENGINES)
def test_a_row_from_before_with_the_very_last_moment(profile: str, ada: User) -> None:
    client = browser(ada)
    SignedInSession.objects.update(expires=FAR["the last"])
    row_of(client).delete()
    assert not is_in(client)
    assert RefusedSession.objects.get().until.year == 9999
