"""clearsessions on a large table and a large folder, also during requests."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import time_machine
from django.contrib.sessions.backends.db import SessionStore as DjangoStore
from django.contrib.sessions.backends.file import SessionStore as DjangoFileStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connections
from django.db.models.signals import post_delete
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.engines.cached_db import invalidate_deleted_row
from cookieproj.engines.db import SessionStore
from cookieproj.engines.file import SessionStore as FileStore
from cookieproj.engines.row_deletions import OUR_DISPATCH_UID, on_row_deleted
from tests.conftest import connected, new_database
from tests.sites import manage

from .filling import fill

EXPIRED = 500_000
LIVE = 500_000
VISITORS = 2
FILES = 100_000

# Repetitions. In each, both are measured.
PAIRS = 3
PAIRS_OF_FILES = 2


@pytest.fixture(scope="module")
def url(postgresql_url: str) -> str:
    url = new_database(postgresql_url, "clearing")
    assert manage("migrate", "--verbosity=0", DATABASE_URL=url).returncode == 0
    return url


@contextmanager
def visitors(url: str) -> Iterator[Callable[[], list[tuple[int, float]]]]:
    """Processes that make requests.

    Yields a function that returns, for each process, the number of requests since the last call
    and the seconds of the longest.
    """
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT session_key FROM django_session WHERE expire_date > now() + '1 day' LIMIT 1000"
        ).fetchall()
    command = [sys.executable, "-m", "tests.benchmarks.visitor", *[key for (key,) in rows]]
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "cookieproj.settings.db",
    }
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(VISITORS)
        ]

        def take_counts() -> list[tuple[int, float]]:
            counts = []
            for visitor in running:
                print(file=visitor.stdin, flush=True)
                number, longest = visitor.stdout.readline().split()  # type: ignore[union-attr]
                counts.append((int(number), float(longest)))
            return counts

        while min(number for number, _longest in take_counts()) == 0:
            time.sleep(0.1)
        yield take_counts


def timed(clear: Callable[[], object]) -> tuple[float, list[float]]:
    """The seconds of ``clear``, and of each of its statements."""
    statements = []

    def wrapper(execute: Any, *arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            statements.append(time.perf_counter() - started)

    started = time.perf_counter()
    with connections["default"].execute_wrapper(wrapper):
        clear()
    return time.perf_counter() - started, statements


def empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE django_session")


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM django_session")
    return int(rows)


@pytest.mark.parametrize("whose", ["ours", "Django's"])
def test_requests_are_served_while_half_a_million_rows_are_cleared(
    whose: str,
    url: str,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
    figures: Callable[..., None],
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    clear = clear_with_django if whose != "ours" else clear_with_our_command
    with django_db_blocker.unblock(), connected(url):
        fill(url, "live", LIVE, days=14)
        fill(url, "expired", EXPIRED, days=-14)
        assert count(url) == EXPIRED + LIVE
        with visitors(url) as take_counts:
            take_counts()
            seconds, statements = timed(clear)
            visits = take_counts()
    assert count(url) == LIVE
    empty(url)
    longest = max(longest for _, longest in visits)
    figures(
        f"clearing, {whose}",
        [
            f"- {whose}: {seconds:.1f} s, {len(statements)} statements, the longest "
            f"{max(statements) * 1000:.0f} ms; the longest request {longest * 1000:.0f} ms"
        ],
    )
    assert sum(number for number, _ in visits) > 0
    if whose == "ours":
        assert max(statements) < 1


def test_clearing_rows_takes_at_most_three_times_as_long_as_one_delete(
    url: str,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
    figures: Callable[..., None],
) -> None:
    """Without other requests, so that only the batches make the difference.

    Each row is locked before it is deleted, and skipped if another process has locked it. For
    that, PostgreSQL writes the row twice.
    """
    pairs, longest = [], 0.0
    with django_db_blocker.unblock(), connected(url):
        for _pair in range(PAIRS):
            fill_half_expired(url)
            bare = timed(delete_at_once)[0]
            assert count(url) == LIVE
            fill_half_expired(url)
            ours, statements = timed(SessionStore.clear_expired)
            assert count(url) == LIVE
            pairs.append(ours / bare)
            longest = max(longest, *statements)
    empty(url)
    ratio = statistics.median(pairs)
    figures(
        "clearing rows",
        [
            f"`clear_expired` of {EXPIRED:,} of {EXPIRED + LIVE:,} rows, without other requests, "
            f"takes {ratio:.2f} times as long as one bare `DELETE` (at most 3.0), its longest "
            f"statement {longest * 1000:.0f} ms (at most 1 s)."
        ],
    )
    assert ratio <= 3.0
    assert longest < 1


def fill_half_expired(url: str) -> None:
    empty(url)
    fill(url, "live", LIVE, days=14)
    fill(url, "expired", EXPIRED, days=-14)


def delete_at_once() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("DELETE FROM django_session WHERE expire_date < now()")


def test_clearing_files_takes_at_most_a_third_of_djangos_time(
    tmp_path: Path, figures: Callable[..., None]
) -> None:
    pairs = []
    for pair in range(PAIRS_OF_FILES):
        ours, djangos = (
            seconds_to_clear_files(store, tmp_path / f"{pair}{store.__module__}")
            for store in (FileStore, DjangoFileStore)
        )
        pairs.append(ours / djangos)
    ratio = statistics.median(pairs)
    figures(
        "clearing files",
        [
            f"Of {FILES:,} files, half of them expired, it takes {ratio:.2f} of what Django's "
            "engine takes (at most 0.35)."
        ],
    )
    assert ratio <= 0.35


def seconds_to_clear_files(store: Any, folder: Path) -> float:
    """Every second session has expired. All are written by that engine."""
    folder.mkdir()
    store_in_folder: Any = type("SessionStore", (store,), {"_storage_path": str(folder)})
    now = timezone.now()
    with time_machine.travel(now - timedelta(days=20), tick=False) as clock:
        for number in range(FILES):
            clock.move_to(now - timedelta(days=20 * (number % 2)))
            session: Any = store_in_folder()
            session.update({"text": "x" * 200})
            session.save()
            if store is DjangoFileStore:
                written = folder / f"sessionid{session.session_key}"
                os.utime(written, (time.time(), time.time()))
    started = time.perf_counter()
    store_in_folder.clear_expired()
    seconds = time.perf_counter() - started
    remaining = sum(path.name.startswith("sessionid") for path in folder.iterdir())
    assert remaining == FILES // 2
    shutil.rmtree(folder)
    return seconds


def clear_with_our_command() -> None:
    call_command("clearsessions", verbosity=0)


def clear_with_django() -> None:
    """As on a site without our engines, where no receiver handles deleted rows."""
    post_delete.disconnect(sender=Session, dispatch_uid=OUR_DISPATCH_UID)
    try:
        DjangoStore.clear_expired()
    finally:
        on_row_deleted(invalidate_deleted_row)
