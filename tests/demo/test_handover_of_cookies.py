"""Switches to and from signed cookies: ended sessions stay ended, and no data is lost."""

import copy
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices.models import RefusedSession
from demo.models import User
from tests.browsers import again, browser, is_in
from tests.conftest import on
from tests.engines.handover_switch import Switch
from tests.families import COOKIE_ENGINES, SERVER_ENGINES

pytestmark = pytest.mark.usefixtures("empty_stores", "db")


@pytest.fixture(params=SERVER_ENGINES)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def thief_of(client: Client) -> Client:
    thief = Client()
    thief.cookies = copy.deepcopy(client.cookies)
    return thief


def color(client: Client) -> str:
    return str(client.get("/sessions/get-item/?key=color").text)


def test_sign_out_ends_every_copy_of_cookie(server: str, ada: User, settings: Settings) -> None:
    """Each copy is exchanged for a session of its own."""
    switch = Switch("signed_cookies", server, settings)
    client = browser(ada)
    thief = thief_of(client)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    switch.make()
    client, thief = again(client), again(thief)
    assert is_in(client)
    assert is_in(thief)
    client.post("/auth/sign-out/")
    assert not is_in(client)
    assert not is_in(thief)


@pytest.mark.parametrize("visits", [1, 2])
def test_previous_key_is_invalid_after_sign_out(
    server: str, visits: int, ada: User, settings: Settings
) -> None:
    switch = Switch(server, "signed_cookies", settings)
    client = browser(ada)
    thief = thief_of(client)
    switch.make()
    for _ in range(visits):
        client = again(client)
        assert is_in(client)
    switch.run("signed_cookies", "")
    client = again(client)
    client.post("/auth/sign-out/")
    switch.back()
    assert not is_in(again(thief))


@pytest.mark.parametrize("server", ["db", "file", "cached_db"], indirect=True)
def test_key_becomes_invalid_once_session_is_in_cookie(
    server: str, ada: User, settings: Settings
) -> None:
    switch = Switch(server, "signed_cookies", settings)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = browser(ada)
        thief = thief_of(client)
        switch.make()
        for _ in range(2):
            client = again(client)
            assert is_in(client)
        clock.shift(timedelta(minutes=6))
        switch.run(server, "")
        assert not is_in(again(thief))


def test_data_set_in_cookie_is_kept_when_switching_back(
    server: str, ada: User, settings: Settings
) -> None:
    """The exchange was not settled, as the browser sent only one request in the handover."""
    switch = Switch(server, "signed_cookies", settings)
    client = browser(ada)
    client.post("/sessions/set-item/", {"key": "color", "value": "green"})
    switch.make()
    client = again(client)
    assert is_in(client)
    switch.run("signed_cookies", "")
    client = again(client)
    client.post("/sessions/set-item/", {"key": "color", "value": "red"})
    switch.back()
    client = again(client)
    assert is_in(client)
    assert "red" in color(client)


@on(*COOKIE_ENGINES)
def test_refusal_lasts_as_long_as_copy_with_later_expiry(profile: str, ada: User) -> None:
    client = browser(ada)
    thief = thief_of(client)
    year = timedelta(days=365)
    thief.post("/expiry/in-seconds/", {"seconds": int(year.total_seconds())})
    assert is_in(thief)
    client.post("/auth/sign-out/")
    assert RefusedSession.objects.get().until > timezone.now() + year
    assert not is_in(thief)
