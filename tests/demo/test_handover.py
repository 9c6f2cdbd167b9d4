"""A switch of engines as the site's users and operators see it, for each pair of engines."""

import copy
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from demo.models import User
from tests.browsers import IPHONE, again, browser, is_in, row_of
from tests.engines.handover_switch import PAIRS, Switch
from tests.families import IN_COOKIES

SIGN_OUT_OTHERS = "/devices/sign-out-others/"


@pytest.fixture(params=PAIRS, ids=" to ".join)
def switch(
    request: pytest.FixtureRequest, settings: Settings, empty_stores: None, db: None
) -> Switch:
    old, new = request.param
    return Switch(old, new, settings)


def thief_of(client: Client) -> Client:
    """Return a client with a copy of the cookies."""
    thief = again(client)
    thief.cookies = copy.deepcopy(client.cookies)
    assert is_in(thief) == is_in(client)
    return thief


def test_switch_keeps_users_signed_in_with_their_data(switch: Switch, ada: User) -> None:
    client = browser(ada)
    client.post("/expiry/in-seconds/", {"seconds": "5000"})
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    before = client.session.items()
    assert (client.session["color"], client.session["_session_expiry"]) == ("blue", 5000)
    switch.make()
    client = again(client)
    assert is_in(client)
    assert is_in(client)
    switch.run(switch.new, "")
    client = again(client)
    assert is_in(client)
    assert client.session.items() >= before


def test_switch_keeps_registry_row(switch: Switch, ada: User) -> None:
    client = browser(ada)
    row = row_of(client)
    switch.make()
    client = again(client)
    assert "this device" in client.get("/devices/").content.decode()
    after = SignedInSession.objects.get()
    assert after.pk == row.pk
    assert after.engine == switch.new
    assert bool(after.session_key) == (switch.new not in IN_COOKIES)
    assert abs(after.expires - row.expires) < timedelta(seconds=5)


def test_device_not_seen_since_switch_is_listed_and_signed_out(switch: Switch, ada: User) -> None:
    client, phone = browser(ada), browser(ada, IPHONE)
    thief = thief_of(phone)
    switch.make()
    client, phone, thief = again(client), again(phone), again(thief)
    page = client.get("/devices/").content.decode()
    assert "Mobile Safari on iOS" in page
    client.post(f"/devices/{row_by_system('iOS').pk}/sign-out/")
    assert not is_in(phone)
    assert not is_in(thief)
    assert is_in(client)


def test_sign_out_of_others_ends_device_not_seen_since_switch(switch: Switch, ada: User) -> None:
    client, phone = browser(ada), browser(ada, IPHONE)
    switch.make()
    client, phone = again(client), again(phone)
    client.post(SIGN_OUT_OTHERS)
    assert not is_in(phone)
    assert is_in(client)
    assert [row.system for row in SignedInSession.objects.all()] == ["Linux"]


def row_by_system(system: str) -> SignedInSession:
    return SignedInSession.objects.get(system=system)


@pytest.mark.parametrize("seen_since", [True, False])
def test_deleting_row_ends_session_on_both_engines(
    switch: Switch, ada: User, seen_since: bool
) -> None:
    client = browser(ada)
    thief = thief_of(client)
    switch.make()
    client, thief = again(client), again(thief)
    if seen_since:
        assert is_in(client)
        assert is_in(client)
    SignedInSession.objects.all().delete()
    assert not is_in(client)
    assert not is_in(thief)


def test_sign_out_ends_session_on_both_engines(switch: Switch, ada: User) -> None:
    client = browser(ada)
    thief = thief_of(client)
    switch.make()
    client, thief = again(client), again(thief)
    client.post("/auth/sign-out/")
    assert not is_in(client)
    assert not is_in(thief)
    assert not SignedInSession.objects.exists()
    switch.back()
    assert not is_in(again(thief))


def test_signout_command_ends_sessions_on_both_engines(switch: Switch, ada: User) -> None:
    clients = [browser(ada), browser(ada)]
    switch.make()
    clients = [again(client) for client in clients]
    assert is_in(clients[0])
    call_command("signout", "ada", verbosity=0)
    assert not any(map(is_in, clients))


def test_clearsessions_keeps_row_of_session_not_moved_yet(switch: Switch, ada: User) -> None:
    browser(ada)
    switch.make()
    call_command("clearsessions")
    assert SignedInSession.objects.count() == 1


def test_sign_in_keeps_data_of_anonymous_session_and_ends_its_copy(
    switch: Switch, ada: User
) -> None:
    client = browser()
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    thief = thief_of(client)
    switch.make()
    client, thief = again(client), again(thief)
    client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    assert is_in(client)
    assert b"blue" in client.get("/sessions/items/").content
    assert not is_in(thief)
    assert b"blue" not in thief.get("/sessions/items/").content
