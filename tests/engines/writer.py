"""Processes that add keys to one session, a request at a time, and in step."""

import sys
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import django
from django.conf import settings


def main(session_key: str, processes: int, keys: int) -> None:
    django.setup()
    # Each by a fork, as gunicorn's workers are with --preload, and before any connection is open.
    fork = get_context("fork")
    everybody = fork.Barrier(processes)
    writers = [
        fork.Process(target=write, args=(session_key, writer, keys, everybody))
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


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
