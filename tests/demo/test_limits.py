"""The recipes about the limits of a cookie jar: what they set, and what they read."""

import json

from django.test import Client
from pytest_django import Settings


def text_of(client: Client, path: str, cookies: str) -> str:
    return client.get(path, headers={"cookie": cookies}).text


def test_age_is_set_as_asked(client: Client) -> None:
    """The limit is the browser's."""
    response = client.get("/limits/max-age-over-400-days/", {"days": "500"})
    assert response.cookies["long"]["max-age"] == 500 * 24 * 60 * 60
    line = client.get("/limits/expires-after-400-days/").cookies["late"].OutputString()
    assert "2099" in line
    assert "Max-Age" not in line


def test_nameless_cookie_is_under_the_empty_name(client: Client) -> None:
    """Chromium sends the first, and Firefox the second."""
    path = "/limits/read-nameless/"
    assert text_of(client, path, "a=1; value") == (
        "Cookie: value\nrequest.COOKIES: {'': 'value'}\n"
    )
    assert text_of(client, path, "a=1; value=") == (
        "Cookie: value=\nrequest.COOKIES: {'value': ''}\n"
    )
    for line in ("=value", "value"):
        response = client.get("/limits/nameless/", {"line": line})
        assert response.headers["Set-Cookie"].startswith(f"{line}; ")
    assert client.get("/limits/nameless/", {"line": "a=1"}).status_code == 400


def test_numbered_cookies_are_counted_and_deleted(client: Client) -> None:
    client.post("/limits/too-many/", {"number": "181"})
    del client.cookies["n1"]
    client.cookies["n12345"] = client.cookies["nine"] = "1"
    assert "180 of the numbered cookies arrived, from n2 to n181." in (
        client.get("/limits/count-them/").text
    )
    response = client.get("/limits/delete-them/")
    assert set(response.cookies) == {f"n{position}" for position in range(2, 182)}
    assert {(cookie["max-age"], cookie["path"]) for cookie in response.cookies.values()} == {
        (0, "/limits/")
    }
    assert text_of(client, "/limits/count-them/", "") == "None of the numbered cookies arrived.\n"


def test_page_lists_some_of_many_lines(client: Client, settings: Settings) -> None:
    """One header reports all of them, and browsers limit its size."""
    settings.DEBUG = True
    response = client.post("/limits/too-many/", {"number": "181"}, headers={"Wire": "0" * 32})
    (exchange,) = json.loads(response.headers["Wire"])
    (unlisted,) = exchange["unlisted"]
    assert len(exchange["set"]) == 20
    assert unlisted["pairs"] == [[f"n{number}", "1"] for number in range(21, 182)]
    assert (unlisted["path"], unlisted["age"], unlisted["reasons"]) == ("/limits/", None, [])


def test_django_takes_the_last_of_two_cookies(client: Client) -> None:
    assert text_of(client, "/limits/which-twin/", "twin=1; a=2; twin=3") == (
        "Cookie: twin=1; twin=3\nrequest.COOKIES: 3\n"
    )


def test_both_twins_are_set_in_one_response(client: Client) -> None:
    response = client.get("/limits/two-paths/")
    assert response.headers["Set-Cookie"] == "twin=of-the-site; Path=/"
    assert response.cookies["twin"]["path"] == "/limits/"
    response = client.get("/limits/two-domains/", {"domain": "example.test"})
    assert "domain" not in response.headers["Set-Cookie"].lower()
    assert response.cookies["twin"]["domain"] == "example.test"
    response = client.get("/limits/delete-twin/", {"path": "/", "domain": "example.test"})
    assert response.cookies["twin"]["domain"] == "example.test"
    assert client.get("/limits/delete-twin/", {"path": "/;x"}).status_code == 400


def test_absent_cookies_are_said_to_be_absent(client: Client) -> None:
    assert text_of(client, "/limits/read-nameless/", "a=1").startswith("No cookie without a name")
    assert text_of(client, "/limits/read-nameless/", "").startswith("No cookie without a name")
    assert text_of(client, "/limits/which-twin/", "a=1").startswith("No twin arrived")
    assert "no cookie guarded" in text_of(client, "/prefixes/secure-stays/", "a=1")
    assert "guarded=old" in text_of(client, "/prefixes/secure-stays/", "guarded=old")
