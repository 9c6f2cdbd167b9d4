"""A site with Channels: the user of a websocket whose session is bound."""

from typing import Any

import pytest
from channels.auth import AuthMiddleware  # type: ignore[import-untyped]
from channels.sessions import CookieMiddleware, SessionMiddleware  # type: ignore[import-untyped]
from pytest_django import Settings

from cookieproj.devices.bound.channels import BoundSessionsMiddleware
from demo.models import User
from tests.demo.test_channels import websocket_user

from .bound_device import Device

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bound")]


def stack(inner: Any) -> Any:
    return CookieMiddleware(SessionMiddleware(BoundSessionsMiddleware(AuthMiddleware(inner))))


def user_of(device: Device) -> str:
    return websocket_user(device.client, stack)


def test_copied_session_cookie_opens_no_websocket_of_its_user(device: Device) -> None:
    assert user_of(device) == "ada"
    assert user_of(device.thief_of_session()) == "nobody"
    assert device.is_in


def test_expired_bound_cookie_is_renewed_before(device: Device) -> None:
    assert user_of(device.forget_bound_cookie()) == "nobody"
    assert device.renew().status_code == 200
    assert user_of(device) == "ada"


def test_session_that_is_not_bound_has_its_user(ada: User, settings: Settings) -> None:
    device = Device().sign_in(ada)
    assert user_of(device) == "ada"
    assert user_of(Device()) == "nobody"


def test_switched_off_it_asks_for_nothing(device: Device, settings: Settings) -> None:
    settings.DEVICES_BOUND = None
    assert user_of(device.thief_of_session()) == "ada"
