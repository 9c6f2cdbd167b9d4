"""A switch of engines as the site's users and operators see it, for all twenty."""

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

OTHERS = "/devices/sign-out-others/"


@pytest.fixture(params=PAIRS, ids=" to ".join)
def switch(
    request: pytest.FixtureRequest, settings: Settings, empty_stores: None, db: None
) -> Switch:
    old, new = request.param
    return Switch(old, new, settings)


def copied(client: Client) -> Client:
    """Somebody who has its cookies too."""
    other = again(client)
    other.cookies = copy.deepcopy(client.cookies)
    assert is_in(other) == is_in(client)
    return other


def test_who_is_signed_in_stays_so_with_the_same_data(switch: Switch, ada: User) -> None:
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


def test_the_index_follows(switch: Switch, ada: User) -> None:
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


def test_devices_that_have_not_come_back_yet_are_listed_and_ended(
    switch: Switch, ada: User
) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    thief = copied(other)
    switch.make()
    client, other, thief = again(client), again(other), again(thief)
    page = client.get("/devices/").content.decode()
    assert "Mobile Safari on iOS" in page
    client.post(f"/devices/{row_of_agent('iOS').pk}/sign-out/")
    assert not is_in(other)
    assert not is_in(thief)
    assert is_in(client)


def test_signing_out_all_others_ends_those_that_have_not_come_back(
    switch: Switch, ada: User
) -> None:
    client, other = browser(ada), browser(ada, IPHONE)
    switch.make()
    client, other = again(client), again(other)
    client.post(OTHERS)
    assert not is_in(other)
    assert is_in(client)
    assert [row.system for row in SignedInSession.objects.all()] == ["Linux"]


def row_of_agent(system: str) -> SignedInSession:
    return SignedInSession.objects.get(system=system)


@pytest.mark.parametrize("came_back", [True, False])
def test_deleting_a_row_ends_it_in_both(switch: Switch, ada: User, came_back: bool) -> None:
    client = browser(ada)
    thief = copied(client)
    switch.make()
    client, thief = again(client), again(thief)
    if came_back:
        assert is_in(client)
        assert is_in(client)
    SignedInSession.objects.all().delete()
    assert not is_in(client)
    assert not is_in(thief)


def test_sign_out_ends_it_in_both(switch: Switch, ada: User) -> None:
    client = browser(ada)
    thief = copied(client)
    switch.make()
    client, thief = again(client), again(thief)
    client.post("/auth/sign-out/")
    assert not is_in(client)
    assert not is_in(thief)
    assert not SignedInSession.objects.exists()
    switch.back()
    assert not is_in(again(thief))


def test_sign_out_everywhere(switch: Switch, ada: User) -> None:
    clients = [browser(ada), browser(ada)]
    switch.make()
    clients = [again(client) for client in clients]
    assert is_in(clients[0])
    call_command("signout", "ada", verbosity=0)
    assert not any(map(is_in, clients))


def test_clearing_forgets_no_session_that_has_not_come_back(switch: Switch, ada: User) -> None:
    browser(ada)
    switch.make()
    call_command("clearsessions")
    assert SignedInSession.objects.count() == 1


def test_a_sign_in_over_an_anonymous_session(switch: Switch, ada: User) -> None:
    client = browser()
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    thief = copied(client)
    switch.make()
    client, thief = again(client), again(thief)
    client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    assert is_in(client)
    assert b"blue" in client.get("/sessions/items/").content
    assert not is_in(thief)
    assert b"blue" not in thief.get("/sessions/items/").content
