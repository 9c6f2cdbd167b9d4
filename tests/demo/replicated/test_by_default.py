"""Once more where ``default`` is the replica: no statement goes there because no alias is named."""

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError, connections
from django.test import Client
from pytest_django import Settings

from cookieproj.devices import write_throttle
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signing_out import sign_out_everywhere
from cookieproj.engines.exceptions import StoreUnavailableError
from demo.attacks import ATTEMPTS
from demo.models import User
from tests.browsers import browser, is_in, row_of
from tests.conftest import connected, on
from tests.devices.test_your_devices import *  # noqa: F403
from tests.replicas import WritesToPrimary, added, routed, sqlite


@pytest.fixture(autouse=True)
def replicated(on_file: Path, settings: Settings) -> Iterator[None]:
    read_only = sqlite(on_file, read_only=True)
    with added("primary") as primary:
        # It makes the file one that is read while it is written.
        primary.connect()
        with connected("sqlite://", **read_only), routed(settings, WritesToPrimary):
            yield


def test_it_takes_no_writes(profile: str, ada: User) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        User.objects.using("default").update(first_name="Ada")


@on("db", "cache")
def test_signing_out_everywhere_is_done_whole_or_not(
    profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(ada)
    monkeypatch.setattr("cookieproj.devices.signing_out.add_log_entries", None)
    with pytest.raises(TypeError):
        sign_out_everywhere(ada)
    assert User.objects.get().sign_outs == 0
    assert is_in(client)


@on("cache")
@pytest.mark.usefixtures("unwatched")
def test_a_primary_that_is_unreachable_is_named(
    profile: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with mock.patch.dict(connections.settings["primary"], NAME="/no/folder/db.sqlite3"):
        response = client.get("/health/")
    assert (response.status_code, response.json()["database"]) == (503, "unreachable")
    assert "/no/folder/db.sqlite3" in caplog.text


@pytest.mark.usefixtures("unwatched")
def test_the_health_is_that_of_the_primary(profile: str, client: Client) -> None:
    response = client.get("/health/")
    assert (response.status_code, response.json()["database"]) == (200, "ok")


def test_the_admin_signs_out_the_selected(profile: str, ada: User, admin: User) -> None:
    client, other = browser(admin), browser(ada)
    form = {"action": "delete_selected", "_selected_action": [row_of(other).pk], "post": "yes"}
    assert client.post("/admin/cookieproj_devices/signedinsession/", form).status_code == 302
    assert [is_in(client), is_in(other)] == [True, False]


@on("cache")
def test_what_the_store_refuses_to_end_is_not_in_its_log(
    profile: str, ada: User, admin: User
) -> None:
    client, other = browser(admin), browser(ada)
    form = {"action": "delete_selected", "_selected_action": [row_of(other).pk], "post": "yes"}
    away = StoreUnavailableError("there", "gone")
    with mock.patch("cookieproj.devices.stored_sessions.delete_stored_session", side_effect=away):
        assert client.post("/admin/cookieproj_devices/signedinsession/", form).status_code == 503
    assert not LogEntry.objects.exists()
    assert is_in(other)


@on("cache")
def test_an_index_without_a_table_waits(profile: str, ada: User) -> None:
    visitor = browser()
    with connections["primary"].cursor() as cursor:
        cursor.execute("ALTER TABLE cookieproj_devices_signedinsession RENAME TO gone")
        form = {"username": "ada", "password": "cookies"}
        assert visitor.post("/auth/sign-in/", form).status_code == 302
        assert is_in(visitor)
        cursor.execute("ALTER TABLE gone RENAME TO cookieproj_devices_signedinsession")
    write_throttle.recent_writes.clear()
    assert is_in(visitor)
    assert SignedInSession.objects.get() == row_of(visitor)


@on("db")
def test_attempts_leave_nothing_there(profile: str) -> None:
    trials = list(ATTEMPTS["replay-after-signing-out"].run())
    assert [trial.withstood for trial in trials] == [True, True, False, True]
    assert not User.objects.exists()
