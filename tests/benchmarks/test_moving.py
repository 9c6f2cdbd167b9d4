"""movesessions from PostgreSQL to Redis, as a process of its own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import psycopg
import pytest
from redis import Redis

from tests.conftest import new_database
from tests.sites import ROOT, manage

from .filling import fill

SESSIONS = 100_000
FEW = 1_000


@pytest.fixture(scope="module")
def url(postgresql_url: str) -> str:
    url = new_database(postgresql_url, "moving")
    assert manage("migrate", "--verbosity=0", DATABASE_URL=url).returncode == 0
    return url


def moved(rows: int, database_url: str, redis_url: str) -> tuple[float, int, str]:
    """Seconds and the most bytes of memory that moving so many took, and what was said."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE django_session")
    fill(database_url, "moving", rows, days=14)
    variables = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database_url,
        "CACHE_URL": f"{redis_url}/2",
        "SESSION_PROFILE": "cache",
        "SESSION_HANDOVER_FROM": "db",
    }
    command = [sys.executable, "manage.py", "movesessions", "--from", "db", "--to", "cache"]
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        said = process.stdout.read() if process.stdout else ""
        # What it has used is told to whoever waits for it in this way alone.
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - began, usage.ru_maxrss * 1024, said


def test_moving_takes_bounded_memory(url: str, redis_url: str, say: Callable[[str], None]) -> None:
    client = Redis.from_url(f"{redis_url}/3")
    client.flushdb()
    few = moved(FEW, url, redis_url)
    client.flushdb()
    many = moved(SESSIONS, url, redis_url)
    for rows, (seconds, memory, _said) in ((FEW, few), (SESSIONS, many)):
        say(f"{rows:,} moved in {seconds:.1f} s, {memory / 2**20:.0f} MiB at the most")
    assert re.search(rf"\b{SESSIONS} moved", many[2])
    assert client.dbsize() == SESSIONS
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM django_session").fetchone() == (0,)
    assert many[1] < 1.5 * few[1]
