"""/health/: whether the stores do their work."""

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

# A store is tried in a thread of its own, which sees nothing of an open transaction.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unwatched")]


def test_all_is_well(profile: str, client: Client) -> None:
    response = client.get("/health/")
    well = {"database": "ok", "sessions": "ok"}
    if profile == "cached_db":
        well["cache"] = "ok"
    assert (response.status_code, response.json()) == (200, well)
    assert "no-store" in response.headers["Cache-Control"]
    assert not response.cookies


@on("cache")
def test_a_store_that_is_away_is_told(
    profile: str, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = caches("redis://:secret@127.0.0.1:1/0")
    response = client.get("/health/")
    assert response.status_code == 503
    assert response.json() == {"database": "ok", "sessions": "unreachable"}
    assert "Redis 127.0.0.1:1" in caplog.text
    assert "secret" not in caplog.text


@on("cached_db")
def test_a_cache_before_rows_may_be_away(
    profile: str, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = caches("redis://127.0.0.1:1/0")
    response = client.get("/health/")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "sessions": "ok", "cache": "unreachable"}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Redis 127.0.0.1:1" in caplog.text


def test_it_is_asked_by_any_name(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A load balancer may know no other than the address."""
    settings.ALLOWED_HOSTS = ["example.com"]
    assert client.get("/", headers={"host": "10.0.0.1"}).status_code == 400
    caplog.clear()
    for path in ("/health/", "/health"):
        assert client.get(path, headers={"host": "10.0.0.1"}).status_code == 200
    assert not caplog.records


def test_a_database_that_is_away_is_told(client: Client, tmp_path: Path) -> None:
    with connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"):
        response = client.get("/health/")
        connections["default"].close()
    assert response.status_code == 503
    assert response.json() == {"database": "unreachable", "sessions": "unreachable"}


@on("cached_db")
@pytest.mark.parametrize("path", ["/auth/account/", "/no/such/page/"])
def test_a_page_without_the_database_is_a_503(
    profile: str,
    path: str,
    client: Client,
    ada: User,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The session is read from the cache, and its user is not there."""
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


def test_what_else_goes_wrong_in_it_is_a_fault(client: Client, ada: User) -> None:
    client.force_login(ada)
    client.raise_request_exception = False
    with mock.patch.object(ModelBackend, "get_user", side_effect=OperationalError("odd")):
        assert client.get("/auth/account/").status_code == 500


@on("file")
@pytest.mark.parametrize("was_there", [True, False])
def test_a_folder_that_is_gone_is_told(
    profile: str, was_there: bool, client: Client, tmp_path: Path
) -> None:
    if was_there:
        client.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    shutil.rmtree(tmp_path)
    assert client.get("/health/").json() == {"database": "ok", "sessions": "misconfigured"}


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_asked(method: str, client: Client) -> None:
    assert getattr(client, method)("/health/").status_code == 405


@pytest.mark.parametrize("family", WHOSE)
def test_nothing_is_left(
    profile: str, family: Whose, client: Client, settings: Settings, tmp_path: Path
) -> None:
    run_on(settings, family, profile)
    assert client.get("/health/").status_code == 200
    assert Session.objects.count() == 0
    # Locks are no sessions, and stay for the next.
    assert [path for path in tmp_path.iterdir() if ".lock" not in path.name] == []
    if profile in {"cache", "cached_db"}:
        cache = cache_connections["sessions"]
        assert not list(cache.iter_keys("*"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("previous", ["db", "file", "signed_cookies"])
def test_nor_in_a_handover(
    profile: str,
    empty_stores: None,
    previous: str,
    client: Client,
    settings: Settings,
    tmp_path: Path,
) -> None:
    # From one engine to itself there is none.
    settings.SESSION_HANDOVER_FROM = "cache" if previous == profile else previous
    response = client.get("/health/")
    assert set(response.json().values()) == {"ok"}
    assert Session.objects.count() == RefusedSession.objects.count() == 0
    assert [path for path in tmp_path.iterdir() if ".lock" not in path.name] == []
    assert not list(cache_connections["sessions"].iter_keys("*"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreUnavailableError("there", "gone"), "unreachable"),
        (StoreReadOnlyError("there", "a replica"), "read-only"),
        (StoreFullError("there", "no room"), "full"),
        (StoreMisconfiguredError("there", "no right", "Grant it."), "misconfigured"),
        (ImproperlyConfigured("no such engine"), "misconfigured"),
        (RuntimeError("whatever"), "unreachable"),
    ],
)
def test_how_it_fails_is_said_in_a_word_and_in_the_log_in_a_sentence(
    error: Exception, said: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with mock.patch.object(health, "SESSIONS", Watch("sessions", mock.Mock(side_effect=error))):
        response = client.get("/health/")
    assert (response.status_code, response.json()["sessions"]) == (503, said)
    assert [record.getMessage() for record in caplog.records] == [f"sessions: {error}"]


class Store:
    """One that answers when it is told to, and counts how often it was tried."""

    def __init__(self) -> None:
        self.tries = 0
        self.asked = Event()
        self.answers = Event()
        self.error: Exception | None = None

    def attempt(self) -> None:
        self.tries += 1
        self.asked.set()
        self.answers.wait(60)
        if self.error:
            raise self.error


@pytest.fixture
def slow() -> Iterator[Store]:
    """The store of sessions."""
    slow = Store()
    with mock.patch.object(health, "SESSIONS", Watch("sessions", slow.attempt)):
        yield slow
        slow.answers.set()
        assert health.SESSIONS._ended.wait(60)


def sessions(client: Client) -> str:
    found: str = client.get("/health/").json()["sessions"]
    return found


def test_of_many_who_ask_one_tries(slow: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 3600)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 60)
    with ThreadPoolExecutor(8) as threads:
        # None has an answer yet, so all wait for the first.
        asked = [threads.submit(sessions, Client()) for _ in range(20)]
        assert slow.asked.wait(60)
        slow.answers.set()
        assert {each.result() for each in asked} == {"ok"}
    # Whatever has become of the store since.
    slow.error = StoreFullError("there", "no room")
    assert sessions(Client()) == "ok"
    assert slow.tries == 1


def test_of_many_who_ask_in_an_event_loop_one_tries(
    slow: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 3600)
    slow.answers.set()

    async def ask() -> list[str]:
        answers = await asyncio.gather(*[AsyncClient().get("/health/") for _ in range(20)])
        return [answer.json()["sessions"] for answer in answers]

    assert asyncio.run(ask()) == ["ok"] * 20
    assert slow.tries == 1


def test_it_is_tried_again_a_while_later(slow: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 0)
    slow.answers.set()
    assert sessions(Client()) == "ok"
    slow.error = StoreFullError("there", "no room")
    assert sessions(Client()) == "full"
    slow.error = None
    assert sessions(Client()) == "ok"
    assert slow.tries == 3


def test_whoever_asks_while_it_is_tried_gets_the_last_answer(
    slow: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 0)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 60)
    slow.answers.set()
    assert sessions(Client()) == "ok"
    slow.answers.clear()
    slow.asked.clear()
    slow.error = StoreFullError("there", "no room")
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(sessions, Client())
        assert slow.asked.wait(60)
        assert sessions(Client()) == "ok"
        slow.answers.set()
        assert first.result() == "full"
    assert slow.tries == 2


def test_tries_that_hang_do_not_pile_up(
    slow: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 0)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.1)
    assert {sessions(Client()) for _ in range(20)} == {"unreachable"}
    assert slow.tries == 1
    silent = [record for record in caplog.records if record.getMessage().startswith("sessions")]
    assert [record.getMessage() for record in silent] == ["sessions: no answer in 0.1 seconds"]
    slow.answers.set()
    assert health.SESSIONS._ended.wait(60)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 60)
    assert sessions(Client()) == "ok"
    assert slow.tries == 2


def test_a_try_for_which_there_is_no_thread_is_made_by_the_next(
    slow: Store, client: Client
) -> None:
    slow.answers.set()
    client.raise_request_exception = False
    with mock.patch("demo.health.Thread.start", side_effect=RuntimeError("no more threads")):
        assert client.get("/health/").status_code == 500
    with mock.patch.object(health, "PROBE_INTERVAL", 0):
        # Of the database too, which comes first.
        assert client.get("/health/").status_code == 200
