"""With SESSION_SAVE_EVERY_REQUEST, a page that does not use its session still extends it."""

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

# A page that does not use the session.
PATH = "/reading/all-cookies/"

AGE = timedelta(days=14)


@pytest.fixture(autouse=True)
def saved_every_request(settings: Settings) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True


@pytest.fixture(params=WHOSE)
def family(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    whose: Whose = request.param
    run_on(settings, whose, profile)
    return whose


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Save sessions at that moment, also for Django's file engine, which reads the files' times."""
    with time_machine.travel(moment):
        yield
    for file in Path(django_settings.SESSION_FILE_PATH).iterdir():
        os.utime(file, (moment.timestamp(), moment.timestamp()))


def test_each_visit_extends_row_until_it_expires(family: Whose, profile: str, ada: User) -> None:
    client = browser(ada, IPHONE)
    start = timezone.now()
    for days in (5, 10, 15, 20):
        # As in a new process.
        write_throttle.recent_writes.clear()
        with at(start + timedelta(days=days)):
            response = client.get(PATH)
            assert (response.status_code, "sessionid" in response.cookies) == (200, True)
    row = row_of(client)
    last_visit = start + timedelta(days=20)
    assert abs(row.expires - last_visit - AGE) < timedelta(minutes=1)
    with at(last_visit):
        other_browser = browser(ada)
    with at(last_visit + timedelta(hours=1)):
        call_command("clearsessions", verbosity=0)
        assert row in SignedInSession.objects.live()
        assert "Mobile Safari" in other_browser.get("/devices/").text
    with at(last_visit + AGE + timedelta(minutes=30)):
        call_command("clearsessions", verbosity=0)
        assert row not in SignedInSession.objects.all()
        assert "Mobile Safari" not in other_browser.get("/devices/").text


def test_row_is_kept_if_two_processes_skip_updates(family: Whose, profile: str, ada: User) -> None:
    """The second process sees both visits just before an update of the row is due."""
    client = browser(ada)
    start = timezone.now()
    write_throttle.recent_writes.clear()
    interval = write_throttle.LAST_SEEN_INTERVAL
    for seconds in (interval - 1, 2 * interval - 2):
        with at(start + timedelta(seconds=seconds)):
            client.get(PATH)
    assert abs(row_of(client).expires - start - AGE) < timedelta(seconds=30)
    with at(start + AGE + timedelta(seconds=2 * interval - 60)):
        call_command("clearsessions", verbosity=0)
        assert SignedInSession.objects.count() == 1


def remove_devices_middleware(settings: Settings) -> None:
    name = "cookieproj.devices.middleware.DevicesMiddleware"
    settings.MIDDLEWARE = [middleware for middleware in settings.MIDDLEWARE if middleware != name]


def test_devices_middleware_costs_no_round_trip_and_no_query(
    profile: str, ada: User, settings: Settings
) -> None:
    client = browser(ada)

    def count_costs() -> tuple[int, int]:
        client.handler.load_middleware()
        client.get(PATH)
        with count_round_trips() as trips, CaptureQueriesContext(connection) as captured:
            client.get(PATH)
        return trips.number, len(captured)

    with_middleware = count_costs()
    remove_devices_middleware(settings)
    assert with_middleware == count_costs()


@pytest.mark.parametrize("cookie", ["live", "none", "stale"])
def test_devices_middleware_changes_neither_vary_nor_cookies(
    cookie: str, family: Whose, profile: str, ada: User, settings: Settings
) -> None:
    client = browser(ada) if cookie == "live" else browser()
    if cookie == "stale":
        client.cookies["sessionid"] = "k" * 32

    def get_page() -> Any:
        visitor = browser()
        if cookie != "none":
            visitor.cookies["sessionid"] = key_of(client)
        return visitor.get(PATH)

    with_middleware = get_page()
    remove_devices_middleware(settings)
    assert with_middleware.headers.get("Vary") == get_page().headers.get("Vary")
    is_set = [bool(morsel.value) for morsel in with_middleware.cookies.values()]
    # Our engines leave a stale cookie alone. Django's delete it, or sign an empty session.
    on_stale = [] if family == "ours" else [profile in IN_COOKIES]
    assert is_set == {"live": [True], "none": [], "stale": on_stale}[cookie]


def test_request_without_session_gets_no_vary_and_no_cookie(family: Whose, profile: str) -> None:
    serve: Any = SessionMiddleware(DevicesMiddleware(lambda request: HttpResponse()))
    response = serve(RequestFactory().get("/"))
    assert "Vary" not in response.headers
    assert not response.cookies


def test_new_password_ends_session(family: Whose, profile: str, ada: User) -> None:
    client = browser(ada)
    ada.set_password("another")
    ada.save()
    write_throttle.recent_writes.clear()
    client.get(PATH)
    assert not is_in(client)
    assert not SignedInSession.objects.live().exists()
