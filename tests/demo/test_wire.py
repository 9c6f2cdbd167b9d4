"""What the server tells this site's pages of the lines that crossed the wire."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from demo import wire
from demo.models import User

RUN = "0123456789abcdef" * 2


@pytest.fixture
def asking(settings: Settings, db: None) -> Client:
    """A browser whose page asks for the lines, on a site in development."""
    settings.DEBUG = True
    return Client(headers={"Wire": RUN})


def told(response: Any) -> list[dict[str, Any]]:
    exchanges: list[dict[str, Any]] = json.loads(response.headers["Wire"])
    return exchanges


def test_request_and_response_are_told(asking: Client) -> None:
    asking.cookies["flavour"] = "oat"
    [exchange] = told(asking.get("/cookies/max-age/?value=red&max_age=60"))
    assert exchange["request"] == "GET /cookies/max-age/?value=red&max_age=60 HTTP/1.1"
    assert exchange["sent"] == [{"name": "flavour", "value": "oat", "secret": False}]
    assert exchange["understood"] == exchange["sent"]
    assert exchange["status"] == "200 OK"
    assert exchange["location"] is None
    [cookie] = exchange["set"]
    assert (cookie["name"], cookie["value"], cookie["bytes"]) == ("color", "red", 8)
    given = {attribute["name"]: attribute["value"] for attribute in cookie["attributes"]}
    assert given.keys() == {"expires", "Max-Age", "Path"}
    assert (given["Max-Age"], given["Path"]) == ("60", "/")
    assert cookie["notes"] == [
        "No HttpOnly: scripts read it.",
        "No Domain: sent to this very host alone.",
        "No SameSite: browsers decide; most take Lax.",
    ]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("header", ["", "1", RUN.upper(), f"{RUN}0", RUN])
def test_told_only_in_development_to_who_asks(debug: bool, header: str, settings: Settings) -> None:
    settings.DEBUG = debug
    response = Client(headers={"Wire": header} if header else {}).get("/cookies/set-cookie/")
    assert response.has_header("Wire") == (debug and header == RUN)


def test_a_line_by_hand_is_told_too(asking: Client) -> None:
    [exchange] = told(asking.get("/cookies/by-hand/"))
    assert [cookie["name"] for cookie in exchange["set"]] == ["color"]


def test_a_redirect_is_told_with_what_came_of_it(asking: Client) -> None:
    first = asking.get("/cookies/on-a-redirect/")
    other = asking.get("/reading/all-cookies/", headers={"Wire": RUN[::-1]})
    second = asking.get(first.headers["Location"])
    assert len(told(other)) == 1
    assert [exchange["status"] for exchange in told(second)] == ["302 Found", "200 OK"]
    assert told(second)[0]["location"] == "/reading/all-cookies/"
    # It is over.
    assert len(told(asking.get("/reading/all-cookies/"))) == 1


def test_what_signs_in_is_marked_as_a_secret(asking: Client, ada: User) -> None:
    asking.force_login(ada)
    asking.cookies["color"] = "blue"
    asking.cookies["login_auth"] = "1.proof"
    [exchange] = told(asking.get("/recipes/sessions/set-item/"))
    secret = {cookie["name"]: cookie["secret"] for cookie in exchange["sent"] + exchange["set"]}
    assert secret == {"sessionid": True, "color": False, "csrftoken": True, "login_auth": True}


def test_a_cookie_with_a_nul_is_sent_and_not_understood(asking: Client) -> None:
    header = 'color="\\000"; size=big'
    [exchange] = told(asking.get("/", headers={"Cookie": header}))
    assert [cookie["name"] for cookie in exchange["sent"]] == ["color", "size"]
    assert [cookie["name"] for cookie in exchange["understood"]] == ["size"]


# A read and a write of a session that is there. Files: the file; and in a write the lock, opened
# and taken, the file once more and the new one.
TRIPS = {
    "db": (1, 2),
    "cache": (1, 2),
    "file": (1, 5),
    "cached_db": (1, 4),
    "signed_cookies": (0, 0),
}


def test_trips_to_the_store_are_counted(profile: str, asking: Client) -> None:
    asking.post("/sessions/set-item/")
    [read] = told(asking.get("/sessions/get-item/"))
    [write] = told(asking.post("/sessions/set-item/", {"value": "red"}))
    assert (read["trips"], write["trips"]) == TRIPS[profile]
    assert (write["milliseconds"] > 0) == (profile != "signed_cookies")


def test_an_engine_that_does_not_tell_its_trips(asking: Client, settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    [exchange] = told(asking.get("/sessions/get-item/"))
    assert exchange["trips"] is None


@pytest.mark.parametrize(
    ("attribute", "meaning"),
    [
        ("Max-Age=0", "the browser forgets it now"),
        ("Max-Age=-5", "the browser forgets it now"),
        ("max-age=05", "seconds until the browser forgets it"),
        ("SECURE", "sent by https only, and to this machine itself"),
        ("SameSite=None", "sent whatever page causes the request; needs Secure"),
        ("SameSite=Never", ""),
        ("Colour=red", ""),
    ],
)
def test_an_attribute_is_explained(attribute: str, meaning: str) -> None:
    assert wire.taken_apart(f"a=b; {attribute}")["attributes"][0]["meaning"] == meaning


def test_a_line_without_attributes_says_what_that_means() -> None:
    cookie = wire.taken_apart("a=b=c")
    assert (cookie["name"], cookie["value"], cookie["attributes"]) == ("a", "b=c", [])
    assert len(cookie["notes"]) == 5


def test_bytes_are_those_of_name_and_value() -> None:
    assert wire.taken_apart("ab=äö; Path=/")["bytes"] == 6


def test_lines_are_those_that_django_sends() -> None:
    response = HttpResponse(headers={"Set-Cookie": "a=1"})
    response.set_cookie("b", "2")
    assert list(wire.lines(response)) == ["a=1", "b=2; Path=/"]
