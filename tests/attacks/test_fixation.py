"""Somebody plants a session key in another's browser, and waits for a sign-in."""

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

from .conftest import Judged, Send, Some

NAME = "sessionid"

# Of sessions that there are not.
MADE_UP = [
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
# Each with a page behind it.
SIGN_INS = {
    "/auth/sign-in/": "/auth/account/",
    "/auth/by-hand-sign-in/": "/auth/by-hand/",
    "/admin/login/": "/admin/",
}


def sign_in(client: Client, path: str, username: str) -> str:
    """The session cookie that the answer sets."""
    form = {"username": username, "password": "cookies"}
    response = client.post(path, form)
    assert response.status_code == 302, response.content
    return response.cookies[NAME].value


def gets_in(send: Send, path: str, cookie: str, username: str = "victim") -> bool:
    """Whether the page behind that sign-in opens to the cookie."""
    page = send(SIGN_INS[path], f"{NAME}={cookie}")
    return page.status_code == 200 and username in page.content.decode()


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    for username in ("victim", "attacker"):
        User.objects.create_superuser(username, password="cookies")


def starfilter(holds: Callable[..., bool], tries: Iterable[Any]) -> list[Any]:
    return [tried for tried in tries if holds(*tried)]


def planted(key: str) -> Client:
    """The victim's browser with that cookie in it, as it is: a jar would quote some."""
    return Client(headers={"cookie": f"{NAME}={key}"})


def test_a_key_that_was_made_up(whose: Whose, send: Send, some: Some, judged: Judged) -> None:
    def is_fixed(key: str, path: str) -> bool:
        given = sign_in(planted(key), path, "victim")
        assert gets_in(send, path, given)
        return given in key or gets_in(send, path, key)

    tries = some(product(MADE_UP, SIGN_INS), 4)
    judged("Fixation, a key that was made up", tries, starfilter(is_fixed, tries), whose)


def attackers() -> Iterator[Client]:
    """With a session of their own: one that is nobody's, one signed in, one by hand."""
    nobody = Client()
    nobody.post("/sessions/set-item/", {"value": "attacker"})
    yield nobody
    for path in list(SIGN_INS)[:2]:
        client = Client()
        sign_in(client, path, "attacker")
        yield client


def test_the_key_of_a_session_that_there_is(
    whose: Whose, send: Send, some: Some, judged: Judged
) -> None:
    """Planted before the sign-in, and planted again after it, for the next one."""

    def is_fixed(key: str, path: str) -> bool:
        given = sign_in(planted(key), path, "victim")
        assert gets_in(send, path, given)
        again = sign_in(planted(key), path, "victim")
        return key in {given, again} or gets_in(send, path, key)

    tries = some(product(map(key_of, attackers()), SIGN_INS))
    judged("Fixation, the key of a session", tries, starfilter(is_fixed, tries), whose)


def test_the_key_of_before_a_sign_in_as_somebody_else(
    whose: Whose, send: Send, some: Some, judged: Judged
) -> None:
    """A step up: who had the key of the first sign-in has none of the second."""

    def is_fixed(first: str, path: str) -> bool:
        client = Client()
        key = sign_in(client, first, "attacker")
        assert gets_in(send, first, key, "attacker")
        assert gets_in(send, path, sign_in(client, path, "victim"))
        return gets_in(send, path, key)

    tries = some(product(SIGN_INS, SIGN_INS))
    judged("Fixation, a key of before a step up", tries, starfilter(is_fixed, tries), whose)


def test_a_key_anywhere_but_in_the_cookie_is_none(whose: Whose, send: Send, judged: Judged) -> None:
    path = "/auth/sign-in/"
    key = sign_in(Client(), path, "victim")
    assert gets_in(send, path, key)
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
    lost = [page for page in tries if b"victim" in page.content]
    judged("A session key in address, form or header", tries, lost, whose)


def address(client: Client) -> str:
    return str(client.post("/in-path/begin/").headers["Location"])


def key_in(address: str) -> str:
    """The address is signed and not encrypted: the key can be read out of it."""
    token = address.split("/")[2]
    return str(json.loads(signing.b64_decode(token.partition(":")[0].encode())))


def test_a_key_in_the_address(whose: Whose, send: Send, settings: Settings, judged: Judged) -> None:
    """The attacker's address, given to the victim, and its key planted as the victim's cookie."""
    settings.DEMO_SESSION_IN_PATH = True

    def is_fixed(path: str) -> bool:
        attackers = address(Client())
        key = key_in(attackers)
        client = planted(key)
        assert client.post(attackers).status_code == 302
        given = sign_in(client, path, "victim")
        assert gets_in(send, path, given)
        return given == key or gets_in(send, path, key) or b"victim" in send(attackers).content

    judged("Fixation, a key in the address", SIGN_INS, filter(is_fixed, SIGN_INS), whose)


def test_an_address_for_a_key_of_ones_choice(
    whose: Whose, settings: Settings, judged: Judged
) -> None:
    """Nobody but the site signs one; and should it, the key is not taken."""
    settings.DEMO_SESSION_IN_PATH = True
    client = Client()
    store = import_module(django_settings.SESSION_ENGINE).SessionStore

    def is_taken(key: str, token: str, is_the_sites: bool) -> bool:
        answer = client.post(f"/in-path/{token}/kitchen/")
        if not is_the_sites:
            return answer.status_code == 302
        return key_in(answer.headers["Location"]) == key or bool(store(key).get("eaten"))

    tries = [
        tried
        for key in MADE_UP
        for tried in (
            (key, key, False),
            (key, signing.dumps(key, salt=IN_PATH_SALT, key="another site's"), False),
            (key, signing.dumps(key, salt=IN_PATH_SALT), True),
        )
    ]
    what = "An address for a session key that was made up"
    judged(what, tries, starfilter(is_taken, tries), whose)
