"""The page that shows where and how a session is stored, on every engine and store."""

import html
import json
import re
from importlib import import_module
from typing import Any

import pytest
from django.core.cache import caches as cache_connections
from django.test import Client
from django.utils.html import escape
from pytest_django import Settings

from cookieproj.settings.caches import caches
from demo.models import User
from demo.session_page import StoredSession
from tests.browsers import again, browser, key_of
from tests.families import IN_COOKIES


@pytest.fixture(autouse=True)
def debug(settings: Settings) -> None:
    settings.DEBUG = True


def visitor(user: User | None = None) -> Client:
    client = browser(user)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue & green"})
    return client


def get_page(client: Client, query: str = "") -> str:
    response = client.get(f"/session/{query}")
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    # Viewing the page does not save the session.
    assert "sessionid" not in response.cookies
    return html.unescape(response.content.decode())


def decoded_data(page: str) -> Any:
    """Return the data as the last decoding step shows them."""
    return json.loads(re.findall(r"<pre[^>]*>(\{.*?\})</pre>", page, re.DOTALL)[-1])


LOCATIONS = {
    "db": ["table django_session"],
    "cache": ["Redis"],
    "file": ["folder "],
    "cached_db": ["table django_session", "Redis"],
    "signed_cookies": ["cookie sessionid of the browser"],
    "encrypted_cookies": ["cookie sessionid of the browser"],
    "mongodb": ["MongoDB"],
}


def test_each_location_is_named_and_decoded(profile: str, db: None) -> None:
    page = get_page(visitor())
    for location in LOCATIONS[profile]:
        assert re.search(rf'<h2 id="place-\d">{location}', page)
    assert page.count('<h2 id="place-') == len(LOCATIONS[profile])
    assert decoded_data(page) == {"color": "blue & green"}


def test_stored_bytes_are_shown(profile: str, settings: Settings, db: None) -> None:
    client = visitor()
    store = import_module(settings.SESSION_ENGINE).SessionStore
    page = get_page(client, "?whole")
    for location in store(key_of(client)).locate():
        assert f">{location.payload.decode()}</pre>" in page
        assert f"{len(location.payload)} bytes" in page


def test_key_and_signature_are_shown_only_on_request(profile: str, db: None) -> None:
    client = visitor()
    key = key_of(client)
    assert key not in get_page(client)
    assert key in get_page(client, "?whole")
    if profile in IN_COOKIES:
        data, _, signature = key.rpartition(":")
        assert data in get_page(client)
        assert signature not in get_page(client)


def test_time_to_live_is_shown(profile: str, db: None) -> None:
    page = get_page(visitor())
    assert "(in 14 days)" in page
    assert "expires in 14 days" in page
    assert "14 days after its last change." in page


@pytest.mark.parametrize("profile", ["file"], indirect=True)
def test_mode_of_file_is_shown(profile: str) -> None:
    assert "-rw-------" in get_page(visitor())


@pytest.mark.parametrize("store", ["locmem", "memcached"])
def test_pickled_session_is_decoded(
    store: str, settings: Settings, request: pytest.FixtureRequest
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    url = "locmem://" if store == "locmem" else request.getfixturevalue("memcached_url")
    settings.CACHES = caches(url)
    page = get_page(visitor())
    assert "Unpickle" in page
    assert decoded_data(page) == {"color": "blue & green"}
    if store == "memcached":
        assert "the store does not report it" in page


def test_page_without_session_links_to_recipe(profile: str, client: Client) -> None:
    page = get_page(client)
    assert "no session yet" in page
    assert 'href="/recipes/sessions/set-item/"' in page


def test_unknown_key_is_no_session(profile: str, client: Client) -> None:
    client.cookies["sessionid"] = "k" * 32
    response = client.get("/session/")
    assert "no session yet" in response.content.decode()


def test_engine_that_does_not_report_locations(settings: Settings, db: None) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert "django.contrib.sessions.backends.db does not report" in get_page(visitor())


def test_nothing_is_shown_without_debug(profile: str, settings: Settings, db: None) -> None:
    settings.DEBUG = False
    client = visitor()
    page = get_page(client, "?whole")
    assert "Shown only while DEBUG is on" in page
    assert key_of(client) not in page
    assert "blue & green" not in page


@pytest.mark.parametrize("profile", ["db", "signed_cookies"], indirect=True)
def test_changed_text_is_decoded_as_invalid(profile: str, db: None) -> None:
    client = visitor()
    [text] = re.findall(r"<textarea[^>]*>\s*(\S+)</textarea>", get_page(client, "?whole"))
    unchanged = client.post("/session/?whole", {"text": text}).content.decode()
    assert "is not valid" not in unchanged
    changed = client.post("/session/?whole", {"text": f"{text[:-1]}{'ab'[text[-1] == 'a']}"})
    assert "The signature is not valid" in changed.content.decode()
    assert "blue" in get_page(client)


@pytest.mark.parametrize("profile", ["cached_db"], indirect=True)
def test_copy_in_the_cache_is_shown_after_a_clearing(profile: str, db: None) -> None:
    client = visitor()
    cache_connections["sessions"].clear()
    assert get_page(client).count('<h2 id="place-') == 2


@pytest.mark.parametrize("profile", ["db", "cached_db"], indirect=True)
def test_outcome_of_a_new_key(profile: str, settings: Settings, db: None) -> None:
    """A row whose signature is not valid is no empty session while the cache has a copy."""
    client = visitor()
    settings.SECRET_KEY = "the key of next year, which is long enough to be one of a site"
    page = get_page(client)
    reads_copy = b"blue" in client.get("/sessions/get-item/").content
    assert reads_copy == (profile == "cached_db")
    assert ("The site has read the copy in the cache instead" in page) == reads_copy
    assert ("to Django this is an empty session" in page) == (not reads_copy)


@pytest.mark.parametrize("text", ["", "x" * 20_001])
def test_invalid_text_is_a_form_error(text: str, db: None) -> None:
    response = visitor().post("/session/?whole", {"text": text})
    assert response.status_code == 200
    assert 'class="errorlist"' in response.content.decode()


@pytest.mark.parametrize("is_debug", [True, False])
def test_deeply_nested_text_is_not_an_error(is_debug: bool, settings: Settings, db: None) -> None:
    settings.DEBUG = is_debug
    page = visitor().post("/session/?whole", {"text": "[" * 20_000}).content.decode()
    assert ("This is not JSON." in page) == is_debug


@pytest.mark.parametrize("profile", ["file"], indirect=True)
def test_deleted_file_has_no_mode(profile: str) -> None:
    client = visitor()
    session = client.session
    [location] = session.locate()  # type: ignore[attr-defined]
    session.delete(key_of(client))
    assert StoredSession(location, session, shows_secrets=False).mode == ""


@pytest.mark.parametrize(
    ("profile", "reader"),
    [("db", "Anybody who can read the store"), ("signed_cookies", "Anybody who has the cookie")],
    indirect=["profile"],
)
def test_page_names_who_can_read_session(profile: str, reader: str, db: None) -> None:
    assert f"{reader} can read" in get_page(visitor())


@pytest.mark.parametrize("profile", ["db", "cached_db", "file"], indirect=True)
def test_page_says_which_copy_can_be_changed(profile: str, db: None) -> None:
    """Of a signed row and its copy in the cache, requests read the copy."""
    client = visitor()
    page = get_page(client)
    warning = "Requests do not read this text first, but the copy in Redis"
    assert (warning in page) == (profile == "cached_db")
    in_box = "whoever can write to the cache: the copy there is not signed"
    assert (in_box in page) == (profile == "cached_db")
    if profile == "cached_db":
        redis: Any = cache_connections["sessions"].client.get_client()  # type: ignore[attr-defined]
        [name] = redis.keys("*")
        redis.set(name, redis.get(name).replace(b"blue", b"gray"), keepttl=True)
        assert b"color is gray & green" in again(client).get("/sessions/get-item/").content


def test_entries_of_django_and_of_this_project_are_explained(profile: str, ada: User) -> None:
    client = browser(ada)
    client.post("/sessions/set-item/")
    page: Any = client.get("/session/")
    entries = dict(page.context["entries"])
    names = [name for name, _value in client.session.items() if name.startswith("_")]
    assert set(names) == set(entries)
    assert {"_auth_user_id", "_auth_user_hash", "_signed_in_session"} <= set(entries)
    for name, meaning in entries.items():
        assert f"<dt><code>{name}</code></dt><dd>{escape(meaning)}</dd>" in page.text


def test_entries_of_views_need_no_explanation(client: Client, db: None) -> None:
    client.post("/sessions/set-item/")
    assert "Entries that Django" not in client.get("/session/").text


def test_session_that_this_site_cannot_read(settings: Settings, db: None) -> None:
    client = visitor()
    settings.SECRET_KEY = "the key of next year, which is long enough to be one of a site"
    page = get_page(client)
    assert "It is not request.session, as the signature is wrong." in page
    assert "This is request.session." not in page
    assert "This site cannot read the stored session of this browser" in page
    assert "Kept after:" not in page


def test_box_of_a_session_to_come(profile: str, client: Client, db: None) -> None:
    assert f"Your session, once this browser has one, on the engine {profile}." in get_page(client)
    assert f"Your session, on the engine {profile}." in get_page(visitor())
