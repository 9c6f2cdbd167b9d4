"""A sampling profiler of requests, with random intervals.

A profiler of every call would overstate the share of Python code. With regular intervals, it would
sample the same places of requests that are all alike.
"""

import random
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from types import FrameType

from cookieproj.engines.benchmark.contestant import Contestant
from cookieproj.engines.benchmark.visitor import Visitor
from demo.benchmark_chart import TITLES

from .contest import display_name, median

# Average seconds between two samples.
INTERVAL = 1e-4

REQUEST = "the request"
SESSION = "the session"
FORMAT = "JSON, signatures"
STORE = "the store"
PARTS = (REQUEST, SESSION, FORMAT, STORE)

# The part to which the time in a file belongs, by a piece of the file's path. The first match
# counts. The time in other files belongs to their caller.
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


def profile(contestant: Contestant, kind: str, requests: int) -> dict[str, float]:
    """The share of each part in the time of these requests."""
    visitor = contestant.visitors[0]
    samples: Counter[str] = Counter()

    def take_sample(_signal: int, frame: FrameType | None) -> None:
        if part := part_of(frame):
            samples[part] += 1
        schedule_sample()

    def schedule_sample() -> None:
        signal.setitimer(signal.ITIMER_REAL, max(random.expovariate(1 / INTERVAL), 1e-6))

    visitor.visit(kind)
    previous = signal.signal(signal.SIGALRM, take_sample)
    schedule_sample()
    try:
        for _ in range(requests):
            visitor.visit(kind)
    finally:
        # Replaced first, since taking a sample would schedule the next one.
        signal.signal(signal.SIGALRM, lambda _signal, _frame: None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return {part: samples[part] / samples.total() for part in PARTS}


def part_of(frame: FrameType | None) -> str | None:
    """The part of the innermost file in ``PLACES``, or None outside a measured request."""
    part: str | None = None
    while frame:
        code = frame.f_code
        if code is Visitor.prepare.__code__:
            return None
        if code is Visitor.request.__code__:
            return part or REQUEST
        part = part or next((p for place, p in PLACES.items() if place in code.co_filename), None)
        frame = frame.f_back
    return None


def table(profiled: Iterable[tuple[Contestant, str]], requests: int) -> Iterator[str]:
    """A Markdown table: the median of each contestant and kind, divided into parts."""
    yield f"| request | {' | '.join(PARTS)} |"
    yield "| --- |" + " --- |" * len(PARTS)
    for contestant, kind in profiled:
        shares = profile(contestant, kind, requests)
        cells = (f"{shares[part] * median(contestant, kind):,.0f}" for part in PARTS)
        yield f"| {TITLES[kind]}, {display_name(contestant.name)} | {' | '.join(cells)} |"
