"""A session whose key travels in the path."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import signing
from django.test import Client
from pytest_django import Settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def is_on(settings: Settings) -> None:
    settings.DEMO_SESSION_IN_PATH = True


@pytest.fixture
def client() -> Client:
    """A browser that takes no cookies, and a site that wants its CSRF token."""
    return Client(enforce_csrf_checks=True)


def address(client: Client) -> str:
    response = client.post("/in-path/begin/")
    assert response.status_code == 302
    return response.headers["Location"]


def test_from_page_to_page_without_a_cookie(profile: str, client: Client) -> None:
    kitchen = address(client)
    kitchen = client.post(kitchen).headers["Location"]
    kitchen = client.post(kitchen).headers["Location"]
    page = client.get(kitchen)
    assert "2 biscuits eaten" in page.content.decode()
    assert kitchen.endswith("/kitchen/")
    pantry = client.get(kitchen.replace("kitchen", "pantry"))
    assert "2 biscuits eaten" in pantry.content.decode()
    assert not client.cookies


def test_no_other_site_learns_the_address(profile: str, client: Client) -> None:
    kitchen = address(client)
    for response in (client.post("/in-path/begin/"), client.get(kitchen), client.post(kitchen)):
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in response.headers["Cache-Control"]


def test_the_page_warns(profile: str, client: Client) -> None:
    assert (
        "Anybody who sees the address can use the session"
        in client.get(address(client)).content.decode()
    )


@pytest.mark.parametrize("token", ["x", "../../x", "a" * 10_000])
def test_an_address_that_this_site_did_not_sign(token: str, client: Client) -> None:
    response = client.get(f"/in-path/{token}/kitchen/")
    assert response.status_code in (400, 404)


def test_a_token_signed_for_something_else(db: None, client: Client) -> None:
    token = signing.dumps("q1w2e3r4t5y6u7i8", salt="another")
    assert client.get(f"/in-path/{token}/kitchen/").status_code == 400


def test_it_is_over_after_twenty_minutes(profile: str, client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        kitchen = address(client)
    with time_machine.travel(NOW + timedelta(minutes=20), tick=False):
        assert client.get(kitchen).status_code == 200
    with time_machine.travel(NOW + timedelta(minutes=20, seconds=1), tick=False):
        response = client.get(kitchen)
        assert response.status_code == 400
        assert "This address is no longer valid" in response.content.decode()


def test_it_is_off_unless_turned_on(profile: str, settings: Settings, client: Client) -> None:
    kitchen = address(client)
    settings.DEMO_SESSION_IN_PATH = False
    assert client.post("/in-path/begin/").status_code == 404
    assert client.get(kitchen).status_code == 404
