"""The header of every page, on every engine."""

import re
from datetime import timedelta
from unittest import mock

import pytest
import time_machine
from django.core.cache import caches as cache_connections
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.base import Engine
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.round_trips import count_round_trips
from cookieproj.settings.caches import caches
from demo.models import User
from demo.wording import time_until
from tests.browsers import browser
from tests.conftest import on
from tests.families import COOKIE_ENGINES


def header_text(client: Client, path: str = "/") -> str:
    """Return the text of the header on that page."""
    page = client.get(path).content.decode()
    match = re.search(r'<dl class="state".*?</dl>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", match[0]).split()) if match else ""


def test_header_without_session(profile: str, client: Client) -> None:
    assert header_text(client) == f"Engine {profile} This session none yet Signed in nobody"


def test_header_shows_user_and_expiry(profile: str, ada: User) -> None:
    client = browser(ada)
    assert "expires in 14 days Signed in ada" in header_text(client)
    client.post("/expiry/in-seconds/", {"seconds": 3600})
    assert "expires in 1 hour Signed in ada" in header_text(client)


# What these engines store is signed with SECRET_KEY.
SIGNING_ENGINES = ("db", "file", "cached_db")

NOT_VALID = "none: the cookie is not valid"
NOT_READABLE = "stored, but this site cannot read it"


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("first", ["/", "/session/"])
def test_header_and_page_agree_after_a_change_of_secret_key(
    first: str, signed_in: bool, profile: str, ada: User, settings: Settings
) -> None:
    settings.DEBUG = True
    client = browser(ada if signed_in else None)
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    settings.SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"
    cookie = client.cookies["sessionid"].value
    if profile == "cached_db":
        # A copy in the cache is not signed.
        cache_connections["sessions"].clear()
    header = header_text(client, first)
    # Django has ended the session of a user, and the response has deleted the cookie.
    client.cookies["sessionid"] = cookie
    page = client.get("/session/").content.decode()
    if profile in SIGNING_ENGINES:
        shown = NOT_READABLE
    elif signed_in or profile in COOKIE_ENGINES:
        shown = NOT_VALID
    else:
        shown = "expires in 14 days"
    assert header == f"Engine {profile} This session {shown} Signed in nobody"
    assert ("Stored as" in page) == (shown != NOT_VALID)
    assert ("a session cookie that is not valid here" in page) == (shown == NOT_VALID)
    assert ("This site cannot read the stored session" in page) == (shown == NOT_READABLE)


@on(*SIGNING_ENGINES)
def test_next_change_replaces_session_that_cannot_be_read(
    profile: str, client: Client, settings: Settings
) -> None:
    client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    key = client.cookies["sessionid"].value
    cache_connections["sessions"].clear()
    settings.SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"
    assert NOT_READABLE in header_text(client)
    client.post("/sessions/set-item/", {"key": "size", "value": "large"})
    assert "expires in 14 days" in header_text(client)
    assert (client.cookies["sessionid"].value, dict(client.session.items())) == (
        key,
        {"size": "large"},
    )


@on("cache")
@pytest.mark.parametrize("store", ["memcached", "filecache"])
def test_header_of_cache_that_does_not_report_the_expiry(
    store: str, profile: str, ada: User, settings: Settings, request: pytest.FixtureRequest
) -> None:
    """Django's cache of files does not even report where a session is."""
    settings.DEBUG = True
    if store == "memcached":
        settings.CACHES = caches(request.getfixturevalue("memcached_url"))
    else:
        backend = "django.core.cache.backends.filebased.FileBasedCache"
        folder = request.getfixturevalue("tmp_path") / "cache"
        cache = {"BACKEND": backend, "LOCATION": str(folder)}
        settings.CACHES = {"default": cache, "sessions": cache}
    client = browser(ada)
    shown = "stored: the store does not report when it expires"
    assert header_text(client) == f"Engine cache This session {shown} Signed in ada"
    page = client.get("/session/").content.decode()
    assert "has no session yet" not in page
    assert ("Stored as" in page) == (store == "memcached")
    assert ("The cache has the session" in page) == (store == "filecache")


def test_header_of_made_up_cookie(profile: str, client: Client) -> None:
    client.cookies["sessionid"] = "k" * 32
    assert header_text(client) == f"Engine {profile} This session {NOT_VALID} Signed in nobody"


@on("db", "file", "cached_db", *COOKIE_ENGINES)
def test_viewing_page_does_not_move_expiry(profile: str, ada: User) -> None:
    """Not on Redis, whose clock does not travel."""
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(days=13)):
        assert "expires in 1 day" in header_text(client)
        assert "expires in 1 day" in header_text(client)


def test_header_of_session_that_ends_at_browser_close(profile: str, client: Client) -> None:
    client.post("/expiry/at-browser-close/")
    assert "expires in 14 days , or when the browser closes Signed in nobody" in header_text(client)


def test_header_and_page_with_unreachable_store(ada: User) -> None:
    client = browser(ada)
    unavailable = StoreUnavailableError("table django_session", "No answer.")
    with mock.patch.object(Engine, "load", side_effect=unavailable):
        assert header_text(client) == "Engine db This session the store does not answer"


def test_unreachable_store_is_asked_once_and_logged(
    ada: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Each time takes as long as the store's time-out."""
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.CACHES = caches("redis://127.0.0.1:1/0")
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = "k" * 32
    with count_round_trips() as round_trips:
        assert header_text(client) == "Engine cache This session the store does not answer"
    assert round_trips.number == 1
    [message] = caplog.messages
    assert message.startswith("/: The session store is unavailable: Redis 127.0.0.1:1/1.")


def test_header_shows_path_of_djangos_engine(settings: Settings, ada: User) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    header = header_text(browser(ada))
    assert header == (
        "Engine django.contrib.sessions.backends.db "
        "This session unknown: the engine does not report it Signed in ada"
    )


@pytest.mark.parametrize("path", ["/auth/account/", "/expiry/every-setting/"])
def test_recipes_response_has_no_header_and_no_extra_query(path: str, ada: User) -> None:
    client = browser(ada)
    with CaptureQueriesContext(connection) as captured:
        assert header_text(client, path) == ""
    session_queries = [query["sql"] for query in captured if "django_session" in query["sql"]]
    assert len(session_queries) == (path == "/auth/account/")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (14 * 86400 - 0.2, "14 days"),
        (14 * 86400 - 40, "13 days, 23 hours, 59 minutes"),
        (90 * 60 + 3, "1 hour, 30 minutes"),
        (59, "59 seconds"),
        (0, "0 seconds"),
        (-5, "0 seconds"),
    ],
)
def test_time_left(seconds: float, text: str) -> None:
    with time_machine.travel("2026-05-04T12:00:00Z", tick=False):
        assert time_until(timezone.now() + timedelta(seconds=seconds)) == text
