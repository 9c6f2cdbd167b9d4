"""/health/ reports whether the stores work."""

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from unittest import mock

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections
from django.test import AsyncClient, Client
from pytest_django import Settings

from cookieproj.devices.models import RefusedSession
from cookieproj.engines.exceptions import (
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from cookieproj.settings.caches import caches
from demo import health
from demo.health import Watch
from demo.models import User
from tests.conftest import connected, on
from tests.families import run_on
from tests.fault_table import WHOSE, Whose

# A store is probed in a thread of its own, which does not see an open transaction.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_watches")]


def test_all_stores_are_ok(profile: str, client: Client) -> None:
    response = client.get("/health/")
    expected = {"database": "ok", "sessions": "ok"}
    if profile == "cached_db":
        expected["cache"] = "ok"
    assert (response.status_code, response.json()) == (200, expected)
    assert "no-store" in response.headers["Cache-Control"]
    assert not response.cookies


@on("cache")
def test_unreachable_session_store_is_503(
    profile: str, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = caches("redis://:secret@127.0.0.1:1/0")
    response = client.get("/health/")
    assert response.status_code == 503
    assert response.json() == {"database": "ok", "sessions": "unreachable"}
    assert "Redis 127.0.0.1:1" in caplog.text
    assert "secret" not in caplog.text


@on("cached_db")
def test_unreachable_cache_of_cached_db_is_a_warning(
    profile: str, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = caches("redis://127.0.0.1:1/0")
    response = client.get("/health/")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "sessions": "ok", "cache": "unreachable"}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Redis 127.0.0.1:1" in caplog.text


def test_any_host_is_allowed(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A load balancer may know only the address."""
    settings.ALLOWED_HOSTS = ["example.com"]
    assert client.get("/", headers={"host": "10.0.0.1"}).status_code == 400
    caplog.clear()
    for path in ("/health/", "/health"):
        assert client.get(path, headers={"host": "10.0.0.1"}).status_code == 200
    assert not caplog.records


def test_unreachable_database_is_503(client: Client, tmp_path: Path) -> None:
    with connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"):
        response = client.get("/health/")
        connections["default"].close()
    assert response.status_code == 503
    assert response.json() == {"database": "unreachable", "sessions": "unreachable"}


@on("cached_db")
@pytest.mark.parametrize("path", ["/auth/account/", "/no/such/page/"])
def test_page_without_database_is_503(
    profile: str,
    path: str,
    client: Client,
    ada: User,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The session is in the cache, but its user cannot be read."""
    client.force_login(ada)
    client.get("/auth/account/")
    client.raise_request_exception = False
    caplog.clear()
    with connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"):
        response = client.get(path)
        connections["default"].close()
    assert response.status_code == 503
    assert "reload the page" in response.text
    assert not response.cookies
    assert not any(record.exc_info for record in caplog.records)
    assert "welcome ada" in client.get("/auth/account/").text


def test_other_database_error_is_500(client: Client, ada: User) -> None:
    client.force_login(ada)
    client.raise_request_exception = False
    with mock.patch.object(ModelBackend, "get_user", side_effect=OperationalError("odd")):
        assert client.get("/auth/account/").status_code == 500


@on("file")
@pytest.mark.parametrize("was_used", [True, False])
def test_missing_folder_is_misconfigured(
    profile: str, was_used: bool, client: Client, tmp_path: Path
) -> None:
    if was_used:
        client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    shutil.rmtree(tmp_path)
    assert client.get("/health/").json() == {"database": "ok", "sessions": "misconfigured"}


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_unsafe_methods_are_refused(method: str, client: Client) -> None:
    assert getattr(client, method)("/health/").status_code == 405


@pytest.mark.parametrize("family", WHOSE)
def test_probe_leaves_nothing(
    profile: str, family: Whose, client: Client, settings: Settings, tmp_path: Path
) -> None:
    run_on(settings, family, profile)
    assert client.get("/health/").status_code == 200
    assert Session.objects.count() == 0
    # Lock files are not sessions, and are used again.
    assert [path for path in tmp_path.iterdir() if ".lock" not in path.name] == []
    if profile in {"cache", "cached_db"}:
        cache = cache_connections["sessions"]
        assert not list(cache.iter_keys("*"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("previous", ["db", "file", "signed_cookies"])
def test_probe_leaves_nothing_in_handover(
    profile: str,
    empty_stores: None,
    previous: str,
    client: Client,
    settings: Settings,
    tmp_path: Path,
) -> None:
    # There is no handover from an engine to itself.
    settings.SESSION_HANDOVER_FROM = "cache" if previous == profile else previous
    response = client.get("/health/")
    assert set(response.json().values()) == {"ok"}
    assert Session.objects.count() == RefusedSession.objects.count() == 0
    assert [path for path in tmp_path.iterdir() if ".lock" not in path.name] == []
    assert not list(cache_connections["sessions"].iter_keys("*"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreUnavailableError("store", "gone"), "unreachable"),
        (StoreReadOnlyError("store", "a replica"), "read-only"),
        (StoreFullError("store", "no room"), "full"),
        (StoreMisconfiguredError("store", "no right", "Grant it."), "misconfigured"),
        (ImproperlyConfigured("no such engine"), "misconfigured"),
        (RuntimeError("unexpected"), "unreachable"),
    ],
)
def test_response_has_status_and_log_has_error(
    error: Exception, status: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with mock.patch.object(health, "SESSIONS", Watch("sessions", mock.Mock(side_effect=error))):
        response = client.get("/health/")
    assert (response.status_code, response.json()["sessions"]) == (503, status)
    assert [record.getMessage() for record in caplog.records] == [f"sessions: {error}"]


class SlowStore:
    """A store that answers once the test allows it, and counts its probes."""

    def __init__(self) -> None:
        self.probes = 0
        self.started = Event()
        self.may_answer = Event()
        self.error: Exception | None = None

    def probe(self) -> None:
        self.probes += 1
        self.started.set()
        self.may_answer.wait(60)
        if self.error:
            raise self.error


@pytest.fixture
def slow_store() -> Iterator[SlowStore]:
    """Replace the session store."""
    slow_store = SlowStore()
    with mock.patch.object(health, "SESSIONS", Watch("sessions", slow_store.probe)):
        yield slow_store
        slow_store.may_answer.set()
        assert health.SESSIONS._ended.wait(60)


def sessions_status(client: Client) -> str:
    status: str = client.get("/health/").json()["sessions"]
    return status


def test_concurrent_requests_share_one_probe(
    slow_store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 3600)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 60)
    with ThreadPoolExecutor(8) as threads:
        # There is no result yet, so all requests wait for the first probe.
        statuses = [threads.submit(sessions_status, Client()) for _ in range(20)]
        assert slow_store.started.wait(60)
        slow_store.may_answer.set()
        assert {status.result() for status in statuses} == {"ok"}
    # Within the interval the result stays, even if the store fails now.
    slow_store.error = StoreFullError("store", "no room")
    assert sessions_status(Client()) == "ok"
    assert slow_store.probes == 1


def test_concurrent_async_requests_share_one_probe(
    slow_store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 3600)
    slow_store.may_answer.set()

    async def ask() -> list[str]:
        responses = await asyncio.gather(*[AsyncClient().get("/health/") for _ in range(20)])
        return [response.json()["sessions"] for response in responses]

    assert asyncio.run(ask()) == ["ok"] * 20
    assert slow_store.probes == 1


def test_store_is_probed_again_after_interval(
    slow_store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 0)
    slow_store.may_answer.set()
    assert sessions_status(Client()) == "ok"
    slow_store.error = StoreFullError("store", "no room")
    assert sessions_status(Client()) == "full"
    slow_store.error = None
    assert sessions_status(Client()) == "ok"
    assert slow_store.probes == 3


def test_request_during_probe_gets_last_status(
    slow_store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 0)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 60)
    slow_store.may_answer.set()
    assert sessions_status(Client()) == "ok"
    slow_store.may_answer.clear()
    slow_store.started.clear()
    slow_store.error = StoreFullError("store", "no room")
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(sessions_status, Client())
        assert slow_store.started.wait(60)
        assert sessions_status(Client()) == "ok"
        slow_store.may_answer.set()
        assert first.result() == "full"
    assert slow_store.probes == 2


def test_hanging_probes_do_not_pile_up(
    slow_store: SlowStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 0)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.1)
    assert {sessions_status(Client()) for _ in range(20)} == {"unreachable"}
    assert slow_store.probes == 1
    timeouts = [record for record in caplog.records if record.getMessage().startswith("sessions")]
    assert [record.getMessage() for record in timeouts] == ["sessions: no answer in 0.1 seconds"]
    slow_store.may_answer.set()
    assert health.SESSIONS._ended.wait(60)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 60)
    assert sessions_status(Client()) == "ok"
    assert slow_store.probes == 2


def test_next_request_probes_if_thread_could_not_start(
    slow_store: SlowStore, client: Client
) -> None:
    slow_store.may_answer.set()
    client.raise_request_exception = False
    with mock.patch("demo.health.Thread.start", side_effect=RuntimeError("no more threads")):
        assert client.get("/health/").status_code == 500
    with mock.patch.object(health, "PROBE_INTERVAL", 0):
        # The database comes first and is due too.
        assert client.get("/health/").status_code == 200
