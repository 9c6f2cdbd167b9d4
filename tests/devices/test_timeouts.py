"""SESSION_IDLE_AGE and SESSION_ABSOLUTE_AGE, and the rows and pages of signed-in sessions."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.devices.write_throttle import recent_writes
from cookieproj.engines.constants import AUTH_TIME
from cookieproj.engines.renewal import recent_checks
from demo.models import User
from tests.browsers import browser, is_in, key_of, row_of
from tests.engines.stopped_clock import Clock, stopped_clock

IDLE, ABSOLUTE = 1000, 2500
SECOND = timedelta(seconds=2)


@pytest.fixture
def clock(profile: str, store: type[SessionBase], settings: Settings) -> Iterator[Clock]:
    settings.SESSION_IDLE_AGE = IDLE
    settings.SESSION_ABSOLUTE_AGE = ABSOLUTE
    recent_checks.clear()
    recent_writes.clear()
    with stopped_clock(store) as clock:
        yield clock


def is_seconds_from_now(moment: object, seconds: int) -> bool:
    return abs(moment - timezone.now() - timedelta(seconds=seconds)) <= SECOND  # type: ignore[operator, no-any-return]


def test_row_expires_when_the_session_does(clock: Clock, ada: User) -> None:
    client = browser(ada)
    assert is_seconds_from_now(row_of(client).expires, IDLE)
    for seconds in (110, 110, 600):
        clock.move(seconds, key_of(client))
        assert is_in(client)
        assert is_seconds_from_now(row_of(client).expires, IDLE)


def test_row_of_a_session_with_a_shorter_expiry_expires_when_the_session_does(
    clock: Clock, ada: User, settings: Settings
) -> None:
    settings.SESSION_IDLE_AGE = 100 * IDLE
    settings.SESSION_ABSOLUTE_AGE = None
    settings.SESSION_COOKIE_AGE = IDLE
    client = browser(ada)
    for _visit in range(3):
        clock.move(110, key_of(client))
        assert is_in(client)
        assert is_seconds_from_now(row_of(client).expires, IDLE)


def test_reader_costs_no_statement_between_two_renewals(clock: Clock, ada: User) -> None:
    client = browser(ada)
    clock.move(150, key_of(client))
    assert is_in(client)
    with CaptureQueriesContext(connection) as captured:
        assert is_in(client)
    table = SignedInSession._meta.db_table
    assert not [query["sql"] for query in captured if f'UPDATE "{table}"' in query["sql"]]


def test_idle_session_is_signed_out(clock: Clock, ada: User) -> None:
    client = browser(ada)
    clock.move(IDLE + 2, key_of(client))
    assert not is_in(client)


def test_reader_is_signed_out_at_the_absolute_age(clock: Clock, ada: User) -> None:
    client = browser(ada)
    for _visit in range(4):
        clock.move(600, key_of(client))
        assert is_in(client)
    clock.move(102, key_of(client))
    assert not is_in(client)


def test_absolute_age_counts_from_the_last_sign_in(clock: Clock, ada: User) -> None:
    client = browser(ada)
    first = client.session[AUTH_TIME]
    for _visit in range(4):
        clock.move(600, key_of(client))
        assert is_in(client)
    form = {"username": "ada", "password": "cookies"}
    assert client.post("/auth/sign-in/", form).status_code == 302
    assert client.session[AUTH_TIME] == first + 4 * 600
    assert SignedInSession.objects.count() == 1
    assert is_seconds_from_now(row_of(client).latest_end, ABSOLUTE)
    clock.move(900, key_of(client))
    assert is_in(client)


def test_page_shows_both_ends(clock: Clock, ada: User, settings: Settings) -> None:
    client = browser(ada)
    labels = ["Ends without activity", "Ends at the latest"]
    for name, shown in (
        ("", labels),
        ("SESSION_ABSOLUTE_AGE", labels[:1]),
        ("SESSION_IDLE_AGE", []),
    ):
        if name:
            setattr(settings, name, None)
        page = client.get("/devices/").text
        assert [label for label in labels if label in page] == shown


def test_admin_shows_both_ends(clock: Clock, admin_client: Client, settings: Settings) -> None:
    lists = "/admin/cookieproj_devices/signedinsession/"
    [row] = SignedInSession.objects.all()
    for path in (lists, f"{lists}{row.pk}/change/"):
        page = admin_client.get(path).text
        assert "column-expires" in page or "field-expires" in page
        assert "column-latest_end" in page or "field-latest_end" in page
    settings.SESSION_ABSOLUTE_AGE = 10**12
    assert admin_client.get(lists).status_code == 200
    settings.SESSION_ABSOLUTE_AGE = None
    for path in (lists, f"{lists}{row.pk}/change/"):
        assert "latest_end" not in admin_client.get(path).text
