"""A link to this site redirects the visitor to another one."""

import html
import re
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from cookieproj.profiles import PROFILES
from demo.models import User

from .conftest import Report, Sample
from .foreign_urls import leads_away, spellings

SIGN_INS = ["/auth/sign-in/", "/auth/cookie-sign-in/", "/auth/by-hand-sign-in/", "/admin/login/"]
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
ADMIN = {"username": "admin", "password": "cookies"}

SendNext = Callable[[Client, str, bool], Any]


def by_form(path: str, form: dict[str, str]) -> SendNext:
    def send_next(client: Client, text: str, secure: bool) -> Any:
        return client.post(path, form | {"next": text}, secure=secure, headers=FROM_HERE)

    return send_next


def by_address(path: str, form: dict[str, str]) -> SendNext:
    def send_next(client: Client, text: str, secure: bool) -> Any:
        url = f"{path}?next={quote(text, safe='')}"
        return client.post(url, form, secure=secure, headers=FROM_HERE)

    return send_next


def by_page(path: str) -> SendNext:
    """The page's form sends the ``next`` of its URL."""

    def send_next(client: Client, text: str, secure: bool) -> Any:
        return client.get(path, {"next": text}, secure=secure)

    return send_next


def by_referrer(client: Client, text: str, secure: bool) -> Any:
    """A form without ``next`` redirects to the Referer, which cannot contain a line break."""
    referer = re.sub("[\r\n\0]", "", text).encode().decode("latin-1")
    headers = FROM_HERE | {"Referer": referer}
    return client.post("/language/", {"language": "en"}, secure=secure, headers=headers)


def by_path(client: Client, text: str, secure: bool) -> Any:
    """A slash is appended, or a sign-in required, at a path that looks like another site."""
    path = f"{text}/devices".encode().decode("latin-1")
    return client.get("/", secure=secure, PATH_INFO=path)


SENDERS: list[SendNext] = [
    *(by_form(path, ADMIN) for path in SIGN_INS),
    *(by_address(path, ADMIN) for path in SIGN_INS),
    *map(by_page, SIGN_INS),
    by_form("/language/", {"language": "en"}),
    by_address("/language/", {"language": "en"}),
    by_form("/admin/logout/", {}),
    by_address("/admin/logout/", {}),
    by_referrer,
    by_path,
]  # fmt: skip


def targets(response: Any) -> list[str]:
    """Return the URLs to which the response redirects, or to which its form would."""
    # The language form contains the page's own URL, and is tested by sending it.
    page = re.sub(
        '<form class="language".*?</form>', "", response.content.decode(), flags=re.DOTALL
    )
    next_urls = re.findall(r'name="next" value="([^"]*)"', page)
    return [*map(html.unescape, next_urls), *filter(None, [response.headers.get("Location")])]


def leads_elsewhere(client: Client, text: str, send_next: SendNext, secure: bool) -> bool:
    """Whether the response leads to another site, or is an error."""
    client.cookies.clear()
    response = send_next(client, text, secure)
    scheme = "https" if secure else "http"
    return response.status_code >= 500 or any(
        leads_away(target, scheme) for target in targets(response)
    )


def test_no_spelling_redirects_to_another_site(
    profile: str, admin: User, sample: Sample, report: Report
) -> None:
    client = Client(raise_request_exception=False)
    # This does not depend on the engine, so each profile takes a share.
    shares = list(product(spellings(), SENDERS))[PROFILES.index(profile) :: len(PROFILES)]
    tries = sample(shares, 29)
    succeeded = [
        (text, send_next)
        for text, send_next in tries
        if leads_elsewhere(client, text, send_next, secure=False)
    ]
    report("A redirect to another site", tries, succeeded)


def test_no_redirect_from_https_to_http(profile: str, admin: User, report: Report) -> None:
    client = Client(raise_request_exception=False)
    tries = list(product(["http://testserver/", "HTTP:\\\\testserver"], SENDERS))
    succeeded = [
        (text, send_next)
        for text, send_next in tries
        if leads_elsewhere(client, text, send_next, secure=True)
    ]
    report("A redirect to another site", tries, succeeded)


@pytest.mark.parametrize("send_next", SENDERS[:4])
def test_redirect_to_this_site_works(send_next: SendNext, admin: User) -> None:
    for text in ("/devices/?a=//b", "http://testserver/devices/", "/auth/sign-in/#x", "devices"):
        assert targets(send_next(Client(), text, False)) == [text]
