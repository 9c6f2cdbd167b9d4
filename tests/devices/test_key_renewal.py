"""SESSION_RENEW_AGE, and the rows of signed-in sessions, which have the session key."""

from collections.abc import Iterator

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.core.management import call_command
from django.http import HttpRequest
from pytest_django import Settings

from cookieproj.devices import tracking
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.write_throttle import recent_writes
from cookieproj.engines.key_renewal import GRACE
from demo.models import User
from tests.browsers import browser, is_in, key_of, row_of
from tests.conftest import on
from tests.engines.stopped_clock import Clock, stopped_clock
from tests.families import SERVER_ENGINES

RENEW = 3600

pytestmark = on(*SERVER_ENGINES)


@pytest.fixture
def clock(profile: str, store: type[SessionBase], settings: Settings) -> Iterator[Clock]:
    settings.SESSION_RENEW_AGE = RENEW
    recent_writes.clear()
    with stopped_clock(store) as clock:
        yield clock


def test_row_gets_the_new_key(clock: Clock, ada: User) -> None:
    client = browser(ada)
    old_key = key_of(client)
    clock.move(RENEW, old_key)
    assert is_in(client)
    new_key = key_of(client)
    assert new_key != old_key
    assert is_in(client)
    assert row_of(client).session_key == new_key
    assert SignedInSession.objects.count() == 1


def test_device_is_signed_out_at_each_moment_of_a_renewal(clock: Clock, ada: User) -> None:
    """Before the row has the new key, and after it."""
    for requests_after_renewal in (0, 1, 2):
        client, other = browser(ada), browser(ada)
        row = row_of(client)
        clock.move(RENEW, key_of(client))
        for _request in range(requests_after_renewal + 1):
            assert is_in(client)
        other.post(f"/devices/{row.pk}/sign-out/")
        assert not SignedInSession.objects.filter(pk=row.pk).exists()
        assert not is_in(client)


def test_device_is_listed_at_each_moment_of_a_renewal(clock: Clock, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    row = row_of(client)
    clock.move(RENEW, key_of(client))
    for _request in range(3):
        assert is_in(client)
        assert f"/devices/{row.pk}/sign-out/" in other.get("/devices/").text
        call_command("clearsessions")
        assert SignedInSession.objects.filter(pk=row.pk).exists()


def test_request_from_before_the_renewal_does_not_give_the_row_its_previous_key(
    clock: Clock, ada: User, store: type[SessionBase]
) -> None:
    client = browser(ada)
    late = HttpRequest()
    late.session, late.user = store(key_of(client)), ada
    assert late.session["_auth_user_id"]
    clock.move(RENEW, key_of(client))
    assert is_in(client)
    assert is_in(client)
    recent_writes.clear()
    tracking.track(late)
    assert row_of(client).session_key == key_of(client) != late.session.session_key


def test_late_request_does_not_give_the_row_its_previous_key(
    clock: Clock, ada: User, store: type[SessionBase]
) -> None:
    client = browser(ada)
    old_key = key_of(client)
    clock.move(RENEW, old_key)
    assert is_in(client)
    assert is_in(client)
    new_key = key_of(client)
    recent_writes.clear()
    late = browser()
    late.cookies["sessionid"] = old_key
    assert is_in(late)
    assert key_of(late) == new_key
    assert row_of(client).session_key == new_key
    clock.move(GRACE + 2, old_key)
    late.cookies["sessionid"] = old_key
    assert not is_in(late)
    assert is_in(client)


def test_sign_out_everywhere_ends_renewed_session(clock: Clock, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    clock.move(RENEW, key_of(client))
    assert is_in(client)
    other.post("/devices/sign-out-others/")
    assert not is_in(client)
    assert is_in(other)
