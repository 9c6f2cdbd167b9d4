"""Sessions that have to be bound, with a key but without a bound cookie yet."""

from typing import Any

import pytest
from django.conf import settings as site
from pytest_django import Settings

from cookieproj.devices.bound.admission import REGISTRATION_TIME
from demo.models import User
from tests.conftest import on
from tests.families import COOKIE_ENGINES, SERVER_ENGINES

from .bound_device import BOUND_AGE, Device

# What Chromium sends with a link of another site.
CROSS_SITE = {"sec_fetch_mode": "navigate", "sec_fetch_site": "cross-site"}


@pytest.fixture(autouse=True)
def required(bound: None, settings: Settings) -> None:
    settings.DEVICES_BOUND = "require"


def test_required_session_with_a_key_is_not_ended(clock: Any, ada: User) -> None:
    """The browser has registered its key, and sends no other request for a while."""
    device = Device().sign_in(ada)
    device.register()
    thief = device.thief_of_session()
    clock.shift(REGISTRATION_TIME + BOUND_AGE + 1)
    assert not thief.is_in
    device.forget_bound_cookie()
    assert device.get(secure_session_skipped="server_error").status_code == 503
    assert device.renew().status_code == 200
    assert device.is_in


class TestLostAnswerToTheRegistration:
    @pytest.fixture
    def device(self, clock: Any, ada: User) -> Device:
        device = Device().sign_in(ada).lose_answer_to_registration()
        clock.shift(REGISTRATION_TIME + 1)
        return device

    def test_page_says_why_it_is_signed_out(self, device: Device, ada: User) -> None:
        response = device.get()
        assert response.status_code == 403
        assert "needs a browser that binds a session" in response.content.decode()
        assert device.get("/auth/sign-in/").status_code == 200
        assert device.bind(ada).is_in

    def test_page_of_a_copy_does_not_sign_out_the_browser(self, device: Device) -> None:
        assert device.thief_of_session().get().status_code == 403
        device.renew("")
        assert device.renew().status_code == 200
        assert device.is_in

    def test_browser_that_renews_is_not_signed_out(self, device: Device) -> None:
        assert device.get(**CROSS_SITE).status_code == 200
        assert device.get(secure_session_skipped="unreachable").status_code == 503
        device.renew("")
        assert device.renew().status_code == 200
        assert device.is_in


@on(*SERVER_ENGINES)
def test_request_from_before_the_answer_to_a_late_registration_signs_nobody_out(
    clock: Any, ada: User
) -> None:
    device = Device().sign_in(ada)
    clock.shift(REGISTRATION_TIME - 1)
    tab = device.thief_of_session()
    assert device.register().status_code == 200
    clock.shift(2)
    response = tab.get()
    assert response.status_code == 302
    assert site.SESSION_COOKIE_NAME not in response.cookies
    assert device.is_in


@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("seconds", [REGISTRATION_TIME + 1, 3 * 3600])
def test_copy_from_before_the_registration_does_not_end_a_session_that_had_to_be_bound(
    seconds: int, clock: Any, ada: User
) -> None:
    device = Device().sign_in(ada)
    thief = device.thief_of_session()
    device.register()
    assert device.is_in
    clock.shift(seconds)
    assert not thief.is_in
    device.forget_bound_cookie().renew("")
    assert device.renew().status_code == 200
    assert device.is_in
