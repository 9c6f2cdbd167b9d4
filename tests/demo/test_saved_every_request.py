"""With SESSION_SAVE_EVERY_REQUEST a page that leaves its session alone renews it all the same."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import write_throttle
from cookieproj.devices.middleware import DevicesMiddleware
from cookieproj.devices.models import SignedInSession
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.round_trips import count_round_trips
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of, row_of
from tests.families import IN_COOKIES, run_on
from tests.fault_table import WHOSE, Whose

# A page that asks for no session.
PATH = "/reading/all-cookies/"

AGE = timedelta(days=14)


@pytest.fixture(autouse=True)
def saved_every_request(settings: Settings) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True


@pytest.fixture(params=WHOSE)
def family(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    found: Whose = request.param
    run_on(settings, found, profile)
    return found


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """What is saved then is as old as that; Django's engine of files goes by their own times."""
    with time_machine.travel(moment):
        yield
    for file in Path(django_settings.SESSION_FILE_PATH).iterdir():
        os.utime(file, (moment.timestamp(), moment.timestamp()))


def test_it_is_known_after_weeks_of_visits_and_gone_once_it_has_expired(
    family: Whose, profile: str, ada: User
) -> None:
    client = browser(ada, IPHONE)
    began = timezone.now()
    for days in (5, 10, 15, 20):
        # Each by another process.
        write_throttle.recent_writes.clear()
        with at(began + timedelta(days=days)):
            response = client.get(PATH)
            assert (response.status_code, "sessionid" in response.cookies) == (200, True)
    row = row_of(client)
    last = began + timedelta(days=20)
    assert abs(row.expires - last - AGE) < timedelta(minutes=1)
    with at(last):
        other = browser(ada)
    with at(last + timedelta(hours=1)):
        call_command("clearsessions", verbosity=0)
        assert row in SignedInSession.objects.live()
        assert "Mobile Safari" in other.get("/devices/").text
    with at(last + AGE + timedelta(minutes=30)):
        call_command("clearsessions", verbosity=0)
        assert row not in SignedInSession.objects.all()
        assert "Mobile Safari" not in other.get("/devices/").text


def test_what_two_processes_have_left_alone_is_not_forgotten(
    family: Whose, profile: str, ada: User
) -> None:
    """The second one has looked just before it would have been news, and looks again as late."""
    client = browser(ada)
    began = timezone.now()
    write_throttle.recent_writes.clear()
    interval = write_throttle.LAST_SEEN_INTERVAL
    for seconds in (interval - 1, 2 * interval - 2):
        with at(began + timedelta(seconds=seconds)):
            client.get(PATH)
    assert abs(row_of(client).expires - began - AGE) < timedelta(seconds=30)
    with at(began + AGE + timedelta(seconds=2 * interval - 60)):
        call_command("clearsessions", verbosity=0)
        assert SignedInSession.objects.count() == 1


def without_the_index(settings: Settings) -> None:
    name = "cookieproj.devices.middleware.DevicesMiddleware"
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != name]


def test_nothing_is_asked_for_that_a_save_would_not_ask_for(
    profile: str, ada: User, settings: Settings
) -> None:
    client = browser(ada)

    def costs() -> tuple[int, int]:
        client.handler.load_middleware()
        client.get(PATH)
        with count_round_trips() as trips, CaptureQueriesContext(connection) as captured:
            client.get(PATH)
        return trips.number, len(captured)

    with_index = costs()
    without_the_index(settings)
    assert with_index == costs()


@pytest.mark.parametrize("cookie", ["live", "none", "stale"])
def test_a_page_varies_by_cookie_as_it_did(
    cookie: str, family: Whose, profile: str, ada: User, settings: Settings
) -> None:
    client = browser(ada) if cookie == "live" else browser()
    if cookie == "stale":
        client.cookies["sessionid"] = "k" * 32

    def answered() -> Any:
        visitor = browser()
        if cookie != "none":
            visitor.cookies["sessionid"] = key_of(client)
        return visitor.get(PATH)

    with_index = answered()
    without_the_index(settings)
    assert with_index.headers.get("Vary") == answered().headers.get("Vary")
    is_set = [bool(each.value) for each in with_index.cookies.values()]
    # Ours leaves what opens nothing. Django's forgets it, or signs an empty session anew.
    on_stale = [] if family == "ours" else [profile in IN_COOKIES]
    assert is_set == {"live": [True], "none": [], "stale": on_stale}[cookie]


def test_who_brings_no_session_is_asked_for_none(family: Whose, profile: str) -> None:
    serve: Any = SessionMiddleware(DevicesMiddleware(lambda request: HttpResponse()))
    response = serve(RequestFactory().get("/"))
    assert "Vary" not in response.headers
    assert not response.cookies


def test_who_is_out_by_the_password_is_out(family: Whose, profile: str, ada: User) -> None:
    client = browser(ada)
    ada.set_password("another")
    ada.save()
    write_throttle.recent_writes.clear()
    client.get(PATH)
    assert not is_in(client)
    assert not SignedInSession.objects.live().exists()
