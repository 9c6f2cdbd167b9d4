"""Signed texts are changed at each position, and put together from the parts of others."""

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

from .conftest import Report, Sample, Send

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LARGE = "cookie " * 60
SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"

IsAccepted = Callable[[str], bool]
PageOf = Callable[[str, str, str], str]


def changed_at_each_position(text: str) -> Iterator[str]:
    """Yield the text with one character changed, dropped or doubled."""
    for position, character in enumerate(text):
        before, after = text[:position], text[position + 1 :]
        next_character = ALPHABET[(ALPHABET.find(character) + 1) % len(ALPHABET)]
        replacements = {next_character, character.swapcase(), "=", "\xff", ""} - {character}
        yield from (f"{before}{replacement}{after}" for replacement in sorted(replacements))
        yield f"{before}{character * 2}{after}"


def recombined(text: str, other_text: str) -> Iterator[str]:
    """Yield payload, timestamp and signature of either text; with a part missing, or one more."""
    text_parts, other_parts = text.split(":"), other_text.split(":")
    assert len(text_parts) == len(other_parts) == 3
    assert not set(text_parts) & set(other_parts)
    for parts in product(*zip(text_parts, other_parts, strict=True)):
        if list(parts) not in (text_parts, other_parts):
            yield ":".join(parts)
    payload, timestamp, signature = text_parts
    yield from (
        payload,
        f"{payload}:{timestamp}",
        f"{payload}:{signature}",
        f"{timestamp}:{signature}",
    )
    yield from (f"{text}:{signature}", f"{payload}:{text}", f"::{signature}", f"{payload}::", "::")
    now = signing.b62_encode(int(timezone.now().timestamp()))
    for time in (now, "", "0", "-1", "zzzzzz", "z" * 200, "é"):
        yield f"{payload}:{time}:{signature}"


def with_compression_marker(text: str) -> Iterator[str]:
    """Yield the text with the marker of compressed texts added or removed."""
    yield f".{text}"
    yield f"..{text}"
    if text.startswith("."):
        yield text[1:]


def tampered(text: str, other_text: str) -> Iterator[str]:
    yield from changed_at_each_position(text)
    yield from recombined(text, other_text)
    yield from with_compression_marker(text)


@pytest.fixture
def page_of(send: Send) -> PageOf:
    """Return the page for a cookie, an empty text if it is refused, or "error"."""

    def page_of(path: str, name: str, value: str) -> str:
        response = send(path, f"{name}={value}")
        page = response.content.decode() if response.status_code == HTTPStatus.OK else ""
        return "error" if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else page

    return page_of


@pytest.fixture
def has_data(page_of: PageOf) -> IsAccepted:
    """Whether the session of a cookie has data."""
    return lambda key: page_of("/sessions/keys/", "sessionid", key) != '{"keys": []}'


@contextmanager
def some_time_ago(minutes: int) -> Iterator[None]:
    with time_machine.travel(timezone.now() - timedelta(minutes=minutes), tick=False):
        yield


def test_tampered_signed_cookie_is_refused(
    profile: str, page_of: PageOf, sample: Sample, report: Report
) -> None:
    client = Client()

    def signed(value: str, name: str = "color", salt: str = "recipe") -> str:
        query = {"name": name, "value": value, "salt": salt}
        return client.get("/signed/sign/", query).cookies[name].value

    def is_read(value: str) -> bool:
        return page_of("/signed/read/", "color", value).startswith("color is ")

    with some_time_ago(minutes=50):
        other_cookie = signed("red")
    with some_time_ago(minutes=30):
        cookie = signed("blue")
    assert is_read(cookie)
    assert page_of("/signed/read/?max_age=600", "color", cookie) == ""
    # The last name and salt join to the same text as those of the cookie.
    signed_for_others = [
        signed("blue", name="other"),
        signed("blue", salt="other"),
        signed("blue", name="colo", salt="rrecipe"),
    ]
    tries = [*signed_for_others, signing.dumps("blue"), *sample(tampered(cookie, other_cookie), 4)]
    report("A signed cookie is tampered with", tries, filter(is_read, tries))


@on("signed_cookies")
@pytest.mark.parametrize("value", ["blue", LARGE], ids=["plain", "compressed"])
def test_tampered_cookie_session_is_refused(
    value: str, whose: Whose, ada: User, has_data: IsAccepted, sample: Sample, report: Report
) -> None:
    def session(user: User) -> str:
        client = browser(user)
        client.post("/sessions/set-item/", {"value": value + user.username})
        return key_of(client)

    with some_time_ago(minutes=50):
        other_cookie = session(User.objects.create_user("grace", password="cookies"))
    with some_time_ago(minutes=30):
        cookie = session(ada)
    assert has_data(cookie)
    tries = sample(tampered(cookie, other_cookie), 4)
    report("A session cookie is tampered with", tries, filter(has_data, tries), whose)


@on("db", "cached_db", "file")
def test_tampered_stored_session_is_refused(
    profile: str,
    whose: Whose,
    ada: User,
    tmp_path: Path,
    has_data: IsAccepted,
    sample: Sample,
    report: Report,
) -> None:
    """The attacker can write to the store, and does not have SECRET_KEY."""

    def session(value: str) -> str:
        client = browser(ada)
        client.post("/sessions/set-item/", {"value": value})
        return key_of(client)

    def stored_text(key: str) -> str:
        if profile == "file":
            return (tmp_path / f"sessionid{key}").read_text()
        return Session.objects.get(pk=key).session_data

    def is_read(text: str) -> bool:
        if profile == "file":
            (tmp_path / f"sessionid{key}").write_text(text)
        else:
            Session.objects.update_or_create(pk=key, defaults={"session_data": text})
        caches["sessions"].clear()
        return has_data(key)

    with some_time_ago(minutes=50):
        other_text = stored_text(session("red"))
    with some_time_ago(minutes=30):
        key = session("blue")
    text = stored_text(key)
    assert is_read(text)
    tries = sample(tampered(text, other_text), 7)
    report(f"What {profile} stores is tampered with", tries, filter(is_read, tries), whose)


# Known limits, described in SECURITY.md: stored texts have Django's format. Their signature
# includes neither the session key nor the expiry.


def color_in(client: Client) -> str:
    return client.get("/sessions/get-item/?key=color").content.decode()


@on("db", "file")
def test_stored_text_opens_under_another_key(profile: str, ada: User) -> None:
    store = STORES[profile]()
    grace, adas_browser = (
        browser(User.objects.create_user("grace", password="cookies")),
        browser(ada),
    )
    store.plant(key_of(adas_browser), store.payload_of(key_of(grace)) or b"")
    assert "welcome grace" in adas_browser.get("/auth/account/").content.decode()


@on("db", "file")
def test_older_stored_text_opens_when_restored(profile: str, ada: User) -> None:
    """It is valid after a later change, and after a sign-out."""
    store, client = STORES[profile](), browser(ada)
    client.post("/sessions/set-item/", {"value": "blue"})
    key = key_of(client)
    older = store.payload_of(key) or b""
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
def test_changed_expiry_is_not_detected(
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


def login_cookie(user: User) -> str:
    """Return the cookie of login_auth for that user."""
    form = {"username": user.username, "password": "cookies"}
    return Client().post("/auth/cookie-sign-in/", form).cookies[LOGIN_COOKIE].value


@pytest.fixture
def is_accepted(page_of: PageOf) -> IsAccepted:
    return lambda value: page_of("/auth/cookie-account/", LOGIN_COOKIE, value) != ""


def test_tampered_login_cookie_is_refused(
    profile: str, ada: User, is_accepted: IsAccepted, sample: Sample, report: Report
) -> None:
    with some_time_ago(minutes=50):
        other_cookie = login_cookie(User.objects.create_user("grace", password="cookies"))
    with some_time_ago(minutes=30):
        cookie = login_cookie(ada)
    assert is_accepted(cookie)
    tries = sample(tampered(cookie, other_cookie), 4)
    report("The login_auth cookie is tampered with", tries, filter(is_accepted, tries))


def signed_by_recipe(payload: str, letters: str) -> Iterator[str]:
    """Yield the payload, signed by each name and salt that join to those letters."""
    client = Client()
    for length in range(1, len(letters)):
        name = letters[:length]
        query = {"name": name, "salt": letters[length:], "value": payload}
        response = client.get("/signed/sign/", query)
        if response.status_code == HTTPStatus.OK:
            yield response.cookies[name].value


FORGED_BY_RECIPE = "The signing recipe forges a sign-in"


def test_recipe_cannot_sign_login_cookie(
    profile: str, ada: User, is_accepted: IsAccepted, report: Report
) -> None:
    tries = list(signed_by_recipe(login_cookie(ada).partition(":")[0], LOGIN_COOKIE + LOGIN_SALT))
    assert tries
    # The recipe refuses only the name of the cookie itself.
    assert len(tries) == len(LOGIN_COOKIE + LOGIN_SALT) - 2
    report(FORGED_BY_RECIPE, tries, filter(is_accepted, tries))


@on(*COOKIE_ENGINES)
def test_recipe_cannot_sign_session(whose: Whose, has_data: IsAccepted, report: Report) -> None:
    payload = signing.dumps({"color": "blue"}).partition(":")[0]
    tries = list(signed_by_recipe(payload, SIGNED_COOKIES))
    report(FORGED_BY_RECIPE, tries, filter(has_data, tries))


def test_recipe_cannot_sign_token_of_url(
    profile: str, ada: User, send: Send, settings: Settings, report: Report
) -> None:
    settings.DEMO_SESSION_IN_PATH = True

    def opens(token: str) -> bool:
        return send(f"/in-path/{token}/kitchen/").status_code != HTTPStatus.BAD_REQUEST

    key = key_of(browser(ada))
    assert opens(signing.dumps(key, salt=IN_PATH_SALT))
    tries = list(signed_by_recipe(signing.dumps(key).partition(":")[0], IN_PATH_SALT))
    report(FORGED_BY_RECIPE, tries, filter(opens, tries))
