"""Sessions that are bound to their device: what the browser with the key sees, and the others."""

import json
from typing import Any

import pytest
from django.conf import settings as site
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from cookieproj.devices.bound import headers
from cookieproj.devices.bound.admission import GRACE, REGISTRATION_TIME
from cookieproj.devices.bound.binding import binding_of
from cookieproj.devices.bound.bound_cookie import LEEWAY, cookie_name
from cookieproj.devices.models import SignedInSession
from cookieproj.engines.round_trips import count_round_trips
from demo.models import User
from tests.browsers import browser, is_in, key_of
from tests.engines.stopped_clock import stopped_clock

from .bound_device import BOUND_AGE, Device

pytestmark = pytest.mark.usefixtures("bound")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob", password="cookies")


def test_sign_in_offers_a_binding(ada: User) -> None:
    device = Device().sign_in(ada)
    assert device.registration["path"] == "/devices/bound/register/"
    assert not device.has_bound_cookie
    assert device.is_in


def test_registration_sets_a_bound_cookie_and_says_when_to_renew_it(ada: User) -> None:
    device = Device().sign_in(ada)
    response = device.register()
    told = json.loads(response.content)
    [credential] = told.pop("credentials")
    assert told == {
        "session_identifier": told["session_identifier"],
        "refresh_url": "/devices/bound/renew/",
        "scope": {"origin": "https://testserver", "include_site": False},
    }
    cookie = response.cookies["__Host-bound_session"]
    assert credential == {
        "type": "cookie",
        "name": "__Host-bound_session",
        "attributes": "Path=/; SameSite=Lax; Secure; HttpOnly",
    }
    assert (cookie["max-age"], cookie["secure"], cookie["httponly"]) == (BOUND_AGE, True, True)
    assert headers.CHALLENGE in response.headers


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_bound_session_opens_with_its_cookie_and_is_renewed(
    algorithm: str, clock: Any, ada: User
) -> None:
    device = Device(algorithm).bind(ada)
    for _renewal in range(3):
        clock.shift(BOUND_AGE)
        device.forget_bound_cookie()
        assert device.renew().status_code == 200
        assert device.has_bound_cookie
        assert device.is_in


def test_copied_session_cookie_opens_nothing(device: Device) -> None:
    thief = device.thief_of_session()
    assert not thief.is_in
    assert site.SESSION_COOKIE_NAME in thief.client.cookies, "its cookie stays as it is"
    assert device.is_in


def test_copied_cookies_open_nothing_when_the_bound_one_has_expired(
    device: Device, clock: Any
) -> None:
    thief = device.thief()
    assert thief.is_in
    clock.shift(BOUND_AGE + LEEWAY)
    assert not thief.is_in
    assert thief.renew(thief.proof(thief.challenge)).status_code == 403
    assert not thief.is_in
    device.forget_bound_cookie()
    assert device.renew().status_code == 200
    assert device.is_in


def test_refused_request_leaves_the_session_as_it_is(device: Device) -> None:
    """Also a sign-out, and a change of the session."""
    thief = device.thief_of_session()
    thief.post("/devices/sign-out/")
    thief.post("/auth/sign-out/")
    thief.get("/lifecycle/flush/")
    thief.post("/lifecycle/flush/")
    thief.post("/reading/color/", {"color": "red"})
    assert device.is_in
    assert SignedInSession.objects.count() == 1


def test_refused_request_does_not_touch_the_row(device: Device, clock: Any) -> None:
    [row] = SignedInSession.objects.all()
    clock.shift(3600)
    device.thief_of_session().get()
    device.thief_of_session().renew("")
    device.thief_of_session().renew("nonsense")
    [same] = SignedInSession.objects.all()
    assert (same.last_seen, same.address) == (row.last_seen, row.address)


def test_requests_that_were_on_their_way_open_it_for_a_moment(clock: Any, ada: User) -> None:
    device = Device().bind(ada)
    late = device.thief_of_session()
    assert late.is_in
    clock.shift(GRACE + 1)
    assert not late.is_in


def test_lost_answer_to_the_registration_signs_nobody_out(clock: Any, ada: User) -> None:
    device = Device().sign_in(ada).lose_answer_to_registration()
    clock.shift(3600)
    assert device.is_in
    device.bind(ada)
    clock.shift(GRACE + 1)
    assert device.is_in
    assert not device.thief_of_session().is_in


def test_same_key_may_be_registered_again(ada: User) -> None:
    device = Device().sign_in(ada).lose_answer_to_registration()
    assert device.register().status_code == 200
    assert device.is_in


def test_browser_without_bindings_goes_on_as_before(clock: Any, ada: User) -> None:
    client = browser(ada)
    clock.shift(3600)
    assert is_in(client)


def test_nothing_is_offered_over_http_or_without_the_setting(ada: User, settings: Settings) -> None:
    form = {"username": "ada", "password": "cookies"}
    response = Client().post("/auth/sign-in/", form)
    assert headers.REGISTRATION not in response.headers
    settings.DEVICES_BOUND = None
    device = Device().sign_in(ada)
    assert not device.registration
    assert binding_of(device.client.session) is None


def test_row_says_since_when_and_by_which_key(device: Device, ada: User) -> None:
    [row] = SignedInSession.objects.all()
    assert row.bound_at is not None
    assert row.bound_at.timestamp() == pytest.approx(1_800_000_000, abs=2)
    assert row.bound_by == "ES256"
    assert "Bound to the device" in device.get("/devices/").content.decode()
    assert Device().sign_in(ada).registration
    assert [row.bound_by for row in SignedInSession.objects.order_by("bound_by")] == ["", "ES256"]


def test_signing_in_again_in_the_bound_session_keeps_the_binding(device: Device, ada: User) -> None:
    device.registration = {}
    device.sign_in(ada)
    assert not device.registration
    assert device.is_in
    assert not device.thief_of_session().is_in
    assert device.forget_bound_cookie().renew().status_code == 200


def test_another_user_in_the_same_browser_gets_another_binding(
    device: Device, clock: Any, bob: User
) -> None:
    first = device.told
    device.sign_in(bob)
    assert json.loads(device.renew().content) == {
        "session_identifier": first["session_identifier"],
        "continue": False,
    }
    device.register()
    assert device.told["session_identifier"] != first["session_identifier"]
    assert device.is_in
    clock.shift(GRACE + 1)
    assert not device.thief_of_session().is_in


def ended(device: Device) -> bool:
    response = device.forget_bound_cookie().renew()
    told = {"session_identifier": device.told["session_identifier"], "continue": False}
    return json.loads(response.content) == told and not device.has_bound_cookie


def test_sign_out_ends_the_binding(device: Device) -> None:
    device.post("/devices/sign-out/")
    assert ended(device)


def test_session_signed_out_from_elsewhere_is_not_renewed(device: Device, ada: User) -> None:
    other = Device().sign_in(ada)
    other.post("/devices/sign-out-others/")
    assert ended(device)


def test_single_session_signed_out_from_elsewhere_is_not_renewed(device: Device) -> None:
    [row] = SignedInSession.objects.all()
    row.delete()
    assert ended(device)


def test_new_password_ends_the_binding(device: Device, ada: User) -> None:
    ada.set_password("another")
    ada.save()
    assert ended(device)


def test_session_that_has_timed_out_is_not_renewed(
    ada: User, store: type[SessionBase], settings: Settings
) -> None:
    """A renewal is no activity."""
    settings.SESSION_IDLE_AGE = 1000
    with stopped_clock(store) as clock:
        device = Device().bind(ada)
        for _renewal in range(3):
            clock.move(299, key_of(device.client))
            assert device.forget_bound_cookie().renew().status_code == 200
        clock.move(200, key_of(device.client))
        assert ended(device)


class TestSkipped:
    def test_browser_that_could_not_renew_is_told_to_try_again(self, device: Device) -> None:
        device.forget_bound_cookie()
        response = device.get(secure_session_skipped="unreachable")
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert site.SESSION_COOKIE_NAME not in response.cookies
        assert device.renew().status_code == 200
        assert device.is_in


class TestRequired:
    @pytest.fixture(autouse=True)
    def required(self, bound: None, settings: Settings) -> None:
        settings.DEVICES_BOUND = "require"

    def test_browser_without_bindings_is_signed_out_with_a_word(
        self, clock: Any, ada: User
    ) -> None:
        client = browser(ada)
        assert is_in(client)
        clock.shift(REGISTRATION_TIME + 1)
        response = client.get("/auth/account/")
        assert response.status_code == 403
        assert "needs a browser that binds a session to its device" in response.content.decode()
        assert not SignedInSession.objects.exists()
        assert client.get("/auth/account/").status_code == 302

    def test_bound_browser_stays(self, device: Device, clock: Any) -> None:
        clock.shift(REGISTRATION_TIME)
        assert device.is_in

    def test_function_decides_by_user(
        self, clock: Any, ada: User, bob: User, settings: Settings
    ) -> None:
        settings.DEVICES_BOUND = lambda user: "require" if user == ada else None
        clients = browser(ada), browser(bob)
        clock.shift(REGISTRATION_TIME + 1)
        assert [is_in(client) for client in clients] == [False, True]


def test_cookie_of_another_binding_is_deleted(device: Device, ada: User, clock: Any) -> None:
    other = Device().bind(ada)
    clock.shift(GRACE + 1)
    device.client.cookies[cookie_name()] = other.client.cookies[cookie_name()].value
    response = device.get()
    assert response.status_code == 302
    assert response.cookies[cookie_name()]["max-age"] == 0
    assert device.renew().status_code == 200
    assert device.is_in


def test_good_bound_cookie_costs_no_round_trip_and_no_query(
    clock: Any, ada: User, settings: Settings
) -> None:
    def cost(device: Device) -> tuple[int, int]:
        assert device.is_in
        with count_round_trips() as trips, CaptureQueriesContext(connection) as queries:
            assert device.is_in
        return trips.number, len(queries)

    bound = cost(Device().bind(ada))
    settings.DEVICES_BOUND = None
    assert bound == cost(Device().sign_in(ada))


def test_other_claims_of_a_browser_do_not_matter(device: Device) -> None:
    claims = {"aud": "https://testserver/", "iat": 4_000_000_000, "nbf": 4_000_000_000, "exp": 1}
    proof = device.proof(device.challenge, claims=claims | {"sub": 1, "iss": "me"})
    assert device.forget_bound_cookie().renew(proof).status_code == 200
