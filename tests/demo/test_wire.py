"""The header ``Wire``, in which the server reports requests and cookies to this site's pages."""

import json
import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from cookieproj.engines.round_trips import count_round_trips
from demo import wire
from tests.families import IN_COOKIES

RUN = "0123456789abcdef" * 2


@pytest.fixture
def wire_client(settings: Settings, db: None) -> Client:
    """A client that asks for the header, with DEBUG on."""
    settings.DEBUG = True
    return Client(headers={"Wire": RUN})


def reported(response: Any) -> list[dict[str, Any]]:
    exchanges: list[dict[str, Any]] = json.loads(response.headers["Wire"])
    return exchanges


def test_request_and_response_are_reported(wire_client: Client) -> None:
    wire_client.cookies["flavour"] = "oat"
    [exchange] = reported(wire_client.get("/cookies/max-age/?value=red&max_age=60"))
    assert exchange["request"] == "GET /cookies/max-age/?value=red&max_age=60 HTTP/1.1"
    assert exchange["sent"] == [{"name": "flavour", "value": "oat"}]
    assert exchange["understood"] == exchange["sent"]
    assert exchange["status"] == "200 OK"
    assert exchange["location"] is None
    [cookie] = exchange["set"]
    assert (cookie["name"], cookie["value"], cookie["bytes"]) == ("color", "red", 8)
    attributes = {attribute["name"]: attribute["value"] for attribute in cookie["attributes"]}
    assert attributes.keys() == {"expires", "Max-Age", "Path"}
    assert (attributes["Max-Age"], attributes["Path"]) == ("60", "/")
    assert cookie["notes"] == [
        "No HttpOnly: scripts can read it and change it.",
        "No Domain: sent to this host only.",
        "No SameSite: Chrome and Edge take Lax, and for two minutes also send it with POST forms "
        "of other sites. Firefox and Safari send it with requests from any site, unless they block "
        "third-party cookies.",
    ]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("header", ["", "1", RUN.upper(), f"{RUN}0", RUN])
def test_header_is_sent_only_with_debug_and_on_request(
    debug: bool, header: str, settings: Settings
) -> None:
    settings.DEBUG = debug
    response = Client(headers={"Wire": header} if header else {}).get("/cookies/set-cookie/")
    assert response.has_header("Wire") == (debug and header == RUN)


def test_cookies_are_reported_without_running_the_view(wire_client: Client) -> None:
    wire_client.cookies["flavour"] = "oat"
    for path in ("/reading/last-visit/", "/nowhere/"):
        response = wire_client.get(path, headers={"Wire": "jar"})
        assert (response.status_code, response.content) == (204, b"")
        assert reported(response) == [{"sent": [{"name": "flavour", "value": "oat"}]}]
        assert response.headers["Cache-Control"] == "no-store"
        assert not response.cookies


def test_cookies_are_not_reported_without_debug(client: Client) -> None:
    response = client.get("/reading/last-visit/", headers={"Wire": "jar"})
    assert response.status_code == 200
    assert not response.has_header("Wire")


def test_set_cookie_header_by_hand_is_reported(wire_client: Client) -> None:
    [exchange] = reported(wire_client.get("/cookies/by-hand/"))
    assert [cookie["name"] for cookie in exchange["set"]] == ["color"]


def test_redirect_is_reported_with_next_response(wire_client: Client) -> None:
    first = wire_client.get("/cookies/on-a-redirect/")
    unrelated = wire_client.get("/reading/all-cookies/", headers={"Wire": RUN[::-1]})
    second = wire_client.get(first.headers["Location"])
    assert len(reported(unrelated)) == 1
    assert [exchange["status"] for exchange in reported(second)] == ["302 Found", "200 OK"]
    assert reported(second)[0]["location"] == "/reading/all-cookies/"
    # The redirect is reported once.
    assert len(reported(wire_client.get("/reading/all-cookies/"))) == 1


def test_page_has_names_of_secret_cookies(wire_client: Client) -> None:
    page = wire_client.get("/recipes/sessions/set-item/").content.decode()
    [names] = re.findall('data-secret-cookies="([^"]*)"', page)
    assert set(names.split()) == {
        *("sessionid", "__Host-bound_session", "__Host-previous_bound_session"),
        "__Host-visitor_session",
        *("csrftoken", "login_auth", "__Host-login_auth"),
    }


def test_key_in_url_is_reported(wire_client: Client) -> None:
    first = wire_client.post("/in-path/begin/")
    second = wire_client.get(first.headers["Location"])
    for exchange in reported(second):
        [key] = exchange["keys"]
        assert key in f"{exchange['request']} {exchange['location']}"
    assert reported(wire_client.get("/cookies/set-cookie/?value=12:30"))[0]["keys"] == []


def test_cookies_are_reported_as_sent(wire_client: Client) -> None:
    wsgi_header = "bare; x=é".encode().decode("latin-1")
    [exchange] = reported(wire_client.get("/", headers={"Cookie": wsgi_header}))
    assert exchange["sent"] == [{"name": "", "value": "bare"}, {"name": "x", "value": "é"}]
    assert exchange["understood"] == exchange["sent"]


def test_invalid_utf8_is_reported_as_replacement_character(wire_client: Client) -> None:
    [exchange] = reported(wire_client.get("/", HTTP_COOKIE="x=\xff"))
    assert exchange["sent"] == [{"name": "x", "value": "\N{REPLACEMENT CHARACTER}"}]


def test_size_of_header_is_limited(wire_client: Client) -> None:
    for number in range(20):
        wire_client.cookies[f"c{number}"] = "é" * 2000
    first = wire_client.get("/cookies/on-a-redirect/")
    response = wire_client.get(first.headers["Location"])
    assert len(response.headers["Wire"]) < 60_000
    sent = reported(response)[1]["sent"]
    assert len(sent) == 21
    assert {len(cookie["value"]) for cookie in sent} == {
        len("blue"),
        wire.MAX_TEXT_CHARACTERS + len("…"),
    }


def test_cookie_with_nul_is_sent_and_not_understood(wire_client: Client) -> None:
    header = 'color="\\000"; size=big'
    [exchange] = reported(wire_client.get("/", headers={"Cookie": header}))
    assert [cookie["name"] for cookie in exchange["sent"]] == ["color", "size"]
    assert [cookie["name"] for cookie in exchange["understood"]] == ["size"]


# Of a read and of a write of an existing session. Of files, a read is one; a write also opens the
# lock, takes it, reads the file again and writes the new one.
ROUND_TRIPS = {
    "db": (1, 2),
    "cache": (1, 2),
    "file": (1, 5),
    "cached_db": (1, 4),
    "signed_cookies": (0, 0),
    "encrypted_cookies": (0, 0),
    "mongodb": (1, 2),
}


def test_round_trips_are_reported(profile: str, wire_client: Client) -> None:
    wire_client.post("/sessions/set-item/")
    [read] = reported(wire_client.get("/sessions/get-item/"))
    [write] = reported(wire_client.post("/sessions/set-item/", {"value": "red"}))
    assert (read["trips"], write["trips"]) == ROUND_TRIPS[profile]
    assert (write["milliseconds"] > 0) == (profile not in IN_COOKIES)


def test_round_trips_of_a_stream_are_those_before_its_body(wire_client: Client) -> None:
    wire_client.post("/sessions/set-item/")
    response = wire_client.post("/streaming/saved/")
    [exchange] = reported(response)
    with count_round_trips() as in_body:
        assert response.getvalue().endswith(b": 1\n")
    assert in_body.number > 0
    assert exchange["streamed"]
    [unstreamed] = reported(wire_client.get("/sessions/get-item/"))
    assert not unstreamed["streamed"]


def test_engine_that_does_not_report_round_trips(wire_client: Client, settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    [exchange] = reported(wire_client.get("/sessions/get-item/"))
    assert exchange["trips"] is None


@pytest.mark.parametrize(
    ("attribute", "meaning"),
    [
        ("Max-Age=0", "the browser deletes the cookie now"),
        ("Max-Age=-5", "the browser deletes the cookie now"),
        ("max-age=05", "seconds until the browser deletes the cookie"),
        (
            "SECURE",
            "sent over https only; Chrome, Edge and Firefox also send it over http to this machine "
            "itself",
        ),
        ("Path=/a", "sent to this path and the addresses below it"),
        *(
            (
                f"Path={path}",
                "no path, as it does not begin with “/”: the folder of this address (RFC 6265)",
            )
            for path in ("noslash", "")
        ),
        (
            "SameSite=None",
            "sent with requests from any site, unless the browser blocks third-party cookies; "
            "Chrome and Edge drop it without Secure",
        ),
        ("SameSite=Never", ""),
        ("Colour=red", ""),
    ],
)
def test_attribute_is_explained(attribute: str, meaning: str) -> None:
    assert wire.parse_set_cookie(f"a=b; {attribute}")["attributes"][0]["meaning"] == meaning


def test_missing_attributes_are_explained() -> None:
    cookie = wire.parse_set_cookie("a=b=c")
    assert (cookie["name"], cookie["value"], cookie["attributes"]) == ("a", "b=c", [])
    assert len(cookie["notes"]) == 5


def test_bytes_of_name_and_value_are_counted() -> None:
    assert wire.parse_set_cookie("ab=äö; Path=/")["bytes"] == 6


def test_set_cookie_lines_include_header_and_cookies() -> None:
    response = HttpResponse(headers={"Set-Cookie": "a=1"})
    response.set_cookie("b", "2")
    assert list(wire.set_cookie_lines(response)) == ["a=1", "b=2; Path=/"]


def test_line_that_deletes_has_no_notes(wire_client: Client) -> None:
    [exchange] = reported(wire_client.get("/reading/delete/"))
    assert exchange["set"][0]["notes"] == []
