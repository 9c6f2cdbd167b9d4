"""A cache between browsers and the site keeps what is somebody's own, and gives it to another."""

import re
from itertools import product
from typing import Any

import pytest
from django.test import Client
from django.utils.cache import has_vary_header
from pytest_django import Settings

from demo.models import User
from tests.browsers import browser, is_in, key_of

from .addresses import addresses
from .conftest import Judged, Some

# Addresses that are none, with and without the slash that is added where there is a page.
NOTHING = [
    "/nothing/",
    "/nothing",
    "/recipes/none/none/",
    "/static/none",
    "/devices",
    "/favicon.ico",
]
STATIC = ["/static/demo/site.css", "/static/demo/cookie_jar.js", "/static/admin/css/base.css"]
ENDS_IT = re.compile(
    "/(auth/(cookie-)?sign-out|admin/logout|lifecycle/(flush|delete|clear)|devices/[^/]+/sign-out)/"
)
PERSONAL = [
    "/devices/", "/admin/", "/admin/demo/", "/admin/cookieproj_devices/",
    "/admin/cookieproj_engines/", "/admin/password_change/", "/admin/demo/user/",
    "/admin/cookieproj_engines/storedsession/", "/admin/cookieproj_engines/storedsession/add/",
    "/session/", "/nothing/",
    "/auth/account/", "/auth/cookie-account/", "/auth/sign-in/", "/recipes/sessions/set-item/", "/",
]  # fmt: skip
UNKEYED = [
    "X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-HTTP-Host-Override", "Forwarded",
    "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Scheme", "Via",
]  # fmt: skip

TOKEN = re.compile(rb"csrfmiddlewaretoken|csrfToken")


def is_kept(answer: Any) -> bool:
    """Whether a shared cache may keep it: where nothing is said it may."""
    says = answer.headers.get("Cache-Control", "")
    return "private" not in says and "no-store" not in says


@pytest.fixture
def people(profile: str, settings: Settings) -> list[User]:
    settings.DEMO_SESSION_IN_PATH = True
    names = ("ada-lovelace", "grace-hopper")
    return [User.objects.create_superuser(name, password="cookies") for name in names]


def own(user: User) -> Client:
    client = browser(user)
    client.raise_request_exception = False
    client.post("/auth/cookie-sign-in/", {"username": user.username, "password": "cookies"})
    client.post("/auth/by-hand-sign-in/", {"username": user.username, "password": "cookies"})
    return client


def where_one_stays_in(client: Client, user: User) -> list[str]:
    return [path for path in addresses(user, key_of(client)) if not ENDS_IT.fullmatch(path)]


def test_what_is_somebodys_own_stays_between_site_and_browser(
    profile: str, people: list[User], some: Some, judged: Judged
) -> None:
    """What differs between two who are signed in, names one of them, or holds a token."""
    clients = [own(user) for user in people]
    paths = where_one_stays_in(clients[0], people[0])
    tries = some(product([*paths, *NOTHING], ["get", "post", "put"]), 5)
    lost = []
    for path, method in tries:
        one, other = (getattr(client, method)(path) for client in clients)
        said = one.content + str(one.headers).encode()
        is_own = one.content != other.content or people[0].username.encode() in said
        if is_own or TOKEN.search(said) or one.cookies or one.status_code >= 500:
            is_private = has_vary_header(one, "Cookie") and not is_kept(one)
            # A form that was sent is never kept, but where a page is the answer to it.
            is_sent_on = method == "post" and one.status_code == 302
            is_right = (is_private or is_sent_on) and one.status_code < 500
            lost += [] if is_right else [(method, path, one.status_code)]
    assert all(map(is_in, clients))
    judged("What is somebody's own, kept by a shared cache", tries, lost)


def test_a_page_that_may_be_personal_is_never_kept(
    profile: str, people: list[User], judged: Judged
) -> None:
    visitors = [own(people[0]), Client(), Client(headers={"cookie": f"sessionid={'k' * 32}"})]
    tries = [(visitor, path) for visitor in visitors for path in PERSONAL]
    lost = [(path, visitor) for visitor, path in tries if is_kept(visitor.get(path))]
    judged("What is somebody's own, kept by a shared cache", tries, lost)


def test_a_static_file_is_everybodys(profile: str, people: list[User], judged: Judged) -> None:
    """Else each browser would have it of its own."""
    client, lost = own(people[0]), []
    for path in STATIC:
        answer = client.get(path)
        assert b"".join(answer)
        lost += [path] if "Vary" in answer.headers or answer.cookies else []
    judged("A static file that varies", STATIC, lost)


def test_no_header_but_the_host_says_what_this_site_is(
    profile: str, people: list[User], judged: Judged, some: Some
) -> None:
    """What a cache does not take for a part of the address must not get into the page."""
    client = own(people[0])
    paths = where_one_stays_in(client, people[0])
    tries = some([*paths, *NOTHING], 9)
    lost = []
    for path in tries:
        answer = client.get(path, headers=dict.fromkeys(UNKEYED, "evil.test"))
        said = answer.content + str(answer.headers).encode()
        lost += [path] if b"evil.test" in said else []
    assert is_in(client)
    judged("A page poisoned by a header", tries, lost)
