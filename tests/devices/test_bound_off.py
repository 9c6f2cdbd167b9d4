"""DEVICES_BOUND is turned off, and on again."""

from typing import Any

import pytest
from django.conf import settings as site
from pytest_django import Settings

from cookieproj.devices.bound.admission import GRACE
from cookieproj.devices.bound.registering import recent_offers
from cookieproj.devices.models import SignedInSession
from tests.browsers import again
from tests.conftest import on
from tests.families import SERVER_ENGINES

from .bound_device import BOUND_AGE, Device, answer_offer

ENDS = b'"continue": false'


def turn(policy: str | None, settings: Settings, *devices: Device) -> None:
    """Restart the site with that policy."""
    settings.DEVICES_BOUND = policy
    recent_offers.clear()
    for device in devices:
        device.client = again(device.client)
        device.registration = {}


def test_after_the_setting_is_off_a_renewal_ends_the_binding(
    device: Device, settings: Settings
) -> None:
    turn(None, settings, device)
    assert device.forget_bound_cookie().is_in
    assert device.renew("").status_code == 403, "it asks for a proof"
    assert ENDS in device.renew().content
    assert device.is_in
    [row] = SignedInSession.objects.all()
    assert (row.bound_at, row.bound_by) == (None, "")


@pytest.mark.parametrize("policy", ["offer", "require"])
def test_after_it_is_on_again_another_binding_is_offered(
    policy: str, device: Device, settings: Settings, clock: Any
) -> None:
    turn(None, settings, device)
    assert ENDS in device.forget_bound_cookie().renew().content
    turn(policy, settings, device)
    answer_offer(device, clock)
    [row] = SignedInSession.objects.all()
    assert row.bound_by == "ES256"


def test_session_that_was_not_renewed_meanwhile_is_bound_as_before(
    device: Device, settings: Settings, clock: Any
) -> None:
    turn(None, settings, device)
    clock.shift(BOUND_AGE)
    assert device.forget_bound_cookie().is_in
    turn("offer", settings, device)
    assert not device.thief_of_session().is_in
    device.renew("")
    assert device.renew().status_code == 200
    assert device.is_in


def test_copy_of_the_session_cookie_does_not_unbind_the_session(
    device: Device, settings: Settings, clock: Any
) -> None:
    thief = device.thief_of_session()
    turn(None, settings, device, thief)
    assert thief.is_in
    assert thief.renew("").status_code == 403
    assert ENDS not in thief.renew(thief.proof(thief.challenge, key=Device().key)).content
    turn("offer", settings, device, thief)
    assert not thief.is_in
    assert device.is_in


def test_while_it_is_on_a_proof_does_not_unbind_the_session(device: Device, clock: Any) -> None:
    assert ENDS not in device.forget_bound_cookie().renew().content
    clock.shift(GRACE + 1)
    assert not device.thief_of_session().is_in


@on(*SERVER_ENGINES)
def test_the_end_of_a_binding_is_no_use_of_the_session(
    device: Device, settings: Settings, clock: Any
) -> None:
    [before] = SignedInSession.objects.values_list("expires")
    turn(None, settings, device)
    clock.shift(3600)
    device.renew("")
    response = device.renew()
    assert ENDS in response.content
    assert [before] == list(SignedInSession.objects.values_list("expires"))
    assert site.SESSION_COOKIE_NAME not in response.cookies
    assert device.is_in
