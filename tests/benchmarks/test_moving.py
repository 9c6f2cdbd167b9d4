"""movesessions from PostgreSQL to Redis, in a separate process."""

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


# Runs manage.py, and prints its peak memory. The figure of ``wait4`` would include the memory of
# the parent before ``exec``.
WITH_PEAK_MEMORY = """
import runpy
try:
    runpy.run_path("manage.py", run_name="__main__")
finally:
    print(open("/proc/self/status").read())
"""


def move_sessions(rows: int, database_url: str, redis_url: str) -> tuple[float, int, str]:
    """Move that many sessions, and return the seconds, the peak memory in bytes, and the output."""
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
    command = [
        sys.executable,
        "-c",
        WITH_PEAK_MEMORY,
        "movesessions",
        "--from",
        "db",
        "--to",
        "cache",
    ]
    started = time.perf_counter()
    result = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - started
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", result.stdout)
    return seconds, int(peak) * 1024, result.stdout


def test_moving_takes_bounded_memory(
    url: str, redis_url: str, figures: Callable[..., None]
) -> None:
    client = Redis.from_url(f"{redis_url}/3")
    client.flushdb()
    few = move_sessions(FEW, url, redis_url)
    client.flushdb()
    many = move_sessions(SESSIONS, url, redis_url)
    figures(
        "moving",
        [
            f"| `movesessions` from PostgreSQL to Redis | {FEW:,} sessions | {SESSIONS:,} |",
            "| --- | --- | --- |",
            f"| seconds, including the start of the process | {few[0]:.1f} | {many[0]:.1f} |",
            f"| peak memory, MiB | {few[1] / 2**20:.0f} | {many[1] / 2**20:.0f} |",
        ],
    )
    assert re.search(rf"\b{SESSIONS} moved", many[2])
    assert client.dbsize() == SESSIONS
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM django_session").fetchone() == (0,)
    assert many[1] < 1.5 * few[1]
