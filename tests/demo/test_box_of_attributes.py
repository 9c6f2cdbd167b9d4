"""What the four questions say of a cookie's attributes, on this machine and elsewhere."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from demo.four_questions.answers import Answers

HTTP_READERS = "Over http, everybody on the way can read the cookie too (no Secure)."
HTTP_EDITORS = "Over http, everybody on the way can change and replace the cookie (no Secure)."
HTTP_REPLACERS = "Over http, everybody on the way can put another cookie in its place (no Secure)."
REPLAY = "An older one can be put back unnoticed while it is valid."
NO_SUBDOMAINS = (
    "An IP address and a name without a dot have no subdomains: the cookie is this host's alone."
)
HTTPS_ONLY = "The cookie travels over https only (Secure)."
ALSO_TO_THIS_MACHINE = (
    "The cookie travels over https only (Secure), but Chrome, Edge and Firefox also send it over "
    "http to this machine itself."
)


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost", ".example.test"]


def box(route: str, host: str = "127.0.0.1", **extra: Any) -> Answers:
    client = Client(headers={"host": host})
    found = client.get(f"/recipes/{route}", **extra).context["answers"]
    assert isinstance(found, Answers)
    return found


@pytest.mark.parametrize(
    ("host", "domain", "is_alone"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost", "localhost", True),
        ("127.0.0.1", "", False),
        ("shop.example.test", "example.test", False),
        ("shop.example.test", "shop.example.test", False),
    ],
)
def test_domain_without_subdomains(host: str, domain: str, is_alone: bool, db: None) -> None:
    about = box(f"cookies/attributes/?domain={domain}", host).about
    assert (NO_SUBDOMAINS in about) == is_alone


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "shop.example.test"])
def test_secure_cookie_goes_over_http_to_this_machine(
    host: str, settings: Settings, db: None
) -> None:
    settings.SESSION_COOKIE_SECURE = True
    expected = HTTPS_ONLY if host == "shop.example.test" else ALSO_TO_THIS_MACHINE
    for route in ("cookies/attributes/?secure=on", "sessions/set-item/"):
        found = box(route, host, secure=True)
        assert expected in found.read
        assert not {HTTP_EDITORS, HTTP_REPLACERS} & set(found.change)


@pytest.mark.parametrize(
    ("route", "changers"),
    [
        ("cookies/set-cookie/", HTTP_EDITORS),
        ("signed/sign/", HTTP_REPLACERS),
        ("auth/cookie-account/", HTTP_REPLACERS),
        ("messages/success/", HTTP_REPLACERS),
        ("sessions/set-item/", HTTP_REPLACERS),
    ],
)
def test_everybody_on_the_way_is_among_readers_and_changers(
    route: str, changers: str, profile: str
) -> None:
    found = box(route)
    assert HTTP_READERS in found.read
    assert changers in found.change


@pytest.mark.parametrize("route", ["signed/sign/", "signed/read/", "auth/cookie-account/"])
def test_older_signed_cookie_can_be_put_back(route: str, db: None) -> None:
    assert REPLAY in box(route).change
    assert REPLAY not in box("cookies/set-cookie/").change


def test_older_session_can_be_put_back(profile: str, client: Client) -> None:
    """Only one that is itself the cookie: a store has the latest data of a key."""
    client.post("/sessions/set-item/", {"value": "red"})
    older = client.cookies["sessionid"].value
    client.post("/sessions/set-item/", {"value": "blue"})
    client.cookies["sessionid"] = older
    is_replayed = client.get("/sessions/get-item/").text == "color is red\n"
    assert (REPLAY in box("sessions/set-item/").change) == is_replayed


def test_older_signed_cookie_is_read(client: Client, db: None) -> None:
    client.get("/signed/sign/?value=red")
    older = client.cookies["color"].value
    client.get("/signed/sign/?value=blue")
    client.cookies["color"] = older
    assert client.get("/signed/read/").text == "color is red\n"
