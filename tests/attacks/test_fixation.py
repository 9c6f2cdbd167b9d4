"""An attacker plants a session key in the victim's browser, and waits for a sign-in."""

import json
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import product
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import signing
from django.test import Client
from pytest_django import Settings

from demo.constants import IN_PATH_SALT
from demo.models import User
from tests.browsers import key_of
from tests.fault_table import Whose

from .conftest import Report, Sample, Send

NAME = "sessionid"

# Keys without a session.
INVENTED_KEYS = [
    "k" * 32,
    "0" * 32,
    "K" * 32,
    "k" * 8,
    "k" * 40,
    "k" * 31,
    "attacker",
    "attacker-key_1234567890.abcdefgh",
    '"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"',
    '"k\\153kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"',
    "%6b" * 8,
    "e30:1xUlbC:" + "k" * 43,
    "x; sessionid=" + "k" * 32,
    "k" * 32 + "; sessionid=",
]
# The sign-ins, each with a page that needs it.
SIGN_INS = {
    "/auth/sign-in/": "/auth/account/",
    "/auth/by-hand-sign-in/": "/auth/by-hand/",
    "/admin/login/": "/admin/",
}


def sign_in(client: Client, path: str, username: str) -> str:
    """Sign in, and return the session cookie of the response."""
    form = {"username": username, "password": "cookies"}
    response = client.post(path, form)
    assert response.status_code == 302, response.content
    return response.cookies[NAME].value


def is_signed_in(send: Send, path: str, cookie: str, username: str = "victim") -> bool:
    """Whether the cookie gives access to the page that needs that sign-in."""
    page = send(SIGN_INS[path], f"{NAME}={cookie}")
    return page.status_code == 200 and username in page.content.decode()


@pytest.fixture(autouse=True)
def users(db: None) -> None:
    for username in ("victim", "attacker"):
        User.objects.create_superuser(username, password="cookies")


def successful(succeeds: Callable[..., bool], tries: Iterable[Any]) -> list[Any]:
    return [attempt for attempt in tries if succeeds(*attempt)]


def victim_with(key: str) -> Client:
    """Return the victim's browser with exactly that cookie: a cookie jar would quote some."""
    return Client(headers={"cookie": f"{NAME}={key}"})


def test_sign_in_replaces_invented_key(
    whose: Whose, send: Send, sample: Sample, report: Report
) -> None:
    def is_fixed(key: str, path: str) -> bool:
        new_key = sign_in(victim_with(key), path, "victim")
        assert is_signed_in(send, path, new_key)
        return new_key in key or is_signed_in(send, path, key)

    tries = sample(product(INVENTED_KEYS, SIGN_INS), 4)
    report("Fixation, an invented key", tries, successful(is_fixed, tries), whose)


def attackers() -> Iterator[Client]:
    """Yield clients with a session: anonymous, signed in, and signed in by hand."""
    anonymous = Client()
    anonymous.post("/sessions/set-item/", {"value": "attacker"})
    yield anonymous
    for path in list(SIGN_INS)[:2]:
        client = Client()
        sign_in(client, path, "attacker")
        yield client


def test_sign_in_replaces_key_of_existing_session(
    whose: Whose, send: Send, sample: Sample, report: Report
) -> None:
    """The key is planted before the sign-in, and again before the next one."""

    def is_fixed(key: str, path: str) -> bool:
        new_key = sign_in(victim_with(key), path, "victim")
        assert is_signed_in(send, path, new_key)
        next_key = sign_in(victim_with(key), path, "victim")
        return key in {new_key, next_key} or is_signed_in(send, path, key)

    tries = sample(product(map(key_of, attackers()), SIGN_INS))
    report("Fixation, the key of an existing session", tries, successful(is_fixed, tries), whose)


def test_second_sign_in_replaces_key_of_first(
    whose: Whose, send: Send, sample: Sample, report: Report
) -> None:
    """The key of the first sign-in gives no access to the second."""

    def is_fixed(first: str, path: str) -> bool:
        client = Client()
        key = sign_in(client, first, "attacker")
        assert is_signed_in(send, first, key, "attacker")
        assert is_signed_in(send, path, sign_in(client, path, "victim"))
        return is_signed_in(send, path, key)

    tries = sample(product(SIGN_INS, SIGN_INS))
    report("Fixation, the key before a second sign-in", tries, successful(is_fixed, tries), whose)


def test_key_outside_cookie_is_ignored(whose: Whose, send: Send, report: Report) -> None:
    path = "/auth/sign-in/"
    key = sign_in(Client(), path, "victim")
    assert is_signed_in(send, path, key)
    client = Client()
    tries = [
        client.get(f"{SIGN_INS[path]}{query}", headers=headers)
        for query, headers in (
            (f"?{NAME}={key}", {}),
            (f";{NAME}={key}", {}),
            (f"?next=/&session_key={key}", {}),
            ("", {"X-Session-Id": key, "Sessionid": key, "Authorization": f"Bearer {key}"}),
            ("", {"Cookie": f"SESSIONID={key}; session={key}; a={NAME}={key}"}),
            ("", {"Cookie2": f"{NAME}={key}"}),
        )
    ]
    tries.append(client.post(path, {NAME: key, "session_key": key}))
    succeeded = [page for page in tries if b"victim" in page.content]
    report("A session key in URL, form or header", tries, succeeded, whose)


def url_with_session(client: Client) -> str:
    return str(client.post("/in-path/begin/").headers["Location"])


def key_in(url: str) -> str:
    """Return the key from the URL, which is signed and not encrypted."""
    token = url.split("/")[2]
    return str(json.loads(signing.b64_decode(token.partition(":")[0].encode())))


def test_sign_in_replaces_key_from_url(
    whose: Whose, send: Send, settings: Settings, report: Report
) -> None:
    """The victim opens the attacker's URL, and has its key as the session cookie."""
    settings.DEMO_SESSION_IN_PATH = True

    def is_fixed(path: str) -> bool:
        attack_url = url_with_session(Client())
        key = key_in(attack_url)
        client = victim_with(key)
        assert client.post(attack_url).status_code == 302
        new_key = sign_in(client, path, "victim")
        assert is_signed_in(send, path, new_key)
        return (
            new_key == key or is_signed_in(send, path, key) or b"victim" in send(attack_url).content
        )

    report("Fixation, a key in the URL", SIGN_INS, filter(is_fixed, SIGN_INS), whose)


def test_url_with_chosen_key_is_refused(whose: Whose, settings: Settings, report: Report) -> None:
    """Only the site can sign such a URL. Even if it did, the key is not used."""
    settings.DEMO_SESSION_IN_PATH = True
    client = Client()
    store = import_module(django_settings.SESSION_ENGINE).SessionStore

    def is_used(key: str, token: str, is_signed_by_site: bool) -> bool:
        response = client.post(f"/in-path/{token}/kitchen/")
        if not is_signed_by_site:
            return response.status_code == 302
        return key_in(response.headers["Location"]) == key or bool(store(key).get("eaten"))

    tries = [
        attempt
        for key in INVENTED_KEYS
        for attempt in (
            (key, key, False),
            (key, signing.dumps(key, salt=IN_PATH_SALT, key="another site's"), False),
            (key, signing.dumps(key, salt=IN_PATH_SALT), True),
        )
    ]
    what = "A URL for an invented session key"
    report(what, tries, successful(is_used, tries), whose)
