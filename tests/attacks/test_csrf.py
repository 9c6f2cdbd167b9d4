"""A page of another site makes a signed-in browser send a request to this site."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from cookieproj.engines.constants import TOMBSTONE_MARK
from demo.models import User
from tests.browsers import browser, key_of

from .addresses import site_paths
from .conftest import Report, Sample

EVIL = "https://evil.test"

# Fields for every form: of sign-ins and sign-outs, of sessions, of passwords.
FORM = {
    "key": "color", "value": "red", "item": "x", "seconds": "60", "moment": "2099-01-01",
    "username": "admin", "password": "cookies", "post": "yes", "action": "delete_selected",
    "old_password": "cookies", "new_password1": "3 biscuits", "new_password2": "3 biscuits",
    "language": "zh-hans", "next": "/", "_save": "Save", "is_superuser": "on",
}  # fmt: skip

# Accepted without a token. /language/ checks headers instead, see below. Under /in-path/ the URL
# is the secret, and no cookie and no other session is used. A payment page of another site posts
# with a signed receipt, and one recipe only shows what a POST of another site carried: see
# tests/demo/test_other_sites.py. The browser itself sends keys and proofs of bound sessions, each
# with a challenge of this site: see test_bound_sessions.py.
EXEMPT = {
    "/language/", "/in-path/begin/", "/in-path/", "/other-sites/received/", "/payment/back-lost/",
    "/payment/back-landing/", "/payment/back-order-cookie/",
    "/devices/bound/register/", "/devices/bound/renew/",
}  # fmt: skip

# Recipes that set or delete a cookie on any method, so that their URL can be typed:
# READS_OR_SETS_A_COOKIE. The cookie has no meaning; names of the site's cookies are refused.
SET_A_COOKIE = {
    f"/{path}/"
    for path in (
        "cookies/set-cookie", "cookies/max-age", "cookies/expires", "cookies/max-age-and-expires",
        "cookies/attributes", "cookies/by-hand", "cookies/on-a-template", "cookies/on-json",
        "cookies/on-a-redirect", "cookies/language", "cookies/too-large", "reading/last-visit",
        "reading/delete", "reading/delete-elsewhere", "signed/sign", "signed/change",
        "signed/change-the-key", "auth/forge", "prefixes/prefix", "prefixes/secure-stays",
        "prefixes/subdomain", "other-sites/grace", "other-sites/scheme",
        "limits/max-age-over-400-days", "limits/expires-after-400-days", "limits/nameless",
        "limits/delete-them", "limits/two-paths", "limits/two-domains", "limits/delete-twin",
        "in-scripts/seen-and-unseen", "in-scripts/changed-by-server", "streaming/late-cookie",
    )
}  # fmt: skip


def rows() -> dict[str, Any]:
    """Return the rows of all tables, without the time when a device was last seen."""
    return {
        model._meta.label: [
            {name: value for name, value in row.items() if name != "last_seen"}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in apps.get_models()
        if model._meta.managed
    }


def stored_data(profile: str, folder: Path) -> dict[str, Any]:
    """Return what is stored in the database, the folder and Redis."""
    contents = rows()
    contents["folder"] = {path.name: path.read_bytes() for path in folder.glob("sessionid*")}
    if profile in {"cache", "cached_db"}:
        client: Any = caches["sessions"].client.get_client()  # type: ignore[attr-defined]
        entries = {name: client.get(name) for name in client.keys("*")}
        contents["Redis"] = {
            name: value for name, value in entries.items() if not value.startswith(TOMBSTONE_MARK)
        }
    return contents


@pytest.fixture
def victim(profile: str, admin: User, settings: Settings) -> Client:
    """A browser signed in as the administrator, on a site that checks CSRF tokens."""
    settings.DEMO_SESSION_IN_PATH = settings.DEBUG = True
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.cookies = browser(admin).cookies
    client.get("/auth/by-hand-sign-in/", secure=True)
    return client


def forgeries(token: str) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Yield forms and headers that another site can send. A valid token in them is stolen."""
    with_token = FORM | {"csrfmiddlewaretoken": token}
    yield FORM, {}
    yield FORM | {"csrfmiddlewaretoken": token[::-1]}, {}
    yield FORM | {"csrfmiddlewaretoken": ""}, {"X-CSRFToken": "x" * 64}
    for origin in (EVIL, "null", "https://testserver.evil.test", "https://testserver:8443", "",
                   "http://testserver@evil.test", "http://testserver"):  # fmt: skip
        yield with_token, {"Origin": origin, "Referer": f"{EVIL}/"}
    for referer in ("", EVIL, f"{EVIL}/https://testserver/", "http://testserver/", "x"):
        yield with_token, {"Referer": referer}


def test_forged_form_is_refused_everywhere(
    profile: str, victim: Client, admin: User, tmp_path: Path, sample: Sample, report: Report
) -> None:
    token = victim.cookies["csrftoken"].value
    paths = [
        path
        for path in site_paths(admin, key_of(victim))
        if path not in EXEMPT and not path.startswith("/in-path/")
    ]
    before = stored_data(profile, tmp_path)
    tries = sample(product(paths, ["post", "put", "patch", "delete"], forgeries(token)), 77)
    succeeded: list[Any] = []
    for path, method, (form, headers) in tries:
        encoded = {} if method == "post" else {"content_type": "application/json"}
        data: Any = form if method == "post" else json.dumps(form)
        response = getattr(victim, method)(path, data, secure=True, headers=headers, **encoded)
        succeeded += [] if response.status_code == 403 else [(path, method, headers)]
    succeeded += [] if stored_data(profile, tmp_path) == before else ["something was changed"]
    report("A form sent by another site", tries, succeeded)


def send_link(victim: Client, path: str, method: str, query: str) -> Any:
    override = {"X-HTTP-Method-Override": "POST", "X-Method": "DELETE"}
    return getattr(victim, method)(path, query_params=FORM if query else {}, headers=override)


def test_link_changes_nothing(
    profile: str, victim: Client, admin: User, tmp_path: Path, sample: Sample, report: Report
) -> None:
    """Nor does another method that needs no token."""
    cookies = {name: morsel.value for name, morsel in victim.cookies.items()}
    paths = site_paths(admin, key_of(victim))
    before = stored_data(profile, tmp_path)
    methods = ["get", "head", "options", "trace"]
    tries = sample(product(paths, ["", "with a form's fields"], methods), 11)
    succeeded: list[Any] = []
    for path, query, method in tries:
        response = send_link(victim, path, method, query)
        # The CSRF token and messages sign nobody in or out.
        changed = set(response.cookies) - {"csrftoken", "messages"}
        is_safe = not changed or (path in SET_A_COOKIE and "sessionid" not in changed)
        succeeded += [] if is_safe and response.status_code < 500 else [(path, method, changed)]
        # A recipe must not find a cookie that an earlier one set.
        victim.cookies.clear()
        victim.cookies.load(cookies)
    after = stored_data(profile, tmp_path)
    succeeded += [name for name in after if after[name] != before[name]]
    report("A link on another site", tries, succeeded)


FROM_THIS_SITE = [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}]
FROM_OTHER_SITES: list[dict[str, str]] = [
    {},
    *({"Sec-Fetch-Site": site, "Origin": "http://testserver"} for site in (
        "cross-site", "same-site", "none", "", "SAME-ORIGIN", "same-origin, cross-site",
        "same-origin;x", " same-origin x", "null",
    )),
    *({"Origin": origin} for origin in (
        "", "null", "testserver", "//evil.test", "https://evil.test", "http://evil.test",
        "http://testserver.evil.test", "http://evil.test/testserver", "http://evil.test#testserver",
        "http://evil.test?//testserver", "http://testserver@evil.test", "http://testserver:80@evil.test",
        "http://evil.test\\@testserver", "http://testserver:81", "http://testserver\\.evil.test",
        "http://evil.test, http://testserver", "http://testserver http://evil.test",
        "http://xtestserver", "http://testserver.", "http://[testserver]", "http://[::1",
        "https://testserver", "ftp://testserver", "file://testserver", "data://testserver",
    )),
    {"Referer": "http://testserver/"},
]  # fmt: skip


def test_language_is_set_only_from_this_site(
    profile: str, victim: Client, sample: Sample, report: Report
) -> None:
    def sets_language(headers: dict[str, str], method: str = "post") -> bool:
        response = getattr(victim, method)("/language/", {"language": "zh-hans"}, headers=headers)
        return response.status_code >= 500 or "django_language" in response.cookies

    assert all(map(sets_language, FROM_THIS_SITE))
    tries = sample(
        [
            *((headers, "post") for headers in FROM_OTHER_SITES),
            *product(FROM_THIS_SITE, ["put", "get"]),
        ]
    )
    succeeded = [attempt for attempt in tries if sets_language(*attempt)]
    report("A language chosen by another site", tries, succeeded)
