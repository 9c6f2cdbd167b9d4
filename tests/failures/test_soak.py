"""Two hundred clients at once: none gets an error, and the workers' memory does not grow."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cookieproj.engines.constants import (
    DJANGO_ENGINE_NAMES,
    DJANGO_ENGINES,
    ENGINE_NAMES,
    OUR_ENGINES,
)
from tests.fault_table import Tally, Whose
from tests.sites import ROOT, in_production

from .clients import MIN_VISITS

CLIENTS = 200

# In the suite, and with --long: seconds, and the share by which a warm worker's memory may grow.
# Python returns little memory to the system, so each new peak of its threads is growth. New peaks
# are more frequent in the first seconds. 5 percent of 60 MB is 3 MB: with the ten thousand requests
# to each worker with --long, a leak of 300 bytes a request exceeds that.
SHORT, LONG = (5, 0.1), (120, 0.05)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_long = metafunc.config.getoption("--long")
    engines: list[tuple[Whose, str]] = [("ours", f"{OUR_ENGINES}cached_db")]
    if is_long:
        engines = [("ours", OUR_ENGINES + name) for name in ENGINE_NAMES]
        engines += [("Django's", DJANGO_ENGINES + name) for name in DJANGO_ENGINE_NAMES]
    metafunc.parametrize(("whose", "engine"), engines)


def memory(worker: int) -> int:
    """Kilobytes that the worker does not share."""
    for line in Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise ValueError(worker)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def visitors(host: str, seconds: int) -> Iterator[subprocess.Popen[str]]:
    port = host.rpartition(":")[2]
    command = [sys.executable, "-m", "tests.failures.clients", port, str(CLIENTS), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process


@pytest.mark.matrix
def test_many_clients_get_no_error_and_memory_does_not_grow(
    request: pytest.FixtureRequest,
    whose: Whose,
    engine: str,
    stores: dict[str, str],
    tmp_path: Path,
    tally: Tally,
) -> None:
    seconds, growth = LONG if request.config.getoption("--long") else SHORT
    profile = engine.rpartition(".")[2]
    environment = stores | {"SESSION_PROFILE": profile, "SESSION_ENGINE": engine}
    pid = tmp_path / "pid"
    with in_production("--threads", "4", "--pid", str(pid), **environment) as host:
        with visitors(host, seconds) as process:
            assert process.stdout
            assert process.stdout.readline() == "warm\n"
            before = {worker: memory(worker) for worker in children(int(pid.read_text()))}
            report = json.loads(process.stdout.readline())
        after = {worker: memory(worker) for worker in children(int(pid.read_text()))}
    tally(f"{CLIENTS} clients at once, {profile}", whose, report["requests"], len(report["errors"]))
    assert report["requests"] >= CLIENTS * MIN_VISITS
    if whose == "ours":
        assert report["errors"] == []
        # The same two workers: none has died and been replaced.
        assert after.keys() == before.keys()
        assert len(after) == 2
        assert max(after[worker] / before[worker] for worker in after) < 1 + growth
