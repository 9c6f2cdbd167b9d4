"""The checks of cookies agree with a real browser."""

from collections.abc import Iterator
from http.cookies import Morsel
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from playwright.sync_api import Browser
from pytest_django import Settings

from cookieproj.engines.cookie_checks import PREFIXES, check_cookie
from demo.set_cookie import SetCookie
from tests import certificates

from .echo import address, echoing
from .recipe_page import jar

HOST = "shop.example.test"


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    certificate = certificates.make(tmp_path_factory.mktemp("certificate"))
    with echoing(certificate) as port:
        yield f"https://{HOST}:{port}"


@pytest.fixture(scope="module")
def plain_port() -> Iterator[int]:
    with echoing() as port:
        yield port


def cookie(name: str, **attributes: Any) -> Morsel[str]:
    response = HttpResponse()
    response.set_cookie(name, "v" * 32, **attributes)
    return response.cookies[name]


ALL_ATTRIBUTES = {"secure": True, "httponly": True, "path": "/"}
CASES = {
    f"{prefix} {changed}": cookie(f"{prefix}name", **(ALL_ATTRIBUTES | changed))
    for prefix in PREFIXES
    for changed in (
        {},
        {"secure": False},
        {"httponly": False},
        {"path": "/shop/"},
        {"domain": "example.test"},
    )
}
CASES |= {
    "lower case": cookie("__host-http-name", secure=True),
    "SameSite=None": cookie("name", samesite="None"),
    "SameSite=None, Secure": cookie("name", samesite="None", secure=True),
    **{
        domain: cookie("name", domain=domain)
        for domain in (
            *("example.test", ".example.test", HOST, "test", "other.test", "other.example.test"),
            *("ample.test", f"a.{HOST}", "https://example.test"),
        )
    },
    "too large": cookie("n" * 4065),
}


@pytest.mark.parametrize("cookie", CASES.values(), ids=CASES)
def test_browser_keeps_exactly_the_cookies_that_pass_checks(
    cookie: Morsel[str], server_url: str, browser: Browser, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = [HOST]
    with browser.new_context(ignore_https_errors=True) as context:
        context.new_page().goto(address(server_url, ("Set-Cookie", cookie.OutputString())))
        is_kept = cookie.key in jar(context)
    assert is_kept == (check_cookie(cookie, "") == [])


# Not among them: a tab in a value, which RFC 6265bis allows and Chromium refuses.
LINES = [
    *(cookie.OutputString() for cookie in CASES.values()),
    *("name=value", "name=value; Secure", "=value", "value", "=", "", "=__Host-x", "__secure-x"),
    *("name=a\x01b", "name=a\x7fb", "name=value; Path=/\x02"),
    *("name=value; Partitioned", "name=value; Partitioned; Secure"),
    *("name=value; Domain=", "name=value; Domain=.", "name=value; Domain=127.0.0.1"),
    *("name=value; Domain=0.0.1", "name=value; Domain=localhost"),
    *(
        "name=value; Domain=other.test; Domain=plain.test",
        "name=value; SameSite=None; SameSite=Lax",
    ),
    *(f"name=value; Domain={'x' * 1025}", f"name={'v' * 4092}", f"name={'v' * 4093}"),
    "name=value; secure; SAMESITE=none",
]


@pytest.mark.parametrize("host", ["https", "127.0.0.1", "localhost", "plain.test"])
def test_browser_drops_exactly_the_cookies_for_which_there_is_a_reason(
    host: str, server_url: str, plain_port: int, browser: Browser, settings: Settings
) -> None:
    url = server_url if host == "https" else f"http://{host}:{plain_port}"
    settings.ALLOWED_HOSTS = [urlsplit(url).hostname]
    request = RequestFactory(headers={"host": urlsplit(url).netloc}).get(
        "/", secure=host == "https"
    )
    with browser.new_context(ignore_https_errors=True) as context:
        page = context.new_page()
        for line in LINES:
            context.clear_cookies()
            page.goto(address(url, ("Set-Cookie", line)))
            assert (context.cookies() == []) == any(SetCookie(line, request).reasons()), line
