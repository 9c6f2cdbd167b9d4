"""An application that does nothing but write sessions, a thread for each that is named.

At each line that comes in it forks a process, as gunicorn does, which writes until it is killed.
Its id is told as soon as it has written something, and its end.
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

# Of random bytes, which no compression makes fewer.
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
    """In each thread a session that is there, and new ones."""
    told = threading.Lock()

    def one(session_key: str) -> None:
        while True:
            for session in (store(session_key), store()):
                session["text"] = random.choice(TEXTS) + str(time.time())
                session.save()
            # By the first of them alone.
            if told.acquire(blocking=False):
                print(os.getpid(), flush=True)  # noqa: T201

    threads = [threading.Thread(target=one, args=[key]) for key in session_keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
