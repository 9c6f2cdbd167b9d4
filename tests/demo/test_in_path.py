"""The recipe with the session's key in the path of the URL."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import signing
from django.test import Client
from pytest_django import Settings

from demo.store_durability import Fate
from tests.conftest import on
from tests.families import IN_COOKIES

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def enabled(settings: Settings) -> None:
    settings.DEMO_SESSION_IN_PATH = True


@pytest.fixture
def client() -> Client:
    """A client without a CSRF token, on a site that checks it."""
    return Client(enforce_csrf_checks=True)


def begin(client: Client) -> str:
    response = client.post("/in-path/begin/")
    assert response.status_code == 302
    return response.headers["Location"]


def test_session_without_cookie_spans_pages(profile: str, client: Client) -> None:
    kitchen = begin(client)
    kitchen = client.post(kitchen).headers["Location"]
    kitchen = client.post(kitchen).headers["Location"]
    page = client.get(kitchen)
    assert "2 biscuits eaten" in page.content.decode()
    assert kitchen.endswith("/kitchen/")
    pantry = client.get(kitchen.replace("kitchen", "pantry"))
    assert "2 biscuits eaten" in pantry.content.decode()
    assert not client.cookies


def test_responses_hide_referrer_and_are_not_cached(profile: str, client: Client) -> None:
    kitchen = begin(client)
    for response in (client.post("/in-path/begin/"), client.get(kitchen), client.post(kitchen)):
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in response.headers["Cache-Control"]


def test_page_warns_that_url_gives_access(profile: str, client: Client) -> None:
    assert (
        "Anybody who sees the address can use the session"
        in client.get(begin(client)).content.decode()
    )


@pytest.mark.parametrize("token", ["x", "../../x", "a" * 10_000])
def test_invalid_token_is_refused(token: str, client: Client) -> None:
    response = client.get(f"/in-path/{token}/kitchen/")
    assert response.status_code in (400, 404)


def test_token_with_another_salt_is_refused(db: None, client: Client) -> None:
    token = signing.dumps("q1w2e3r4t5y6u7i8", salt="another")
    assert client.get(f"/in-path/{token}/kitchen/").status_code == 400


def test_token_expires_after_twenty_minutes(profile: str, client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        kitchen = begin(client)
    with time_machine.travel(NOW + timedelta(minutes=20), tick=False):
        assert client.get(kitchen).status_code == 200
    with time_machine.travel(NOW + timedelta(minutes=20, seconds=1), tick=False):
        response = client.get(kitchen)
        assert response.status_code == 400
        assert "This address is no longer valid" in response.content.decode()


def test_pages_are_not_found_if_setting_is_off(
    profile: str, settings: Settings, client: Client
) -> None:
    kitchen = begin(client)
    settings.DEMO_SESSION_IN_PATH = False
    assert client.post("/in-path/begin/").status_code == 404
    assert client.get(kitchen).status_code == 404


@on("db", "signed_cookies")
def test_box_says_when_address_and_session_end(profile: str, client: Client) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        kitchen = client.post(begin(client)).headers["Location"]
        found = client.get("/recipes/in-path/begin/").context["answers"]
        assert found.end == [
            "Each address is valid for 20 minutes, and every page links to a new one.",
            "The session ends 20 minutes after its last change.",
        ]
        fates = {event.what: event.fate for event in found.events}
        assert fates["closing the window: the history has the address"] == Fate.KEPT
        clock.shift(timedelta(minutes=19))
        another_window = Client().get(kitchen)
        assert "1 biscuit eaten" in another_window.text
        pantry = re.search(r'href="(/in-path/[^"]+/pantry/)"', another_window.text)
        assert pantry
        clock.shift(timedelta(minutes=2))
        assert client.get(kitchen).status_code == 400
        # A page that only reads makes a new link and does not renew the session.
        assert "0 biscuits eaten" in client.get(pantry[1]).text


def test_box_of_the_address(profile: str, client: Client, settings: Settings) -> None:
    settings.DEBUG = True
    found: Any = client.get("/recipes/in-path/begin/").context["answers"]
    address = begin(client)
    # Whoever has the address changes the session by the site's own form.
    assert "Whoever has the address can change it through this site." in found.change
    assert Client().post(address).status_code == 302
    is_in_address = profile in IN_COOKIES
    older = Client().get(address).text
    assert ("0 biscuits eaten" in older) == is_in_address
    assert (
        "An older address leads to older data, while it is valid." in found.change
    ) == is_in_address
    assert "Over http, everybody on the way sees it too." in found.read
    readers = [text for text in found.read if text.startswith("Whoever can read the store")]
    assert len(readers) == (not is_in_address)
    in_clear = "The session is in the address, signed but not encrypted."
    assert (in_clear in found.read) == (profile == "signed_cookies")
    secure: Any = client.get("/recipes/in-path/begin/", secure=True).context["answers"]
    assert "Over http, everybody on the way sees it too." not in secure.read
