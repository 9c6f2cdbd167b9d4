"""The page that shows where a session lives, on every engine and store."""

import html
import json
import re
from importlib import import_module
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from cookieproj.settings.caches import caches
from demo.models import User
from demo.session_page import stored_sessions
from tests.browsers import browser, key_of
from tests.families import IN_COOKIES


@pytest.fixture(autouse=True)
def development(settings: Settings) -> None:
    settings.DEBUG = True


def visitor(user: User | None = None) -> Client:
    client = browser(user)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue & green"})
    return client


def shown(client: Client, query: str = "") -> str:
    response = client.get(f"/session/{query}")
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    # To look changes nothing.
    assert "sessionid" not in response.cookies
    return html.unescape(response.content.decode())


def read(page: str) -> Any:
    """The session as the last step shows it."""
    return json.loads(re.findall(r"<pre[^>]*>(\{.*?\})</pre>", page, re.DOTALL)[-1])


PLACES = {
    "db": ["table django_session"],
    "cache": ["Redis"],
    "file": ["folder "],
    "cached_db": ["table django_session", "Redis"],
    "signed_cookies": ["cookie sessionid of the browser"],
    "encrypted_cookies": ["cookie sessionid of the browser"],
    "mongodb": ["MongoDB"],
}


def test_each_place_is_named_and_read(profile: str, db: None) -> None:
    page = shown(visitor())
    for place in PLACES[profile]:
        assert re.search(rf'<h2 id="place-\d">{place}', page)
    assert page.count('<h2 id="place-') == len(PLACES[profile])
    assert read(page) == {"color": "blue & green"}


def test_the_bytes_are_those_that_are_stored(profile: str, settings: Settings, db: None) -> None:
    client = visitor()
    store = import_module(settings.SESSION_ENGINE).SessionStore
    page = shown(client, "?whole")
    for location in store(key_of(client)).locate():
        assert f">{location.payload.decode()}</pre>" in page
        assert f"{len(location.payload)} bytes" in page


def test_key_and_signature_are_shown_on_request_only(profile: str, db: None) -> None:
    client = visitor()
    key = key_of(client)
    assert key not in shown(client)
    assert key in shown(client, "?whole")
    if profile in IN_COOKIES:
        data, _, signature = key.rpartition(":")
        assert data in shown(client)
        assert signature not in shown(client)


def test_time_to_live(profile: str, db: None) -> None:
    [seconds, *_] = re.findall(r"\(in ([\d,]+) seconds\)", shown(visitor()))
    assert 1_209_590 <= int(seconds.replace(",", "")) <= 1_209_600


@pytest.mark.parametrize("profile", ["file"], indirect=True)
def test_a_file_has_a_mode(profile: str) -> None:
    assert "-rw-------" in shown(visitor())


@pytest.mark.parametrize("store", ["locmem", "memcached"])
def test_what_is_pickled_is_read_by_the_engine(
    store: str, settings: Settings, request: pytest.FixtureRequest
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    url = "locmem://" if store == "locmem" else request.getfixturevalue("memcached_url")
    settings.CACHES = caches(url)
    page = shown(visitor())
    assert "Unpickle" in page
    assert read(page) == {"color": "blue & green"}
    if store == "memcached":
        assert "the store does not report it" in page


def test_without_a_session_there_is_a_way_to_one(profile: str, client: Client) -> None:
    page = shown(client)
    assert "no session yet" in page
    assert 'href="/recipes/sessions/set-item/"' in page


def test_a_key_that_opens_nothing_is_no_session(profile: str, client: Client) -> None:
    client.cookies["sessionid"] = "k" * 32
    response = client.get("/session/")
    assert "no session yet" in response.content.decode()


def test_an_engine_that_cannot_tell_says_so(settings: Settings, db: None) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert "django.contrib.sessions.backends.db does not report" in shown(visitor())


def test_outside_of_development_nothing_is_shown(
    profile: str, settings: Settings, db: None
) -> None:
    settings.DEBUG = False
    client = visitor()
    page = shown(client, "?whole")
    assert "Shown only while DEBUG is on" in page
    assert key_of(client) not in page
    assert "blue & green" not in page


@pytest.mark.parametrize("profile", ["db", "signed_cookies"], indirect=True)
def test_a_changed_text_is_read_and_does_not_hold(profile: str, db: None) -> None:
    client = visitor()
    [text] = re.findall(r"<textarea[^>]*>\s*(\S+)</textarea>", shown(client, "?whole"))
    whole = client.post("/session/?whole", {"text": text}).content.decode()
    assert "is not valid" not in whole
    broken = client.post("/session/?whole", {"text": f"{text[:-1]}{'ab'[text[-1] == 'a']}"})
    assert "The signature is not valid" in broken.content.decode()
    assert "blue" in shown(client)


@pytest.mark.parametrize("text", ["", "x" * 20_001])
def test_a_text_that_is_none_is_told(text: str, db: None) -> None:
    response = visitor().post("/session/?whole", {"text": text})
    assert response.status_code == 200
    assert 'class="errorlist"' in response.content.decode()


@pytest.mark.parametrize("in_development", [True, False])
def test_no_text_is_too_much_for_it(in_development: bool, settings: Settings, db: None) -> None:
    settings.DEBUG = in_development
    page = visitor().post("/session/?whole", {"text": "[" * 20_000}).content.decode()
    assert ("This is not JSON." in page) == in_development


@pytest.mark.parametrize("profile", ["file"], indirect=True)
def test_a_file_that_is_just_gone_has_no_mode(profile: str) -> None:
    client = visitor()
    session = client.session
    [place] = stored_sessions(session, shows_secrets=False)
    session.delete(key_of(client))
    assert place.mode == ""


@pytest.mark.parametrize(
    ("profile", "who"),
    [("db", "Anybody who can read the store"), ("signed_cookies", "Anybody who has the cookie")],
    indirect=["profile"],
)
def test_who_can_read_it_depends_on_where_it_is(profile: str, who: str, db: None) -> None:
    assert f"{who} can read" in shown(visitor())
