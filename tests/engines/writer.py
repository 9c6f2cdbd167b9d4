"""Processes that add keys to one session, or to its counter, a request at a time, and in step."""

import sys
from collections.abc import Callable
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import django
from django.conf import settings

# For tests.forking, from the project's root.
WRITER = "tests/engines/writer.py"


def main(session_key: str, processes: int, times: int, target: Callable[..., None]) -> None:
    django.setup()
    # Each by a fork, as gunicorn's workers are with --preload, and before any connection is open.
    fork = get_context("fork")
    everybody = fork.Barrier(processes)
    writers = [
        fork.Process(target=target, args=(session_key, writer, times, everybody))
        for writer in range(processes)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    if any(writer.exitcode for writer in writers):
        sys.exit("A writer ended with an error.")


def write(session_key: str, writer: int, keys: int, everybody: Barrier) -> None:
    """All have read the session before any of them saves it."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    for number in range(keys):
        session = store(session_key)
        session[f"{writer}-{number}"] = number
        everybody.wait(timeout=60)
        session.save()
        everybody.wait(timeout=60)


def count(session_key: str, writer: int, times: int, everybody: Barrier) -> None:
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    for _time in range(times):
        session = store(session_key)
        session.get("n")
        everybody.wait(timeout=60)
        add_one(session)
        everybody.wait(timeout=60)


def add_one(session: Any) -> None:
    """As one does it with our engines, and with all others."""
    if hasattr(session, "apply"):
        session.apply("n", lambda number: number + 1, 0)
    else:
        session["n"] = session.get("n", 0) + 1
        session.save()


if __name__ == "__main__":
    session_key, processes, times, *counts = sys.argv[1:]
    main(session_key, int(processes), int(times), count if counts else write)
