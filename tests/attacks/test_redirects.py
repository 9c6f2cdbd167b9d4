"""A link to this site takes whoever follows it to another one."""

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

from .conftest import Judged, Some
from .foreign_urls import leads_away, spellings

SIGN_INS = ["/auth/sign-in/", "/auth/cookie-sign-in/", "/auth/by-hand-sign-in/", "/admin/login/"]
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
ADMIN = {"username": "admin", "password": "cookies"}

Way = Callable[[Client, str, bool], Any]


def by_form(path: str, form: dict[str, str]) -> Way:
    def way(client: Client, text: str, secure: bool) -> Any:
        return client.post(path, form | {"next": text}, secure=secure, headers=FROM_HERE)

    return way


def by_address(path: str, form: dict[str, str]) -> Way:
    def way(client: Client, text: str, secure: bool) -> Any:
        where = f"{path}?next={quote(text, safe='')}"
        return client.post(where, form, secure=secure, headers=FROM_HERE)

    return way


def by_page(path: str) -> Way:
    """Whose form is to hand on what the address of the page said."""

    def way(client: Client, text: str, secure: bool) -> Any:
        return client.get(path, {"next": text}, secure=secure)

    return way


def by_referrer(client: Client, text: str, secure: bool) -> Any:
    """Of a form that names no next page: a header cannot hold a line's end."""
    line = re.sub("[\r\n\0]", "", text).encode().decode("latin-1")
    headers = FROM_HERE | {"Referer": line}
    return client.post("/language/", {"language": "en"}, secure=secure, headers=headers)


def by_path(client: Client, text: str, secure: bool) -> Any:
    """A slash is added, or a sign-in asked for, at an address that looks like another site's."""
    path = f"{text}/devices".encode().decode("latin-1")
    return client.get("/", secure=secure, PATH_INFO=path)


WAYS: list[Way] = [
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


def targets(answer: Any) -> list[str]:
    """Where the answer sends a browser, now or by the form to sign in."""
    # A language's form names the page itself, whatever that is called, and is judged as it is sent.
    page = re.sub('<form class="language".*?</form>', "", answer.content.decode(), flags=re.DOTALL)
    found = re.findall(r'name="next" value="([^"]*)"', page)
    return [*map(html.unescape, found), *filter(None, [answer.headers.get("Location")])]


def leads(client: Client, text: str, way: Way, secure: bool) -> bool:
    """Whether somewhere else, or into an error."""
    client.cookies.clear()
    answer = way(client, text, secure)
    scheme = "https" if secure else "http"
    return answer.status_code >= 500 or any(leads_away(to, scheme) for to in targets(answer))


def test_no_spelling_leads_away(profile: str, admin: User, some: Some, judged: Judged) -> None:
    client = Client(raise_request_exception=False)
    # The engine has no say in it: each profile takes its share.
    shares = list(product(spellings(), WAYS))[PROFILES.index(profile) :: len(PROFILES)]
    tries = some(shares, 29)
    lost = [(text, way) for text, way in tries if leads(client, text, way, secure=False)]
    judged("A link that leads to another site", tries, lost)


def test_nor_from_https_to_http(profile: str, admin: User, judged: Judged) -> None:
    client = Client(raise_request_exception=False)
    tries = list(product(["http://testserver/", "HTTP:\\\\testserver"], WAYS))
    lost = [(text, way) for text, way in tries if leads(client, text, way, secure=True)]
    judged("A link that leads to another site", tries, lost)


@pytest.mark.parametrize("way", WAYS[:4])
def test_and_a_page_of_this_site_is_one(way: Way, admin: User) -> None:
    for text in ("/devices/?a=//b", "http://testserver/devices/", "/auth/sign-in/#x", "devices"):
        assert targets(way(Client(), text, False)) == [text]
