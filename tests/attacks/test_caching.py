"""A shared cache keeps a personal response, and gives it to somebody else."""

import re
from itertools import product
from typing import Any

import pytest
from django.test import Client
from django.utils.cache import has_vary_header
from pytest_django import Settings

from demo.models import User
from tests.browsers import browser, is_in, key_of

from .addresses import site_paths
from .conftest import Report, Sample

# Paths without a page, with and without the slash that is appended if there is one.
MISSING = [
    "/nothing/",
    "/nothing",
    "/recipes/none/none/",
    "/static/none",
    "/devices",
]
STATIC = ["/static/demo/site.css", "/static/demo/cookie_jar.js", "/static/admin/css/base.css"]
SIGN_OUT = re.compile(
    "/(auth/(cookie-)?sign-out|admin/logout|lifecycle/(flush|delete|clear)|devices/([^/]+/)?sign-out"
    "|leaving/(sign-out-and-clear|clear-site-data))/"
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

CSRF_TOKEN = re.compile(rb"csrfmiddlewaretoken|csrfToken")


def is_cacheable(response: Any) -> bool:
    """Whether a shared cache may keep the response. Without Cache-Control it may."""
    cache_control = response.headers.get("Cache-Control", "")
    return "private" not in cache_control and "no-store" not in cache_control


@pytest.fixture
def users(profile: str, settings: Settings) -> list[User]:
    settings.DEMO_SESSION_IN_PATH = True
    names = ("ada-lovelace", "grace-hopper")
    return [User.objects.create_superuser(name, password="cookies") for name in names]


def client_of(user: User) -> Client:
    client = browser(user)
    client.raise_request_exception = False
    client.post("/auth/cookie-sign-in/", {"username": user.username, "password": "cookies"})
    client.post("/auth/by-hand-sign-in/", {"username": user.username, "password": "cookies"})
    return client


def paths_that_keep_sign_in(client: Client, user: User) -> list[str]:
    return [path for path in site_paths(user, key_of(client)) if not SIGN_OUT.fullmatch(path)]


def test_personal_responses_are_private(
    profile: str, users: list[User], sample: Sample, report: Report
) -> None:
    """A response is personal if it differs between users, names the user, or has a token."""
    clients = [client_of(user) for user in users]
    paths = paths_that_keep_sign_in(clients[0], users[0])
    tries = sample(product([*paths, *MISSING], ["get", "post", "put"]), 5)
    succeeded = []
    for path, method in tries:
        first, second = (getattr(client, method)(path) for client in clients)
        body, other_body = first.getvalue(), second.getvalue()
        text = body + str(first.headers).encode()
        is_personal = body != other_body or users[0].username.encode() in text
        if is_personal or CSRF_TOKEN.search(text) or first.cookies or first.status_code >= 500:
            is_private = has_vary_header(first, "Cookie") and not is_cacheable(first)
            # A redirect after a form is not kept by caches.
            is_redirect = method == "post" and first.status_code == 302
            is_safe = (is_private or is_redirect) and first.status_code < 500
            succeeded += [] if is_safe else [(method, path, first.status_code)]
    assert all(map(is_in, clients))
    report("A personal response is kept by a shared cache", tries, succeeded)


def test_pages_that_may_be_personal_are_not_cacheable(
    profile: str, users: list[User], report: Report
) -> None:
    visitors = [client_of(users[0]), Client(), Client(headers={"cookie": f"sessionid={'k' * 32}"})]
    tries = [(visitor, path) for visitor in visitors for path in PERSONAL]
    succeeded = [(path, visitor) for visitor, path in tries if is_cacheable(visitor.get(path))]
    report("A personal response is kept by a shared cache", tries, succeeded)


def test_static_files_do_not_vary(profile: str, users: list[User], report: Report) -> None:
    """Otherwise a cache would keep a copy for each browser."""
    client, succeeded = client_of(users[0]), []
    for path in STATIC:
        response = client.get(path)
        assert b"".join(response)
        succeeded += [path] if "Vary" in response.headers or response.cookies else []
    report("A static file that varies", STATIC, succeeded)


def test_unkeyed_headers_do_not_get_into_pages(
    profile: str, users: list[User], report: Report, sample: Sample
) -> None:
    """A header that is not part of a cache's key must not get into a page."""
    client = client_of(users[0])
    paths = paths_that_keep_sign_in(client, users[0])
    tries = sample([*paths, *MISSING], 9)
    succeeded = []
    for path in tries:
        response = client.get(path, headers=dict.fromkeys(UNKEYED, "evil.test"))
        text = response.getvalue() + str(response.headers).encode()
        succeeded += [path] if b"evil.test" in text else []
    assert is_in(client)
    report("A page poisoned by a header", tries, succeeded)
