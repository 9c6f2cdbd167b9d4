"""The application is killed while it writes session files."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from tests.conftest import forget_folder
from tests.families import FAMILIES
from tests.fault_table import Tally, Whose

from .conftest import SETTINGS, Tries

SESSIONS = 4

# The writer is killed up to so many seconds after its first write.
MAX_DELAY = 0.03

# If no kill left an unfinished file, up to so many times as many kills are tried.
MAX_FACTOR = 20

UNFINISHED = "sessionid*_out_*"


@pytest.fixture
def store(whose: Whose, settings: Settings, tmp_path: Path) -> Iterator[Any]:
    settings.SESSION_ENGINE = f"{FAMILIES[whose]}file"
    settings.SESSION_FILE_PATH = tmp_path
    forget_folder()
    yield import_module(settings.SESSION_ENGINE).SessionStore
    forget_folder()


@pytest.fixture
def keys(store: Any) -> set[str]:
    """The keys of stored sessions."""
    sessions = [store() for _ in range(SESSIONS)]
    for session in sessions:
        session["text"] = "first"
        session.save()
    return {session.session_key for session in sessions}


@pytest.fixture
def writer(keys: set[str], settings: Settings) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **SETTINGS,
        "SESSION_ENGINE": settings.SESSION_ENGINE,
        "SESSION_FILE_PATH": str(settings.SESSION_FILE_PATH),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "tests.failures.writer", *keys],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        yield writer


@pytest.mark.django_db
def test_kill_leaves_no_torn_file_and_unfinished_files_are_cleared(
    store: Any,
    keys: set[str],
    writer: subprocess.Popen[str],
    whose: Whose,
    tmp_path: Path,
    tries: Tries,
    tally: Tally,
) -> None:
    min_kills = tries(50, 200)
    kills = torn = written = 0
    while kills < min_kills or not (
        any(tmp_path.glob(UNFINISHED)) or kills == MAX_FACTOR * min_kills
    ):
        kill(writer)
        kills += 1
        files = [path for path in tmp_path.glob("sessionid*") if "_out_" not in path.name]
        broken = [path for path in files if not store().decode(path.read_text("ascii"))]
        torn += bool(broken)
        written += len(files) - SESSIONS
        for path in files:
            if path in broken or path.name.removeprefix("sessionid") not in keys:
                path.unlink()
    unfinished = list(tmp_path.glob(UNFINISHED))
    for path in unfinished:
        os.utime(path, (0, 0))
    call_command("clearsessions", verbosity=0)
    remaining = list(tmp_path.glob(UNFINISHED))
    tally("Application killed while it writes session files: torn or empty", whose, kills, torn)
    tally("Unfinished files of those kills: never deleted", whose, len(unfinished), len(remaining))
    assert written >= kills
    assert unfinished, "no kill interrupted a write"
    assert {path.name.removeprefix("sessionid") for path in tmp_path.glob("sessionid*")} >= keys
    if whose == "ours":
        assert (torn, remaining) == (0, [])


def kill(writer: subprocess.Popen[str]) -> None:
    """Start a process of the writer, and kill it soon after its first write."""
    assert writer.stdin
    assert writer.stdout
    print(file=writer.stdin, flush=True)
    pid = int(writer.stdout.readline())
    time.sleep(random.uniform(0, MAX_DELAY))
    os.kill(pid, signal.SIGKILL)
    assert writer.stdout.readline() == "ended\n"
