"""Two hundred clients at once, each with a session of its own: no error, and memory stays flat."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cookieproj.engines.constants import DJANGO_ENGINES, ENGINE_NAMES, OUR_ENGINES
from tests.fault_table import Held, Whose
from tests.sites import ROOT, in_production

from .clients import LEAST

CLIENTS = 200

# In the suite, and with --long: seconds, and by what share a worker's memory may grow once it is
# warm. Python gives little back, and the most that its threads have at one moment is met now and
# then, in five seconds more often than after them. Of some 60 MB, 5 percent is 3 MB: the ten
# thousand requests that --long brings to each make more of 300 bytes that are not given back.
SHORT, LONG = (5, 0.1), (120, 0.05)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_long = metafunc.config.getoption("--long")
    engines: list[tuple[Whose, str]] = [("ours", f"{OUR_ENGINES}cached_db")]
    if is_long:
        engines = [("ours", OUR_ENGINES + name) for name in ENGINE_NAMES]
        engines += [("Django's", DJANGO_ENGINES + name) for name in ENGINE_NAMES]
    metafunc.parametrize(("whose", "engine"), engines)


def memory(worker: int) -> int:
    """Kilobytes that it has of its own."""
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
def test_many_clients_for_long(
    request: pytest.FixtureRequest,
    whose: Whose,
    engine: str,
    stores: dict[str, str],
    tmp_path: Path,
    held: Held,
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
            made = json.loads(process.stdout.readline())
        after = {worker: memory(worker) for worker in children(int(pid.read_text()))}
    held(f"{CLIENTS} clients at once, {profile}", whose, made["requests"], len(made["wrong"]))
    assert made["requests"] >= CLIENTS * LEAST
    if whose == "ours":
        assert made["wrong"] == []
        # The very same two, so that none has died and begun again.
        assert after.keys() == before.keys()
        assert len(after) == 2
        assert max(after[worker] / before[worker] for worker in after) < 1 + growth
