"""A process that adds keys to a session, a request at a time, in step with others like it.

At each line that comes in it takes the next step, reading or saving, and says so.
"""

import sys
from importlib import import_module
from typing import Any

import django
from django.conf import settings


def main(session_key: str, writer: str) -> None:
    django.setup()
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    for number, _ in enumerate(sys.stdin):
        session = store(session_key)
        session[f"{writer}-{number}"] = number
        print("read", flush=True)  # noqa: T201
        sys.stdin.readline()
        session.save()
        print("saved", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
