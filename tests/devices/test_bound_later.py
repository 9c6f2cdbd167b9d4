"""Sessions that signed in before they were to be bound: they are offered a binding later."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as site
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from pytest_django import Settings

from cookieproj.devices.bound import headers
from cookieproj.devices.bound.admission import GRACE, REGISTRATION_TIME
from cookieproj.devices.bound.binding import Binding, binding_of
from cookieproj.devices.bound.registering import OFFER_INTERVAL, put_offer
from cookieproj.devices.models import SignedInSession
from cookieproj.engines.round_trips import count_round_trips
from demo.models import User
from tests.browsers import browser, key_of
from tests.conftest import on
from tests.families import SERVER_ENGINES

from .bound_device import Device, answer_offer

NEEDS_A_KEY = "needs a browser that binds a session to its device"


async def name_of_user(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return HttpResponse(user.get_username())


def reads_no_user(request: HttpRequest) -> HttpResponse:
    return HttpResponse(" ".join(request.session.keys()))


urlpatterns = [
    path("name/", name_of_user),
    path("reads-no-user/", reads_no_user),
    path("", include("cookieproj.urls")),
]

pytestmark = [pytest.mark.urls(__name__), pytest.mark.usefixtures("profile", "clock")]


@pytest.fixture
def device(profile: str, ada: User, settings: Settings) -> Device:
    """A device that has signed in without DEVICES_BOUND."""
    settings.DEVICES_BOUND = None
    return Device().sign_in(ada)


@pytest.fixture
def over_http(device: Device) -> Client:
    """The same browser, on a site that it may reach over http too."""
    client = Client()
    client.cookies = device.client.cookies
    return client


@pytest.mark.parametrize("policy", ["offer", "require"])
def test_next_response_offers_a_binding(
    policy: str, device: Device, clock: Any, settings: Settings
) -> None:
    settings.DEVICES_BOUND = policy
    answer_offer(device, clock)
    assert device.forget_bound_cookie().renew().status_code == 200
    assert device.is_in
    [row] = SignedInSession.objects.all()
    assert row.bound_by == "ES256"


def test_session_that_must_be_bound_ends_after_half_a_minute(
    device: Device, clock: Any, settings: Settings
) -> None:
    settings.DEVICES_BOUND = "require"
    clock.shift(3600)
    assert device.is_in
    clock.shift(REGISTRATION_TIME - 5)
    assert device.is_in
    clock.shift(10)
    response = device.get()
    assert response.status_code == 403
    assert NEEDS_A_KEY in response.content.decode()
    assert not SignedInSession.objects.exists()


@pytest.mark.parametrize("policy", ["offer", "require"])
def test_request_over_http_does_not_use_the_offer_up(
    policy: str, device: Device, over_http: Client, clock: Any, settings: Settings
) -> None:
    settings.DEVICES_BOUND = policy
    for _visit in range(2):
        response = over_http.get("/auth/account/")
        assert response.status_code == 200
        assert headers.REGISTRATION not in response.headers
        clock.shift(REGISTRATION_TIME + 1)
    assert binding_of(over_http.session) is None
    assert device.is_in
    assert device.register().status_code == 200
    assert device.is_in


def test_neither_does_a_sign_in_over_http(ada: User, profile: str, settings: Settings) -> None:
    settings.DEVICES_BOUND = "offer"
    client = browser(ada)
    assert binding_of(client.session) is None
    device = Device()
    device.client.cookies = client.cookies
    assert device.is_in
    assert device.register().status_code == 200


def test_browser_that_does_not_answer_is_asked_once(
    device: Device, clock: Any, settings: Settings
) -> None:
    settings.DEVICES_BOUND = "offer"
    assert device.is_in
    assert device.registration
    device.registration = {}
    for _visit in range(3):
        assert device.is_in
        clock.shift(OFFER_INTERVAL + 1)
    assert not device.registration


def test_it_is_asked_once_more_when_it_must_answer(
    device: Device, clock: Any, settings: Settings
) -> None:
    settings.DEVICES_BOUND = "offer"
    assert device.is_in
    clock.shift(OFFER_INTERVAL + 1)
    settings.DEVICES_BOUND = "require"
    offered = device.registration
    assert device.is_in
    assert device.registration != offered
    assert device.register().status_code == 200
    assert device.is_in


def test_session_that_was_offered_one_at_its_sign_in_must_answer(
    ada: User, clock: Any, settings: Settings
) -> None:
    settings.DEVICES_BOUND = "offer"
    device = Device().sign_in(ada)
    clock.shift(OFFER_INTERVAL + 1)
    settings.DEVICES_BOUND = "require"
    assert device.is_in
    clock.shift(REGISTRATION_TIME + 1)
    assert NEEDS_A_KEY in device.get().content.decode()


def test_function_decides_by_user_and_is_not_asked_each_time(
    device: Device, clock: Any, settings: Settings
) -> None:
    asked: list[str] = []

    def policy(user: User) -> str | None:
        asked.append(user.username)
        return "require" if user.is_staff else None

    settings.DEVICES_BOUND = policy
    for _visit in range(5):
        assert device.is_in
    assert asked == ["ada"]
    assert not device.registration
    User.objects.update(is_staff=True)
    clock.shift(OFFER_INTERVAL + 1)
    assert device.is_in
    assert device.registration
    clock.shift(REGISTRATION_TIME + 1)
    assert not device.is_in


def test_offer_does_not_read_the_user(device: Device, settings: Settings) -> None:
    settings.DEVICES_BOUND = "offer"
    with CaptureQueriesContext(connection) as queries:
        assert device.get("/reads-no-user/").status_code == 200
    assert not [query for query in queries if User._meta.db_table in query["sql"]]
    assert not device.registration
    assert device.is_in
    assert device.registration


def test_session_that_has_been_asked_costs_nothing_more(device: Device, settings: Settings) -> None:
    def cost() -> tuple[int, int]:
        assert device.is_in
        with count_round_trips() as trips, CaptureQueriesContext(connection) as queries:
            assert device.is_in
        return trips.number, len(queries)

    without = cost()
    settings.DEVICES_BOUND = "offer"
    assert cost() == without
    assert device.registration


@on(*SERVER_ENGINES)
def test_offer_moves_no_expiry_and_sets_no_cookie(
    device: Device, clock: Any, settings: Settings, store: Any
) -> None:
    before = store(key_of(device.client))
    assert before.items()
    clock.shift(3600)
    settings.DEVICES_BOUND = "offer"
    response = device.get()
    assert device.registration
    assert site.SESSION_COOKIE_NAME not in response.cookies
    after = store(key_of(device.client))
    assert binding_of(after)
    if expiry := before.stored_expiry():
        assert abs((after.stored_expiry() - expiry).total_seconds()) < 2


@on(*SERVER_ENGINES)
def test_one_of_two_concurrent_requests_makes_the_offer(device: Device, store: Any) -> None:
    first, second = (store(key_of(device.client)) for _request in range(2))
    assert first.items()
    assert second.items()
    offers = [Binding.new(is_required=True) for _request in range(2)]
    made = [put_offer(first, None, offers[0]), put_offer(second, None, offers[1])]
    assert made == [True, False]
    assert binding_of(store(key_of(device.client))) == offers[0]


@pytest.mark.django_db(transaction=True)
def test_async_view_offers_it_too(device: Device, clock: Any, settings: Settings) -> None:
    settings.DEVICES_BOUND = "offer"
    client = AsyncClient()
    client.cookies = device.client.cookies
    get: Any = async_to_sync(client.get)
    response = get("/name/", secure=True)
    assert response.content == b"ada"
    device._keep(response)
    assert device.register().status_code == 200
    assert device.is_in
    clock.shift(GRACE + 1)
    assert not device.thief_of_session().is_in
