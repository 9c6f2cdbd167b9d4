"""Where a request's time goes: looked at now and then, at moments that no request can foresee.

A profiler that looks at every call makes Python's part larger than it is, and one that looks at
regular moments sees the same places of requests that are all alike.
"""

import random
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from types import FrameType

from cookieproj.engines.benchmark.contestant import Contestant
from cookieproj.engines.benchmark.visitor import Visitor
from demo.benchmark_chart import TITLES

from .contest import median, shown

# Seconds between two looks, on average.
INTERVAL = 1e-4

REQUEST = "the request"
SESSION = "the session"
FORMAT = "JSON, signatures"
STORE = "the store"
PARTS = (REQUEST, SESSION, FORMAT, STORE)

# What a part of a file's path says of the time that is spent in it, and in what it calls; the first
# that fits counts. What fits none belongs to what called it.
PLACES = {
    "/cookieproj/engines/session_files.py": STORE,
    "/flask_session/": SESSION,
    "/redis/": STORE,
    "/psycopg/": STORE,
    "/cachelib/": STORE,
    "/django/core/signing.py": FORMAT,
    "/itsdangerous/": FORMAT,
    "/json/": FORMAT,
    "/cookieproj/engines/": SESSION,
    "/django/contrib/sessions/": SESSION,
    "/django/db/": SESSION,
    "/flask/sessions.py": SESSION,
    "/sqlalchemy/": SESSION,
    "/django/core/handlers/": REQUEST,
}


def profiled(contestant: Contestant, kind: str, requests: int) -> dict[str, float]:
    """What share of the time of such requests each of PARTS takes."""
    visitor = contestant.visitors[0]
    looks: Counter[str] = Counter()

    def look(_signal: int, frame: FrameType | None) -> None:
        if part := part_of(frame):
            looks[part] += 1
        wait()

    def wait() -> None:
        signal.setitimer(signal.ITIMER_REAL, max(random.expovariate(1 / INTERVAL), 1e-6))

    visitor.visit(kind)
    previous = signal.signal(signal.SIGALRM, look)
    wait()
    try:
        for _ in range(requests):
            visitor.visit(kind)
    finally:
        # First of all nobody looks any more: a look would ask for the next one.
        signal.signal(signal.SIGALRM, lambda _signal, _frame: None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return {part: looks[part] / looks.total() for part in PARTS}


def part_of(frame: FrameType | None) -> str | None:
    """By the innermost file that has a place; None outside a request that is measured."""
    found: str | None = None
    while frame:
        code = frame.f_code
        if code is Visitor.prepare.__code__:
            return None
        if code is Visitor.request.__code__:
            return found or REQUEST
        found = found or next((p for place, p in PLACES.items() if place in code.co_filename), None)
        frame = frame.f_back
    return None


def table(asked: Iterable[tuple[Contestant, str]], requests: int) -> Iterator[str]:
    """Microseconds of their medians, a line of Markdown for each subject and kind."""
    yield f"| request | {' | '.join(PARTS)} |"
    yield "| --- |" + " --- |" * len(PARTS)
    for contestant, kind in asked:
        shares = profiled(contestant, kind, requests)
        cells = (f"{shares[part] * median(contestant, kind):,.0f}" for part in PARTS)
        yield f"| {TITLES[kind]}, {shown(contestant.name)} | {' | '.join(cells)} |"
