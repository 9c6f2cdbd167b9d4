"""The number of connections to PostgreSQL that stay open under ASGI, as set in its URL."""

import subprocess

import pytest

from .sites import ROOT, python


def open_after_waves(url: str, most: int) -> int:
    """The number of open connections after waves of requests: see ``tests/waves.py``."""
    command = python("-m", "tests.waves", str(most), DATABASE_URL=f"{url}&application_name=waves")
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    errors, _, number = result.stdout.strip().rpartition(" ")
    assert errors == "[]"
    return int(number)


def test_conn_max_age_in_url_overrides_the_default(stores: dict[str, str]) -> None:
    assert open_after_waves(f"{stores['DATABASE_URL']}&conn_max_age=0", most=0) == 0


def test_pool_keeps_four_connections(stores: dict[str, str]) -> None:
    pytest.importorskip("psycopg_pool", reason="no psycopg_pool here: pip install psycopg[pool]")
    # The default size of psycopg_pool.
    assert 0 < open_after_waves(f"{stores['DATABASE_URL']}&pool=true", most=4) <= 4
