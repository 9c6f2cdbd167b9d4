"""A signed text is changed in each of its places, and taken apart and put together anew."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from itertools import product
from pathlib import Path

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.cache import caches
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from demo.constants import IN_PATH_SALT, LOGIN_COOKIE, LOGIN_SALT
from demo.models import User
from tests.browsers import browser, is_in, key_of
from tests.conftest import on
from tests.families import COOKIE_ENGINES
from tests.fault_table import Whose
from tests.fuzzing.raw_stores import STORES

from .conftest import Judged, Send, Some

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LARGE = "cookie " * 60
SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"

Opens = Callable[[str], bool]
Said = Callable[[str, str, str], str]


def in_each_place(text: str) -> Iterator[str]:
    """One character changed, dropped, doubled."""
    for place, character in enumerate(text):
        before, after = text[:place], text[place + 1 :]
        other = ALPHABET[(ALPHABET.find(character) + 1) % len(ALPHABET)]
        replacements = {other, character.swapcase(), "=", "\xff", ""} - {character}
        yield from (f"{before}{replacement}{after}" for replacement in sorted(replacements))
        yield f"{before}{character * 2}{after}"


def by_parts(one: str, other: str) -> Iterator[str]:
    """Payload, moment and signature of either; a part left out, or one more."""
    ones, others = one.split(":"), other.split(":")
    assert len(ones) == len(others) == 3
    assert not set(ones) & set(others)
    for parts in product(*zip(ones, others, strict=True)):
        if list(parts) not in (ones, others):
            yield ":".join(parts)
    payload, moment, signature = ones
    yield from (payload, f"{payload}:{moment}", f"{payload}:{signature}", f"{moment}:{signature}")
    yield from (f"{one}:{signature}", f"{payload}:{one}", f"::{signature}", f"{payload}::", "::")
    now = signing.b62_encode(int(timezone.now().timestamp()))
    for time in (now, "", "0", "-1", "zzzzzz", "z" * 200, "é"):
        yield f"{payload}:{time}:{signature}"


def with_the_marker(text: str) -> Iterator[str]:
    """Of a compressed text: added, or taken away."""
    yield f".{text}"
    yield f"..{text}"
    if text.startswith("."):
        yield text[1:]


def tampered(one: str, other: str) -> Iterator[str]:
    yield from in_each_place(one)
    yield from by_parts(one, other)
    yield from with_the_marker(one)


@pytest.fixture
def said(send: Send) -> Said:
    """The page that a cookie gets; empty if it gets none. An error is lost as well: "error"."""

    def said(path: str, name: str, value: str) -> str:
        response = send(path, f"{name}={value}")
        page = response.content.decode() if response.status_code == HTTPStatus.OK else ""
        return "error" if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else page

    return said


@pytest.fixture
def holds_anything(said: Said) -> Opens:
    """Whether a session with that cookie has any data."""
    return lambda key: said("/sessions/keys/", "sessionid", key) != '{"keys": []}'


@contextmanager
def some_time_ago(minutes: int) -> Iterator[None]:
    with time_machine.travel(timezone.now() - timedelta(minutes=minutes), tick=False):
        yield


def test_a_signed_cookie(profile: str, said: Said, some: Some, judged: Judged) -> None:
    client = Client()

    def signed(value: str, name: str = "color", salt: str = "recipe") -> str:
        query = {"name": name, "value": value, "salt": salt}
        return client.get("/signed/sign/", query).cookies[name].value

    def is_read(value: str) -> bool:
        return said("/signed/read/", "color", value).startswith("color is ")

    with some_time_ago(minutes=50):
        other = signed("red")
    with some_time_ago(minutes=30):
        one = signed("blue")
    assert is_read(one)
    assert said("/signed/read/?max_age=600", "color", one) == ""
    # The last one has the letters of name and salt divided elsewhere.
    elsewhere = [
        signed("blue", name="other"),
        signed("blue", salt="other"),
        signed("blue", name="colo", salt="rrecipe"),
    ]
    tries = [*elsewhere, signing.dumps("blue"), *some(tampered(one, other), 4)]
    judged("A signed cookie is tampered with", tries, filter(is_read, tries))


@on("signed_cookies")
@pytest.mark.parametrize("value", ["blue", LARGE], ids=["plain", "compressed"])
def test_a_session_in_a_cookie(
    value: str, whose: Whose, ada: User, holds_anything: Opens, some: Some, judged: Judged
) -> None:
    def session(user: User) -> str:
        client = browser(user)
        client.post("/sessions/set-item/", {"value": value + user.username})
        return key_of(client)

    with some_time_ago(minutes=50):
        other = session(User.objects.create_user("grace", password="cookies"))
    with some_time_ago(minutes=30):
        one = session(ada)
    assert holds_anything(one)
    tries = some(tampered(one, other), 4)
    judged("A session's cookie is tampered with", tries, filter(holds_anything, tries), whose)


@on("db", "cached_db", "file")
def test_a_session_in_its_store(
    profile: str,
    whose: Whose,
    ada: User,
    tmp_path: Path,
    holds_anything: Opens,
    some: Some,
    judged: Judged,
) -> None:
    """By somebody who may write there, and has no SECRET_KEY."""

    def session(value: str) -> str:
        client = browser(ada)
        client.post("/sessions/set-item/", {"value": value})
        return key_of(client)

    def stored(key: str) -> str:
        if profile == "file":
            return (tmp_path / f"sessionid{key}").read_text()
        return Session.objects.get(pk=key).session_data

    def is_read(text: str) -> bool:
        if profile == "file":
            (tmp_path / f"sessionid{key}").write_text(text)
        else:
            Session.objects.update_or_create(pk=key, defaults={"session_data": text})
        caches["sessions"].clear()
        return holds_anything(key)

    with some_time_ago(minutes=50):
        other = stored(session("red"))
    with some_time_ago(minutes=30):
        key = session("blue")
    one = stored(key)
    assert is_read(one)
    tries = some(tampered(one, other), 7)
    judged(f"What {profile} stores is tampered with", tries, filter(is_read, tries), whose)


# What is known, and told in SECURITY.md: a stored text is Django's, which is signed without the key
# that it is stored under, and without its expiry.


def color_in(client: Client) -> str:
    return client.get("/sessions/get-item/?key=color").content.decode()


@on("db", "file")
def test_a_whole_text_opens_under_another_key(profile: str, ada: User) -> None:
    store = STORES[profile]()
    graces, hers = browser(User.objects.create_user("grace", password="cookies")), browser(ada)
    store.plant(key_of(hers), store.held(key_of(graces)) or b"")
    assert "welcome grace" in hers.get("/auth/account/").content.decode()


@on("db", "file")
def test_an_older_text_opens_when_it_is_put_back(profile: str, ada: User) -> None:
    """Whatever came after it: another value, and a sign-out."""
    store, client = STORES[profile](), browser(ada)
    client.post("/sessions/set-item/", {"value": "blue"})
    key = key_of(client)
    older = store.held(key) or b""
    client.post("/sessions/set-item/", {"value": "red"})
    assert color_in(client) == "color is red\n"
    store.plant(key, older)
    assert color_in(client) == "color is blue\n"
    client.post("/auth/sign-out/")
    client.cookies["sessionid"] = key
    assert not is_in(client)
    store.plant(key, older)
    client.cookies["sessionid"] = key
    assert is_in(client)


@on("db", "file")
def test_an_expiry_that_was_moved_is_not_noticed(
    profile: str, ada: User, tmp_path: Path, settings: Settings
) -> None:
    with some_time_ago(minutes=settings.SESSION_COOKIE_AGE // 60 + 1):
        key = key_of(browser(ada))
    client = Client()
    client.cookies["sessionid"] = key
    assert not is_in(client)
    if profile == "file":
        os.utime(tmp_path / f"sessionid{key}")
    else:
        Session.objects.filter(pk=key).update(expire_date=timezone.now() + timedelta(days=1))
    client.cookies["sessionid"] = key
    assert is_in(client)


def proof(user: User) -> str:
    """The cookie of a sign-in without a session."""
    form = {"username": user.username, "password": "cookies"}
    return Client().post("/auth/cookie-sign-in/", form).cookies[LOGIN_COOKIE].value


@pytest.fixture
def is_let_in(said: Said) -> Opens:
    return lambda value: said("/auth/cookie-account/", LOGIN_COOKIE, value) != ""


def test_a_proof_of_who_signed_in(
    profile: str, ada: User, is_let_in: Opens, some: Some, judged: Judged
) -> None:
    with some_time_ago(minutes=50):
        other = proof(User.objects.create_user("grace", password="cookies"))
    with some_time_ago(minutes=30):
        one = proof(ada)
    assert is_let_in(one)
    tries = some(tampered(one, other), 4)
    judged("The login_auth cookie is tampered with", tries, filter(is_let_in, tries))


def as_the_recipe_signs(payload: str, letters: str) -> Iterator[str]:
    """That text, signed by each name and salt that together have those letters."""
    client = Client()
    for place in range(1, len(letters)):
        name = letters[:place]
        query = {"name": name, "salt": letters[place:], "value": payload}
        response = client.get("/signed/sign/", query)
        if response.status_code == HTTPStatus.OK:
            yield response.cookies[name].value


SIGNED_FOR_SOMEBODY = "The recipe that signs is asked to sign somebody in"


def test_the_recipe_signs_no_proof(
    profile: str, ada: User, is_let_in: Opens, judged: Judged
) -> None:
    tries = list(as_the_recipe_signs(proof(ada).partition(":")[0], LOGIN_COOKIE + LOGIN_SALT))
    assert tries
    # But by the very name, which the recipe does not take.
    assert len(tries) == len(LOGIN_COOKIE + LOGIN_SALT) - 2
    judged(SIGNED_FOR_SOMEBODY, tries, filter(is_let_in, tries))


@on(*COOKIE_ENGINES)
def test_it_signs_no_session(whose: Whose, holds_anything: Opens, judged: Judged) -> None:
    payload = signing.dumps({"color": "blue"}).partition(":")[0]
    tries = list(as_the_recipe_signs(payload, SIGNED_COOKIES))
    judged(SIGNED_FOR_SOMEBODY, tries, filter(holds_anything, tries))


def test_it_signs_no_address(
    profile: str, ada: User, send: Send, settings: Settings, judged: Judged
) -> None:
    settings.DEMO_SESSION_IN_PATH = True

    def opens(token: str) -> bool:
        return send(f"/in-path/{token}/kitchen/").status_code != HTTPStatus.BAD_REQUEST

    key = key_of(browser(ada))
    assert opens(signing.dumps(key, salt=IN_PATH_SALT))
    tries = list(as_the_recipe_signs(signing.dumps(key).partition(":")[0], IN_PATH_SALT))
    judged(SIGNED_FOR_SOMEBODY, tries, filter(opens, tries))
