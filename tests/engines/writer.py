"""Processes that write to one session in lockstep: they add keys, or increment a counter."""

import sys
from collections.abc import Callable
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import django
from django.conf import settings

# The path from the project's root, for tests.forking.
WRITER = "tests/engines/writer.py"


def main(session_key: str, processes: int, times: int, target: Callable[..., None]) -> None:
    django.setup()
    # They are forked before any connection is open, like gunicorn's workers with --preload.
    fork = get_context("fork")
    barrier = fork.Barrier(processes)
    writers = [
        fork.Process(target=target, args=(session_key, number, times, barrier))
        for number in range(processes)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    if any(writer.exitcode for writer in writers):
        sys.exit("A process failed.")


def write(session_key: str, writer: int, keys: int, barrier: Barrier) -> None:
    """Add keys. All processes read the session before any of them saves it."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    for number in range(keys):
        session = store(session_key)
        session[f"{writer}-{number}"] = number
        barrier.wait(timeout=60)
        session.save()
        barrier.wait(timeout=60)


def count(session_key: str, writer: int, times: int, barrier: Barrier) -> None:
    """Increment the counter. All processes read it before any of them increments it."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    for _time in range(times):
        session = store(session_key)
        session.get("n")
        barrier.wait(timeout=60)
        add_one(session)
        barrier.wait(timeout=60)


def add_one(session: Any) -> None:
    """Increment the counter, with ``apply`` if the engine has it."""
    if hasattr(session, "apply"):
        session.apply("n", lambda number: number + 1, 0)
    else:
        session["n"] = session.get("n", 0) + 1
        session.save()


if __name__ == "__main__":
    session_key, processes, times, *counts = sys.argv[1:]
    main(session_key, int(processes), int(times), count if counts else write)
