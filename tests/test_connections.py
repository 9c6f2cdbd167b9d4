"""How many connections to PostgreSQL stay open under ASGI, as its URL says."""

import subprocess

import pytest

from .sites import ROOT, python


def open_after_waves(url: str, most: int) -> int:
    """How many there are when no more than ``most`` are left, or nothing has changed for long."""
    command = python("-m", "tests.waves", str(most), DATABASE_URL=f"{url}&application_name=waves")
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    wrong, _, number = result.stdout.strip().rpartition(" ")
    assert wrong == "[]"
    return int(number)


def test_conn_max_age_of_the_operator_wins(stores: dict[str, str]) -> None:
    assert open_after_waves(f"{stores['DATABASE_URL']}&conn_max_age=0", most=0) == 0


def test_a_pool_keeps_few_for_all(stores: dict[str, str]) -> None:
    pytest.importorskip("psycopg_pool", reason="no psycopg_pool here: pip install psycopg[pool]")
    # As many as psycopg_pool keeps, if nobody says otherwise.
    assert 0 < open_after_waves(f"{stores['DATABASE_URL']}&pool=true", most=4) <= 4
