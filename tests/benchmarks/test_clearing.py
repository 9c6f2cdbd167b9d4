"""clearsessions on a large table while requests go on."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.backends.db import SessionStore as DjangoStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connections
from django.db.models.signals import post_delete
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.engines.cached_db import forget
from cookieproj.engines.signals import OURS, hear_deletions
from tests.conftest import connected, new_database
from tests.sites import manage

from .filling import fill

EXPIRED = 500_000
LIVE = 500_000
VISITORS = 2


@pytest.fixture(scope="module")
def url(postgresql_url: str) -> str:
    url = new_database(postgresql_url, "clearing")
    assert manage("migrate", "--verbosity=0", DATABASE_URL=url).returncode == 0
    return url


@contextmanager
def visitors(url: str) -> Iterator[Callable[[], list[tuple[int, float]]]]:
    """Requests from other processes; asked, they say how many and the longest in seconds."""
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

        def asked() -> list[tuple[int, float]]:
            answers = []
            for visitor in running:
                print(file=visitor.stdin, flush=True)
                number, longest = visitor.stdout.readline().split()  # type: ignore[union-attr]
                answers.append((int(number), float(longest)))
            return answers

        while min(number for number, _longest in asked()) == 0:
            time.sleep(0.1)
        yield asked


def timed(clear: Callable[[], object]) -> tuple[float, list[float]]:
    """Seconds in all, and of each statement."""
    statements = []

    def wrapper(execute: Any, *arguments: Any) -> Any:
        before = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            statements.append(time.perf_counter() - before)

    before = time.perf_counter()
    with connections["default"].execute_wrapper(wrapper):
        clear()
    return time.perf_counter() - before, statements


def empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE django_session")


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM django_session")
    return int(rows)


@pytest.mark.parametrize("whose", ["ours", "django"])
def test_requests_go_on_while_half_of_a_million_rows_is_cleared(
    whose: str,
    url: str,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
    say: Callable[[str], None],
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    clear = djangos if whose == "django" else command
    with django_db_blocker.unblock(), connected(url):
        fill(url, "live", LIVE, days=14)
        fill(url, "expired", EXPIRED, days=-14)
        assert count(url) == EXPIRED + LIVE
        with visitors(url) as asked:
            asked()
            seconds, statements = timed(clear)
            visits = asked()
    assert count(url) == LIVE
    empty(url)
    say(
        f"{whose}: {EXPIRED} of {EXPIRED + LIVE} rows in {seconds:.1f} s, {len(statements)} "
        f"statements, the longest {max(statements) * 1000:.0f} ms; meanwhile "
        f"{sum(number for number, _ in visits)} requests of {VISITORS} processes, "
        f"the longest {max(longest for _, longest in visits) * 1000:.0f} ms"
    )
    assert sum(number for number, _ in visits) > 0
    if whose == "ours":
        assert max(statements) < 1


def command() -> None:
    call_command("clearsessions", verbosity=0)


def djangos() -> None:
    """As on a site that has none of our engines, and so nobody to hear of deleted rows."""
    post_delete.disconnect(sender=Session, dispatch_uid=OURS)
    try:
        DjangoStore.clear_expired()
    finally:
        hear_deletions(forget)
