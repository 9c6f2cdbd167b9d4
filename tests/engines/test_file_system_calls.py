"""The system calls of each step of the file engine."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from cookieproj.engines.file import SessionStore

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours and engine.name == "file")

# Modules whose functions are one system call each, and those functions of them that are none.
SYSTEM_CALLS = {"posix", "fcntl"}
NO_SYSTEM_CALLS = {"fspath"}

LOCK = ["stat", "open", "flock"]
READ = ["open", "fstat", "read", "close"]
REPLACE = ["open", "write", "utime", "close", "replace"]


@contextmanager
def system_calls() -> Iterator[list[str]]:
    """Yield a list that is filled with the names of the system calls within the block."""
    names: list[str] = []

    def note(_frame: object, event: str, function: Any) -> None:
        if event == "c_call" and function.__module__ in SYSTEM_CALLS:
            names.append(function.__name__)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(before)
        names[:] = [name for name in names if name not in NO_SYSTEM_CALLS]


def session_with_data() -> Any:
    session = SessionStore()
    session["a"] = 1
    session.save()
    return session


def read_again(session: Any) -> Any:
    again = type(session)(session.session_key)
    assert again["a"] == 1
    again.save_follows = True
    return again


def write(session: Any) -> None:
    session["b"] = 2
    session.save()


def cycle_key(session: Any) -> None:
    session.cycle_key()


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda session: SessionStore(session.session_key).load(), READ),
        (write, [*LOCK, *READ, *REPLACE, "close"]),
        (lambda session: session.save(), [*LOCK, *READ, "utime", "close"]),
        (cycle_key, [*LOCK, "lstat", "stat", *REPLACE, "close"]),
        (lambda session: session.delete(), [*LOCK, "unlink", "close"]),
    ],
    ids=["read", "write", "save unchanged", "cycle key", "delete"],
)
def test_step_makes_no_other_system_calls(
    engine: Engine, step: Callable[[Any], object], expected: list[str]
) -> None:
    session = read_again(session_with_data())
    # Creates the lock file of every key.
    with mock.patch("cookieproj.engines.session_files.lock_number", return_value=7):
        session_with_data()
        with system_calls() as names:
            step(session)
    # A new key is random.
    assert [name for name in names if name not in {"getrandom", "urandom"}] == expected
