"""Bound sessions through a switch of engines, in each direction."""

from itertools import permutations

import pytest
import time_machine
from pytest_django import Settings

from cookieproj.devices.bound.admission import GRACE
from cookieproj.profiles import PROFILES
from demo.models import User
from tests.browsers import again

from .bound_device import Device, answer_offer


@pytest.fixture(params=list(permutations(PROFILES, 2)), ids=" to ".join)
def switch(
    request: pytest.FixtureRequest, settings: Settings, empty_stores: None, db: None
) -> tuple[str, str]:
    settings.DEVICES_BOUND = "offer"
    old, new = request.param
    run(settings, old, "")
    return old, new


def run(settings: Settings, engine: str, previous: str) -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{engine}"
    settings.SESSION_HANDOVER_FROM = previous


def test_bound_session_stays_bound(switch: tuple[str, str], ada: User, settings: Settings) -> None:
    old, new = switch
    with time_machine.travel(1_800_000_000) as clock:
        device = Device().bind(ada)
        clock.shift(GRACE + 1)
        thief = device.thief_of_session()
        run(settings, new, old)
        for client in (device, thief):
            client.client = again(client.client)
        assert not thief.is_in
        assert not thief.is_in, "nor under the key that the cookie was exchanged for"
        for _renewal in range(2):
            clock.shift(250)
            assert device.forget_bound_cookie().renew().status_code == 200
            assert device.is_in
        assert not thief.is_in
        assert not device.thief_of_session().is_in


def test_key_is_registered_during_the_switch(
    switch: tuple[str, str], ada: User, settings: Settings
) -> None:
    old, new = switch
    device = Device().sign_in(ada)
    run(settings, new, old)
    device.client = again(device.client)
    assert device.register().status_code == 200
    assert device.is_in
    assert device.forget_bound_cookie().renew().status_code == 200
    assert device.is_in


def test_session_from_before_bindings_is_offered_one_during_the_switch(
    switch: tuple[str, str], ada: User, settings: Settings
) -> None:
    old, new = switch
    settings.DEVICES_BOUND = None
    with time_machine.travel(1_800_000_000) as clock:
        device = Device().sign_in(ada)
        settings.DEVICES_BOUND = "require"
        run(settings, new, old)
        device.client = again(device.client)
        answer_offer(device, clock)
