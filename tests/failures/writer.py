"""A program that only writes sessions, in one thread for each session key among its arguments.

For each line of input it forks a process, as gunicorn does, which writes until it is killed. It
prints the id of that process once a session is written, and a line when it has ended.
"""

import os
import random
import secrets
import sys
import threading
import time
from importlib import import_module
from typing import Any

import django
from django.conf import settings

# Random, so that compression does not make them shorter.
TEXTS = [secrets.token_hex(size) for size in (500, 50_000)]


def main(*session_keys: str) -> None:
    django.setup()
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    for _line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            write(store, session_keys)
        os.waitpid(pid, 0)
        print("ended", flush=True)  # noqa: T201


def write(store: Any, session_keys: tuple[str, ...]) -> None:
    """In each thread, write an existing session and new ones."""
    is_id_printed = threading.Lock()

    def write_forever(session_key: str) -> None:
        while True:
            for session in (store(session_key), store()):
                session["text"] = random.choice(TEXTS) + str(time.time())
                session.save()
            # Only the first thread prints it.
            if is_id_printed.acquire(blocking=False):
                print(os.getpid(), flush=True)  # noqa: T201

    threads = [threading.Thread(target=write_forever, args=[key]) for key in session_keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
