"""Another site's page makes a browser that is signed in send a request here."""

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

from .addresses import addresses
from .conftest import Judged, Some

EVIL = "https://evil.test"

# Sign-outs and sign-ins, sessions and passwords: what some address would do with it.
FORM = {
    "key": "color", "value": "red", "item": "x", "seconds": "60", "moment": "2099-01-01",
    "username": "admin", "password": "cookies", "post": "yes", "action": "delete_selected",
    "old_password": "cookies", "new_password1": "3 biscuits", "new_password2": "3 biscuits",
    "language": "zh-hans", "next": "/", "_save": "Save", "is_superuser": "on",
}  # fmt: skip

# Let in without a token: the first by what the browser says of the page, see below; of the
# other two the address itself is the secret, and they touch no cookie and nobody's session.
EXEMPT = {"/language/", "/in-path/begin/", "/in-path/"}

# Recipes that set or delete a cookie whatever the method, so that one can type their address:
# READS_OR_SETS_A_COOKIE. It is a cookie for show; the site's own names are refused.
SET_A_COOKIE = {
    f"/{path}/"
    for path in (
        "cookies/set-cookie", "cookies/max-age", "cookies/expires", "cookies/max-age-and-expires",
        "cookies/attributes", "cookies/by-hand", "cookies/on-a-template", "cookies/on-json",
        "cookies/on-a-redirect", "cookies/language", "cookies/too-large", "reading/last-visit",
        "reading/delete", "reading/delete-elsewhere", "signed/sign", "signed/change",
        "signed/change-the-key", "auth/forge",
    )
}  # fmt: skip


def rows() -> dict[str, Any]:
    """All tables, but for when somebody was last seen."""
    return {
        model._meta.label: [
            {name: value for name, value in row.items() if name != "last_seen"}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in apps.get_models()
        if model._meta.managed
    }


def stored(profile: str, folder: Path) -> dict[str, Any]:
    """What the database, the folder and Redis hold."""
    found = rows()
    found["folder"] = {path.name: path.read_bytes() for path in folder.glob("sessionid*")}
    if profile in {"cache", "cached_db"}:
        client: Any = caches["sessions"].client.get_client()  # type: ignore[attr-defined]
        entries = {name: client.get(name) for name in client.keys("*")}
        found["Redis"] = {
            name: value for name, value in entries.items() if not value.startswith(TOMBSTONE_MARK)
        }
    return found


@pytest.fixture
def victim(profile: str, admin: User, settings: Settings) -> Client:
    """Signed in as the administrator, on a site that wants its token."""
    settings.DEMO_SESSION_IN_PATH = settings.DEBUG = True
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.cookies = browser(admin).cookies
    client.get("/auth/by-hand-sign-in/", secure=True)
    return client


def forgeries(token: str) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """The form and the headers of what another site can send; with the token, it has stolen it."""
    with_token = FORM | {"csrfmiddlewaretoken": token}
    yield FORM, {}
    yield FORM | {"csrfmiddlewaretoken": token[::-1]}, {}
    yield FORM | {"csrfmiddlewaretoken": ""}, {"X-CSRFToken": "x" * 64}
    for origin in (EVIL, "null", "https://testserver.evil.test", "https://testserver:8443", "",
                   "http://testserver@evil.test", "http://testserver"):  # fmt: skip
        yield with_token, {"Origin": origin, "Referer": f"{EVIL}/"}
    for referer in ("", EVIL, f"{EVIL}/https://testserver/", "http://testserver/", "x"):
        yield with_token, {"Referer": referer}


def test_no_address_takes_a_forged_form(
    profile: str, victim: Client, admin: User, tmp_path: Path, some: Some, judged: Judged
) -> None:
    token = victim.cookies["csrftoken"].value
    paths = [
        path
        for path in addresses(admin, key_of(victim))
        if path not in EXEMPT and not path.startswith("/in-path/")
    ]
    before = stored(profile, tmp_path)
    tries = some(product(paths, ["post", "put", "patch", "delete"], forgeries(token)), 77)
    lost: list[Any] = []
    for path, method, (form, headers) in tries:
        encoded = {} if method == "post" else {"content_type": "application/json"}
        data: Any = form if method == "post" else json.dumps(form)
        answer = getattr(victim, method)(path, data, secure=True, headers=headers, **encoded)
        lost += [] if answer.status_code == 403 else [(path, method, headers)]
    lost += [] if stored(profile, tmp_path) == before else ["something was changed"]
    judged("A form of another site", tries, lost)


def asked(victim: Client, path: str, method: str, query: str) -> Any:
    override = {"X-HTTP-Method-Override": "POST", "X-Method": "DELETE"}
    return getattr(victim, method)(path, query_params=FORM if query else {}, headers=override)


def test_no_address_changes_anything_by_a_link(
    profile: str, victim: Client, admin: User, tmp_path: Path, some: Some, judged: Judged
) -> None:
    """Nor by another method that browsers send unasked, or that asks for no token."""
    cookies = {name: morsel.value for name, morsel in victim.cookies.items()}
    paths = addresses(admin, key_of(victim))
    before = stored(profile, tmp_path)
    methods = ["get", "head", "options", "trace"]
    tries = some(product(paths, ["", "with a form's fields"], methods), 11)
    lost: list[Any] = []
    for path, query, method in tries:
        answer = asked(victim, path, method, query)
        # A token, or what a page has to tell: neither says who is signed in.
        changed = set(answer.cookies) - {"csrftoken", "messages"}
        is_right = not changed or (path in SET_A_COOKIE and "sessionid" not in changed)
        lost += [] if is_right and answer.status_code < 500 else [(path, method, changed)]
        # Nothing that was set before, else a recipe finds it and answers otherwise.
        victim.cookies.clear()
        victim.cookies.load(cookies)
    after = stored(profile, tmp_path)
    lost += [name for name in after if after[name] != before[name]]
    judged("A link of another site", tries, lost)


HERE = [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}]
ELSEWHERE: list[dict[str, str]] = [
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


def test_the_language_is_chosen_from_here_only(
    profile: str, victim: Client, some: Some, judged: Judged
) -> None:
    def chooses(headers: dict[str, str], method: str = "post") -> bool:
        answer = getattr(victim, method)("/language/", {"language": "zh-hans"}, headers=headers)
        return answer.status_code >= 500 or "django_language" in answer.cookies

    assert all(map(chooses, HERE))
    tries = some([*((headers, "post") for headers in ELSEWHERE), *product(HERE, ["put", "get"])])
    lost = [tried for tried in tries if chooses(*tried)]
    judged("A language chosen by another site", tries, lost)
