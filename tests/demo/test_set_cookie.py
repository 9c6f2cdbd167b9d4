"""What a Set-Cookie line asks for. tests/browser/test_refused_cookies.py shows the reasons."""

from typing import Any

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from demo.set_cookie import SetCookie


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["shop.example.com", ".localhost", "127.0.0.1", "[::1]"]


def read(line: str, path: str = "/a/b/", host: str = "shop.example.com", **options: Any) -> Any:
    request = RequestFactory(headers={"host": host}).get(path, **options)
    return SetCookie(line, request).data


@pytest.mark.parametrize(
    ("attributes", "path", "expected"),
    [
        ("Path=/x/", "/a/b/", "/x/"),
        ("Path=/x/; path=/y", "/a/b/", "/y"),
        ("", "/a/b/", "/a/b"),
        ("", "/a", "/"),
        ("Path=x", "/a/b", "/a"),
        ("Path=", "/a/b", "/a"),
        (f"Path=/{'x' * 1024}", "/a/b", "/a"),
    ],
)
def test_path(attributes: str, path: str, expected: str) -> None:
    assert read(f"a=1; {attributes}", path)["path"] == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [("", ""), ("Domain=", ""), ("DOMAIN=.Example.com", "example.com"), ("Domain=127.0.0.1", "")],
)
def test_domain(attributes: str, expected: str) -> None:
    assert read(f"a=1; {attributes}")["domain"] == expected


@pytest.mark.parametrize(
    ("host", "domain", "expected", "is_kept"),
    [
        ("localhost:8000", "localhost", "", True),
        ("localhost", ".LOCALHOST", "", True),
        ("127.0.0.1", "127.0.0.1", "", True),
        ("shop.localhost", "localhost", "localhost", False),
        ("shop.localhost", "shop.localhost", "shop.localhost", True),
    ],
)
def test_host_without_subdomains_as_domain(
    host: str, domain: str, expected: str, is_kept: bool
) -> None:
    told = read(f"a=1; Domain={domain}", host=host)
    assert (told["domain"], not told["reasons"]) == (expected, is_kept)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", None),
        ("Max-Age=60", 60),
        ("Max-Age=-1; Expires=Fri, 31 Dec 9999 23:59:59 GMT", -1),
        ("Max-Age=1.5", None),
        ("Expires=tomorrow", None),
    ],
)
def test_age(attributes: str, expected: int | None) -> None:
    assert read(f"a=1; {attributes}")["age"] == expected


def test_age_from_a_date() -> None:
    assert read("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT")["age"] < 0
    assert read("a=1; Max-Age=x; Expires=Fri, 31 Dec 9999 23:59:59 GMT")["age"] > 0


@pytest.mark.parametrize(
    ("line", "host", "reasons"),
    [
        ("a=1", "shop.example.com", []),
        (
            "a=1; Domain=example.org",
            "shop.example.com:8000",
            ["shop.example.com may not set cookies for the domain example.org."],
        ),
        (
            "a=1; Domain=example.org",
            "[::1]:8000",
            ["[::1] is an IP address, so it has no domain example.org."],
        ),
        ("a=\x01", "127.0.0.1", ["It contains a control character."]),
        ("a=1; Secure", "[::1]:8000", []),
        (
            "__Host-a=1; SameSite=None",
            "127.0.0.1",
            [
                "The prefix __Host- of its name requires Secure, Path=/.",
                "SameSite=None needs Secure.",
            ],
        ),
    ],
)
def test_reasons(line: str, host: str, reasons: list[str]) -> None:
    assert read(line, host=host)["reasons"] == reasons


def test_host_that_is_not_allowed() -> None:
    assert read("a=1; Domain=evil.test", host="evil.test")["reasons"]


def test_what_http_does_not_show() -> None:
    """A Secure cookie protects its name over http, and only there."""
    assert "One rule leaves no trace" in read("a=1")["unexplained"]
    for told in (read("a=1; Secure"), read("a=1", host="127.0.0.1"), read("a=1", secure=True)):
        assert told["unexplained"] == "The browser gives no reason."
