"""A process that reads and writes live sessions until its input ends.

Its arguments are their keys. For each line that comes in it says how many requests it
has made since the last one, and how many seconds the longest of them took.
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
        print(len(taken), max(taken, default=0.0), flush=True)  # noqa: T201
        taken.clear()


taken: list[float] = []


def visit(keys: list[str]) -> None:
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    number = 0
    while True:
        number += 1
        before = time.perf_counter()
        session = store(random.choice(keys))
        session["visits"] = number
        session.save()
        taken.append(time.perf_counter() - before)


if __name__ == "__main__":
    main(sys.argv[1:])
