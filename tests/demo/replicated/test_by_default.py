"""``default`` is the replica: every write names the alias of the primary."""

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
def replicated(database_file: Path, settings: Settings) -> Iterator[None]:
    read_only = sqlite(database_file, read_only=True)
    with added("primary") as primary:
        # Connecting sets write-ahead logging, so that the file can be read while it is written.
        primary.connect()
        with connected("sqlite://", **read_only), routed(settings, WritesToPrimary):
            yield


def test_default_alias_is_read_only(profile: str, ada: User) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        User.objects.using("default").update(first_name="Ada")


@on("db", "cache")
def test_sign_out_everywhere_is_atomic_on_primary(
    profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(ada)
    monkeypatch.setattr("cookieproj.devices.signing_out.add_log_entries", None)
    with pytest.raises(TypeError):
        sign_out_everywhere(ada)
    assert User.objects.get().sign_outs == 0
    assert is_in(client)


@on("cache")
@pytest.mark.usefixtures("fresh_watches")
def test_health_logs_unreachable_primary(
    profile: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with mock.patch.dict(connections.settings["primary"], NAME="/no/folder/db.sqlite3"):
        response = client.get("/health/")
    assert (response.status_code, response.json()["database"]) == (503, "unreachable")
    assert "/no/folder/db.sqlite3" in caplog.text


@pytest.mark.usefixtures("fresh_watches")
def test_health_is_that_of_primary(profile: str, client: Client) -> None:
    response = client.get("/health/")
    assert (response.status_code, response.json()["database"]) == (200, "ok")


def test_admin_signs_out_selected_session_on_primary(profile: str, ada: User, admin: User) -> None:
    client, ada_browser = browser(admin), browser(ada)
    form = {
        "action": "delete_selected",
        "_selected_action": [row_of(ada_browser).pk],
        "post": "yes",
    }
    assert client.post("/admin/cookieproj_devices/signedinsession/", form).status_code == 302
    assert [is_in(client), is_in(ada_browser)] == [True, False]


@on("cache")
def test_admin_log_on_primary_omits_refused_sign_out(profile: str, ada: User, admin: User) -> None:
    client, ada_browser = browser(admin), browser(ada)
    form = {
        "action": "delete_selected",
        "_selected_action": [row_of(ada_browser).pk],
        "post": "yes",
    }
    unavailable = StoreUnavailableError("store", "no answer")
    with mock.patch(
        "cookieproj.devices.stored_sessions.delete_stored_session", side_effect=unavailable
    ):
        assert client.post("/admin/cookieproj_devices/signedinsession/", form).status_code == 503
    assert not LogEntry.objects.exists()
    assert is_in(ada_browser)


@on("cache")
def test_session_is_registered_once_its_table_exists_again(profile: str, ada: User) -> None:
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
def test_attack_attempt_leaves_no_user_on_replica(profile: str) -> None:
    trials = list(ATTEMPTS["replay-after-signing-out"].run())
    assert [trial.withstood for trial in trials] == [
        True,
        True,
        True,
        True,
        False,
        True,
        True,
        True,
    ]
    assert not User.objects.exists()
