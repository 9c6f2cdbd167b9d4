"""A process that reads and writes live sessions until its input ends.

Its arguments are the session keys. For each line of input it prints the number of requests since
the last line, and the seconds of the longest one.
"""

import random
import sys
import threading
import time
from importlib import import_module
from typing import Any

import django
from django.conf import settings


def main(keys: list[str]) -> None:
    django.setup()
    threading.Thread(target=visit, args=[keys], daemon=True).start()
    for _ in sys.stdin:
        print(len(durations), max(durations, default=0.0), flush=True)  # noqa: T201
        durations.clear()


durations: list[float] = []


def visit(keys: list[str]) -> None:
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    number = 0
    while True:
        number += 1
        started = time.perf_counter()
        session = store(random.choice(keys))
        session["visits"] = number
        session.save()
        durations.append(time.perf_counter() - started)


if __name__ == "__main__":
    main(sys.argv[1:])
