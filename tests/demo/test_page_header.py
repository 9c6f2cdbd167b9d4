"""What stands above every page, on every engine."""

import re
from datetime import timedelta
from unittest import mock

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.base import Engine
from cookieproj.engines.exceptions import StoreUnavailableError
from demo.models import User
from tests.browsers import browser
from tests.conftest import on
from tests.families import COOKIE_ENGINES


def state(client: Client, path: str = "/") -> str:
    """Its text, on that page."""
    page = client.get(path).content.decode()
    found = re.search(r'<dl class="state".*?</dl>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()) if found else ""


def test_nobody_and_no_session_yet(profile: str, client: Client) -> None:
    assert state(client) == f"Engine {profile} This session none yet Signed in nobody"


def test_who_is_signed_in_and_for_how_long(profile: str, ada: User) -> None:
    client = browser(ada)
    assert "expires 1 week, 6 days from now Signed in ada" in state(client)
    client.post("/expiry/in-seconds/", {"seconds": 3600})
    assert "expires 59 minutes from now Signed in ada" in state(client)


@on("db", "file", "cached_db", *COOKIE_ENGINES)
def test_to_look_moves_no_expiry(profile: str, ada: User) -> None:
    """Redis has a clock of its own, which does not travel."""
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(days=13)):
        assert "expires 23 hours from now" in state(client)
        assert "expires 23 hours from now" in state(client)


def test_a_session_that_ends_with_the_browser(profile: str, client: Client) -> None:
    client.post("/expiry/at-browser-close/")
    assert "from now , or when the browser closes Signed in nobody" in state(client)


def test_a_store_that_is_away_hides_what_it_knows_and_no_page(ada: User) -> None:
    client = browser(ada)
    away = StoreUnavailableError("table django_session", "It is away.")
    with mock.patch.object(Engine, "load", side_effect=away):
        assert state(client) == "Engine db This session the store does not answer"


def test_an_engine_of_djangos_own_is_called_by_its_path(settings: Settings, ada: User) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    shown = state(browser(ada))
    assert shown == (
        "Engine django.contrib.sessions.backends.db "
        "This session unknown: the engine does not report it Signed in ada"
    )


@pytest.mark.parametrize("path", ["/auth/account/", "/expiry/every-setting/"])
def test_a_recipe_asks_for_no_more_than_it_does(path: str, ada: User) -> None:
    client = browser(ada)
    with CaptureQueriesContext(connection) as captured:
        assert state(client, path) == ""
    asked = [query["sql"] for query in captured if "django_session" in query["sql"]]
    assert len(asked) == (path == "/auth/account/")
