"""What the server tells this site's pages of the lines that crossed the wire."""

import json
import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from demo import wire
from tests.families import IN_COOKIES

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
    assert exchange["sent"] == [{"name": "flavour", "value": "oat"}]
    assert exchange["understood"] == exchange["sent"]
    assert exchange["status"] == "200 OK"
    assert exchange["location"] is None
    [cookie] = exchange["set"]
    assert (cookie["name"], cookie["value"], cookie["bytes"]) == ("color", "red", 8)
    given = {attribute["name"]: attribute["value"] for attribute in cookie["attributes"]}
    assert given.keys() == {"expires", "Max-Age", "Path"}
    assert (given["Max-Age"], given["Path"]) == ("60", "/")
    assert cookie["notes"] == [
        "No HttpOnly: scripts can read it.",
        "No Domain: sent to this host only.",
        "No SameSite: the browser decides; most use Lax.",
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


def test_the_page_knows_which_cookies_sign_in(asking: Client) -> None:
    page = asking.get("/recipes/sessions/set-item/").content.decode()
    [names] = re.findall('data-secret-cookies="([^"]*)"', page)
    assert set(names.split()) == {"sessionid", "csrftoken", "login_auth", "__Host-login_auth"}


def test_a_key_in_an_address_is_pointed_out(asking: Client) -> None:
    first = asking.post("/in-path/begin/")
    second = asking.get(first.headers["Location"])
    for exchange in told(second):
        [key] = exchange["keys"]
        assert key in f"{exchange['request']} {exchange['location']}"
    assert told(asking.get("/cookies/set-cookie/?value=12:30"))[0]["keys"] == []


def test_cookies_are_told_as_they_were_sent(asking: Client) -> None:
    as_servers_hand_it_on = "bare; x=é".encode().decode("latin-1")
    [exchange] = told(asking.get("/", headers={"Cookie": as_servers_hand_it_on}))
    assert exchange["sent"] == [{"name": "", "value": "bare"}, {"name": "x", "value": "é"}]
    assert exchange["understood"] == exchange["sent"]


def test_bytes_that_are_no_text_are_told_as_such(asking: Client) -> None:
    [exchange] = told(asking.get("/", HTTP_COOKIE="x=\xff"))
    assert exchange["sent"] == [{"name": "x", "value": "\N{REPLACEMENT CHARACTER}"}]


def test_a_header_never_grows_beyond_what_browsers_take(asking: Client) -> None:
    for number in range(20):
        asking.cookies[f"c{number}"] = "é" * 2000
    first = asking.get("/cookies/on-a-redirect/")
    response = asking.get(first.headers["Location"])
    assert len(response.headers["Wire"]) < 60_000
    sent = told(response)[1]["sent"]
    assert len(sent) == 21
    assert {len(cookie["value"]) for cookie in sent} == {
        len("blue"),
        wire.MAX_TEXT_CHARACTERS + len("…"),
    }


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
    "encrypted_cookies": (0, 0),
    "mongodb": (1, 2),
}


def test_trips_to_the_store_are_counted(profile: str, asking: Client) -> None:
    asking.post("/sessions/set-item/")
    [read] = told(asking.get("/sessions/get-item/"))
    [write] = told(asking.post("/sessions/set-item/", {"value": "red"}))
    assert (read["trips"], write["trips"]) == TRIPS[profile]
    assert (write["milliseconds"] > 0) == (profile not in IN_COOKIES)


def test_an_engine_that_does_not_tell_its_trips(asking: Client, settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    [exchange] = told(asking.get("/sessions/get-item/"))
    assert exchange["trips"] is None


@pytest.mark.parametrize(
    ("attribute", "meaning"),
    [
        ("Max-Age=0", "the browser deletes the cookie now"),
        ("Max-Age=-5", "the browser deletes the cookie now"),
        ("max-age=05", "seconds until the browser deletes the cookie"),
        ("SECURE", "sent over https only, except to this machine itself"),
        ("SameSite=None", "sent with requests from any site; needs Secure"),
        ("SameSite=Never", ""),
        ("Colour=red", ""),
    ],
)
def test_an_attribute_is_explained(attribute: str, meaning: str) -> None:
    assert wire.parse_set_cookie(f"a=b; {attribute}")["attributes"][0]["meaning"] == meaning


def test_a_line_without_attributes_says_what_that_means() -> None:
    cookie = wire.parse_set_cookie("a=b=c")
    assert (cookie["name"], cookie["value"], cookie["attributes"]) == ("a", "b=c", [])
    assert len(cookie["notes"]) == 5


def test_bytes_are_those_of_name_and_value() -> None:
    assert wire.parse_set_cookie("ab=äö; Path=/")["bytes"] == 6


def test_lines_are_those_that_django_sends() -> None:
    response = HttpResponse(headers={"Set-Cookie": "a=1"})
    response.set_cookie("b", "2")
    assert list(wire.set_cookie_lines(response)) == ["a=1", "b=2; Path=/"]
