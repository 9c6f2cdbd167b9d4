"""``manage.py clearsessions`` and ``manage.py demodata``."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import authenticate
from django.contrib.sessions.backends.base import SessionBase
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.session_files import SessionFolder
from cookieproj.settings.caches import caches
from demo.demo_accounts import ACCOUNTS, PASSWORD
from demo.models import User
from tests.conftest import copied, on
from tests.families import COOKIE_ENGINES, IN_COOKIES
from tests.sites import ROOT, manage


def output_of(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def fill(store: type[SessionBase], *expiries: int) -> list[str]:
    keys = []
    for seconds in expiries:
        session = store()
        session["color"] = "blue"
        session.set_expiry(seconds)
        session.save()
        keys.append(str(session.session_key))
    return keys


@on("db", "file", "cached_db")
@pytest.mark.parametrize(
    ("expired", "line"),
    [
        (0, "There are no expired sessions."),
        (1, "Cleared 1 expired session."),
        (3, "Cleared 3 expired sessions."),
    ],
)
def test_clearsessions_reports_number_of_cleared_sessions(
    expired: int, line: str, profile: str, store: type[SessionBase]
) -> None:
    expired_keys = fill(store, *[-60] * expired)
    live_keys = fill(store, 60, 600)
    assert output_of("clearsessions").strip() == line
    assert [store().exists(key) for key in expired_keys] == [False] * expired
    assert [store().exists(key) for key in live_keys] == [True] * 2


@on("db", "file", "cached_db")
def test_clearsessions_dry_run_only_counts(profile: str, store: type[SessionBase]) -> None:
    keys = fill(store, -60, -60, 60)
    assert output_of("clearsessions", "--dry-run").strip() == "Would clear 2 expired sessions."
    assert [store().exists(key) for key in keys] == [True] * 3


@on("db", "file", "cached_db")
def test_clearsessions_clears_in_batches(profile: str, store: type[SessionBase]) -> None:
    fill(store, *[-60] * 5)
    line = output_of("clearsessions", "--batch-size", "2").strip()
    assert line == "Cleared 5 expired sessions."


@on("cache", "cached_db", "file")
def test_clearsessions_with_unreachable_store_prints_no_result(
    profile: str, ada: User, client: Client
) -> None:
    """Where sessions expire by themselves, only clearing the registry uses the store."""
    client.force_login(ada)
    client.get("/auth/account/")
    out, unavailable = StringIO(), StoreUnavailableError("Redis", "no answer")
    with (
        mock.patch("cookieproj.devices.stored_sessions.rows_with_session", side_effect=unavailable),
        pytest.raises(CommandError, match="Could not clear the sessions"),
    ):
        call_command("clearsessions", stdout=out)
    assert out.getvalue() == ""


@pytest.mark.parametrize("size", ["0", "-1", "many", "1.5", ""])
def test_batch_size_below_one_is_refused(size: str) -> None:
    with pytest.raises(CommandError, match=r"the minimum is 1|expected one argument"):
        output_of("clearsessions", "--batch-size", size)


@on("db", "file", "cached_db")
def test_huge_batch_size_is_accepted(profile: str, store: type[SessionBase]) -> None:
    fill(store, -60, -60, 60)
    assert output_of("clearsessions", "--batch-size", "9" * 19) == "Cleared 2 expired sessions.\n"


@on("db")
def test_interrupted_clearsessions_reports_finished_batches(
    profile: str, store: type[SessionBase]
) -> None:
    fill(store, *[-60] * 5)
    batches = iter([1, 2])

    def interrupt(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("DELETE") and not next(batches, None):
            raise KeyboardInterrupt
        return execute(sql, *arguments)

    with (
        connection.execute_wrapper(interrupt),
        pytest.raises(CommandError, match="4 expired sessions are cleared") as error,
    ):
        output_of("clearsessions", "--batch-size", "2")
    assert error.value.returncode == 130
    assert output_of("clearsessions").strip() == "Cleared 1 expired session."


@contextmanager
def signalled_after(profile: str, *numbers: signal.Signals) -> Iterator[None]:
    """Send the signals to this process after a session is deleted, before it is counted."""
    pending = list(numbers)

    def remove_and_signal(remove: Any, *arguments: Any) -> Any:
        removed = remove(*arguments)
        if profile == "file" or re.match(r"DELETE .*\bdjango_session\b", arguments[0]):
            while pending:
                signal.raise_signal(pending.pop())
        return removed

    if profile == "db":
        with connection.execute_wrapper(remove_and_signal):
            yield
    else:
        remove = SessionFolder.remove
        with mock.patch.object(
            SessionFolder, "remove", lambda *arguments: remove_and_signal(remove, *arguments)
        ):
            yield


@on("db", "file")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_clearsessions_after_current_batch(
    profile: str, store: type[SessionBase], number: signal.Signals
) -> None:
    fill(store, *[-60] * 5)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with (
        signalled_after(profile, number),
        pytest.raises(CommandError, match="2 expired sessions are cleared") as error,
    ):
        output_of("clearsessions", "--batch-size", "2")
    assert error.value.returncode == 130
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert output_of("clearsessions").strip() == "Cleared 3 expired sessions."


@on("db")
def test_second_signal_interrupts_current_batch(profile: str, store: type[SessionBase]) -> None:
    fill(store, *[-60] * 5)
    with (
        signalled_after(profile, signal.SIGINT, signal.SIGTERM),
        pytest.raises(CommandError, match="0 expired sessions are cleared") as error,
    ):
        output_of("clearsessions")
    assert error.value.returncode == 130


@on("db")
def test_interruption_while_clearing_registry_reports_cleared_sessions(
    profile: str, store: type[SessionBase]
) -> None:
    fill(store, *[-60] * 5)
    with (
        mock.patch(
            "cookieproj.devices.clear_registry.clear",
            side_effect=lambda: signal.raise_signal(signal.SIGTERM),
        ),
        pytest.raises(CommandError, match="5 expired sessions are cleared") as error,
    ):
        output_of("clearsessions")
    assert error.value.returncode == 130


@on("db")
def test_interruption_is_reported_without_count(
    profile: str, settings: Settings, store: type[SessionBase]
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    with (
        mock.patch("cookieproj.devices.clear_registry.clear", side_effect=KeyboardInterrupt),
        pytest.raises(CommandError, match=r"^Interrupted\.$"),
    ):
        output_of("clearsessions")


@on("db")
@pytest.mark.django_db(transaction=True)
def test_clearsessions_runs_in_any_thread(profile: str, store: type[SessionBase]) -> None:
    """A scheduler may use another thread, but only the main thread can set signal handlers."""
    fill(store, *[-60] * 5)
    with ThreadPoolExecutor(1) as thread:
        line = thread.submit(output_of, "clearsessions").result()
        thread.submit(connections.close_all).result()
    assert line.strip() == "Cleared 5 expired sessions."


@pytest.mark.parametrize("dry_run", [True, False])
def test_clearsessions_of_engine_that_does_not_count(
    db: None, settings: Settings, dry_run: bool
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    if dry_run:
        with pytest.raises(CommandError, match="does not count"):
            output_of("clearsessions", "--dry-run")
    else:
        assert output_of("clearsessions").strip() == "Cleared the expired sessions."


def test_progress_bar_is_shown_on_terminal_but_not_in_pipe(
    tmp_path: Path, demo_database: Path
) -> None:
    variables = {
        "DATABASE_URL": copied(demo_database, tmp_path),
        "SESSION_FILE_PATH": str(tmp_path),
    }
    piped = manage("clearsessions", **variables)
    assert (piped.stdout, piped.stderr) == ("Cleared 1 expired session.\n", "")
    shown, printed = run_on_terminal("clearsessions", **variables)
    assert b"Clearing" in shown
    assert printed == b"There are no expired sessions.\n"
    move = ("movesessions", "--from", "db", "--to", "file")
    piped = manage(*move, "--dry-run", **variables)
    assert piped.stdout.startswith("From db to file: 4 to be copied, 0 there already")
    assert piped.stderr == ""
    shown, printed = run_on_terminal(*move, **variables)
    assert b"Moving" in shown
    assert printed.startswith(b"From db to file: 4 copied, 0 there already")


def run_on_terminal(*command: str, **variables: str) -> tuple[bytes, bytes]:
    """Return the output on the terminal, and the output that was redirected."""
    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    os.set_blocking(main, False)
    ran = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        stderr=terminal,
        stdout=subprocess.PIPE,
        check=True,
    )
    shown = os.read(main, 10_000)
    os.close(terminal)
    os.close(main)
    return shown, ran.stdout


@on("cache", *COOKIE_ENGINES)
def test_clearsessions_of_store_without_expired_sessions(profile: str) -> None:
    assert output_of("clearsessions").strip() == "There are no expired sessions."


@on("file")
def test_clearsessions_reports_missing_folder(profile: str, settings: Settings) -> None:
    settings.SESSION_FILE_PATH = settings.SESSION_FILE_PATH / "missing"
    with pytest.raises(CommandError, match="missing"):
        output_of("clearsessions")


@on("db")
def test_clearsessions_reports_missing_table(
    profile: str, store: type[SessionBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = store.get_model_class()  # type: ignore[attr-defined]
    monkeypatch.setattr(model._meta, "db_table", "missing")
    with pytest.raises(CommandError, match="missing"):
        output_of("clearsessions")


def test_demodata_creates_accounts(
    profile: str, settings: Settings, store: type[SessionBase]
) -> None:
    settings.DEBUG = True
    first = output_of("demodata")
    for name in ACCOUNTS:
        assert f"Demo account {name}, password {PASSWORD}" in first
        assert authenticate(username=name, password=PASSWORD)
    assert ("No demo sessions" in first) == (profile in IN_COOKIES)


@on("db", "cached_db")
def test_demodata_is_idempotent(profile: str, settings: Settings, store: type[SessionBase]) -> None:
    settings.DEBUG = True
    assert output_of("demodata") == output_of("demodata")
    sessions = store.get_model_class().objects  # type: ignore[attr-defined]
    assert (User.objects.count(), sessions.count()) == (3, 5)
    assert output_of("clearsessions").strip() == "Cleared 1 expired session."


@on("mongodb")
def test_demodata_is_idempotent_while_its_expired_session_is_stored(
    profile: str, settings: Settings
) -> None:
    """MongoDB deletes expired documents about once a minute."""
    settings.DEBUG = True
    assert output_of("demodata") == output_of("demodata")


@on("file")
def test_demodata_creates_signed_in_sessions(profile: str, settings: Settings, client: Any) -> None:
    settings.DEBUG = True
    output_of("demodata")
    keys = [file.name.removeprefix("sessionid") for file in settings.SESSION_FILE_PATH.iterdir()]
    names = set()
    for key in keys:
        client.cookies[settings.SESSION_COOKIE_NAME] = key
        response = client.get("/auth/account/")
        if response.status_code == 200:
            names.add(response.context["user"].username)
    assert names == set(ACCOUNTS)
    devices = {row.device for row in SignedInSession.objects.all()}
    assert devices == {"Example from manage.py demodata"}


@on("cache")
def test_demodata_explains_why_local_memory_has_no_sessions(
    profile: str, settings: Settings
) -> None:
    settings.DEBUG = True
    settings.CACHES = caches("locmem://")
    assert "No demo sessions: this cache would lose them" in output_of("demodata")


def test_demodata_keeps_changed_password(settings: Settings, db: None) -> None:
    settings.DEBUG = True
    output_of("demodata")
    ada = User.objects.get(username="ada")
    ada.set_password("her own")
    ada.save()
    assert "Demo account ada, password (changed)" in output_of("demodata")
    assert authenticate(username="ada", password="her own")


def test_demodata_requires_debug(settings: Settings, db: None) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG is off"):
        output_of("demodata")
    assert output_of("demodata", "--if-debug") == ""
    assert not User.objects.exists()
