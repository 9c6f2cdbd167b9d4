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
from tests.fault_table import Held, Whose

from .conftest import SETTINGS, Tries

SESSIONS = 4

# Seconds that it goes on writing before it is killed, at the most.
A_MOMENT = 0.03

# So many times more it is killed, at the most, until once something was being written.
MORE = 20

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
    """Of sessions that are there."""
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
def test_no_file_is_torn_nor_left_for_good(
    store: Any,
    keys: set[str],
    writer: subprocess.Popen[str],
    whose: Whose,
    tmp_path: Path,
    tries: Tries,
    held: Held,
) -> None:
    least = tries(50, 200)
    kills = torn = written = 0
    while kills < least or not (any(tmp_path.glob(UNFINISHED)) or kills == MORE * least):
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
    left = list(tmp_path.glob(UNFINISHED))
    held("Application killed while it writes session files: torn or empty", whose, kills, torn)
    held(
        "Files that those kills left unfinished: there for good", whose, len(unfinished), len(left)
    )
    assert written >= kills
    assert unfinished, "none of the kills came while something was written"
    assert {path.name.removeprefix("sessionid") for path in tmp_path.glob("sessionid*")} >= keys
    if whose == "ours":
        assert (torn, left) == (0, [])


def kill(writer: subprocess.Popen[str]) -> None:
    """Let it write something, and a moment longer, and kill it."""
    assert writer.stdin
    assert writer.stdout
    print(file=writer.stdin, flush=True)
    pid = int(writer.stdout.readline())
    time.sleep(random.uniform(0, A_MOMENT))
    os.kill(pid, signal.SIGKILL)
    assert writer.stdout.readline() == "ended\n"
