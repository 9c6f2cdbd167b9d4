"""The disk with the session files is full."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

import pytest

from tests.fault_table import Tally, Whose

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 5


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk. It has room for all sessions of a run with --long, at 4 KiB each."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk that is small enough to be filled")
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(path)]
    result = subprocess.run(mount, capture_output=True, text=True, check=False)
    if result.returncode:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(result.stderr)
    yield path
    subprocess.run(["umount", str(path)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        file.writelines(repeat(bytes(512)))
    yield
    filler.unlink()


def test_writes_to_full_disk_are_503_and_lose_no_session(
    disk: Path, whose: Whose, variables: Variables, tries: Tries, tally: Tally
) -> None:
    """As soon as there is room again, writes succeed."""
    failed: list[Answer] = []
    lost = 0
    times = tries(1, 20)
    environment = variables("file") | {"SESSION_FILE_PATH": str(disk)}
    with threaded(**environment) as site:
        for _ in range(times):
            crowd = Crowd([site] * VISITORS)
            with crowd.busy():
                crowd.wait_for_turns(TURNS)
            started = time.monotonic()
            with full(disk):
                with crowd.busy():
                    crowd.wait_for_turns(TURNS)
                lost += crowd.lost()
            ended = time.monotonic()
            with crowd.busy():
                crowd.wait_for_turns(TURNS)
            # Django's engine reports no error.
            assert crowd.failed() or whose == "Django's", "the disk was not full"
            failed += crowd.failed(started, ended, {503})
    tally("Disk full, file: sessions", whose, VISITORS * times, lost)
    if whose == "ours":
        assert (failed, lost) == ([], 0)
