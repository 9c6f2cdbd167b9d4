"""The time of reading, writing, listing and clearing, by the number of sessions."""

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches as cache_connections
from django.core.management import call_command
from django.db import connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from cookieproj.engines.benchmark.run import payload_of
from cookieproj.engines.engine_registry import resolve_engine
from cookieproj.engines.file_expiry import NO_EXPIRY_NANOSECONDS, NS_PER_SECOND
from cookieproj.settings.caches import caches
from tests.conftest import connected, forget_folder, new_database

from .drawing import picture
from .machine import machine

SIZES = [1_000, 10_000, 100_000, 1_000_000]

# One of that many sessions has expired.
EXPIRED = 10

SAMPLES = 300

AGE = 14 * 24 * 60 * 60

STEPS = ("read", "write", "list", "clear")

ENGINES = {"db": "PostgreSQL", "cache": "Redis", "file": "files"}

DATA = payload_of(200) | {"visits": 0}

# Milliseconds, by engine, step and size.
Costs = dict[tuple[str, str, int], float]


@pytest.fixture
def site(
    redis_url: str, postgresql_url: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[Path]:
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        url = new_database(postgresql_url, "growth")
        stack.enter_context(connected(url, CONN_MAX_AGE=60))
        call_command("migrate", verbosity=0)
        stack.enter_context(
            override_settings(CACHES=caches(f"{redis_url}/10"), SESSION_FILE_PATH=tmp_path)
        )
        forget_folder()
        stack.callback(forget_folder)
        stack.callback(cache_connections["sessions"].clear)
        yield tmp_path


def key(number: int) -> str:
    return f"{number:032}"


def fill_db(store: Any, numbers: range, folder: Path) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_session SELECT lpad(number::text, 32, '0'), %s, "
            "now() + CASE WHEN number %% %s = 0 THEN -1 ELSE 1 END * interval '1 day' "
            "FROM generate_series(%s, %s) AS number",
            [store().encode(DATA), EXPIRED, numbers.start, numbers.stop - 1],
        )
        cursor.execute("VACUUM ANALYZE django_session")


def fill_cache(store: Any, numbers: range, folder: Path) -> None:
    """Without expired sessions, which Redis deletes by itself."""
    cache: Any = cache_connections["sessions"]
    client, payload = cache.client.get_client(), cache.client.encode(DATA)
    prefix = cache.make_key(store.cache_key_prefix)
    for start in range(numbers.start, numbers.stop, 10_000):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, min(start + 10_000, numbers.stop)):
            pipeline.set(f"{prefix}{key(number)}", payload, ex=AGE)
        pipeline.execute()


def fill_file(store: Any, numbers: range, folder: Path) -> None:
    text = store().encode(DATA).encode()
    now = int(time.time())
    for number in numbers:
        path = folder / f"sessionid{key(number)}"
        path.write_bytes(text)
        written = now - (2 * AGE if number % EXPIRED == 0 else 0)
        os.utime(path, ns=(written * NS_PER_SECOND + NO_EXPIRY_NANOSECONDS,) * 2)


FILL = {"db": fill_db, "cache": fill_cache, "file": fill_file}


def bytes_db(folder: Path) -> int:
    """The table with its indexes."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('django_session')")
        ((size,),) = cursor.fetchall()
    return int(size)


def bytes_cache(folder: Path) -> int:
    client: Any = cache_connections["sessions"].client.get_client()  # type: ignore[attr-defined]
    return int(client.info("memory")["used_memory"])


def bytes_file(folder: Path) -> int:
    """The blocks of the files, without those of the folder."""
    return sum(entry.stat().st_blocks * 512 for entry in os.scandir(folder))


BYTES = {"db": bytes_db, "cache": bytes_cache, "file": bytes_file}


def milliseconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) * 1000


def measure(store: Any, size: int) -> dict[str, float]:
    """The medians of random live sessions, and the time of clearing all expired ones."""
    numbers = random.sample([number for number in range(1, size) if number % EXPIRED], SAMPLES)

    def write(number: int) -> None:
        session = store(key(number))
        session["visits"] += 1
        session.save()

    def read(number: int) -> None:
        assert "visits" in store(key(number))

    return {
        "read": statistics.median(milliseconds(partial(read, number)) for number in numbers),
        "write": statistics.median(milliseconds(partial(write, number)) for number in numbers),
        "list": statistics.median(milliseconds(lambda: store.page(size=100)) for _ in range(20)),
        "clear": milliseconds(store.clear_expired),
    }


def test_times_grow_less_than_sixfold_with_thousandfold_sessions(
    site: Path, figures: Callable[..., None], pytestconfig: pytest.Config
) -> None:
    costs: Costs = {}
    sizes: dict[str, float] = {}
    for name in ENGINES:
        store = resolve_engine(name).session_class
        filled = 1
        for size in SIZES:
            before = BYTES[name](site)
            FILL[name](store, range(filled, size), site)
            sizes[name] = (BYTES[name](site) - before) / (size - filled)
            filled = size
            measured = measure(store, size)
            costs |= {(name, step, size): cost for step, cost in measured.items()}
    figures("growth", table(costs, sizes))
    if pytestconfig.getoption("--figures"):
        draw(costs)
    for name in ENGINES:
        for step in ("read", "write", "list"):
            # With a thousand times as many sessions, an index is a level deeper, and not all of its
            # pages are in memory.
            assert costs[name, step, SIZES[-1]] < 6 * costs[name, step, SIZES[0]], (name, step)


def table(costs: Costs, sizes: dict[str, float]) -> Iterator[str]:
    yield f"| milliseconds | {' | '.join(f'{size:,}' for size in SIZES)} |"
    yield "| --- |" + " --- |" * len(SIZES)
    for step in STEPS:
        for name, place in ENGINES.items():
            if (name, step) != ("cache", "clear"):
                cells = (f"{costs[name, step, size]:,.2f}" for size in SIZES)
                yield f"| {step}, {place} | {' | '.join(cells)} |"
    yield ""
    by_place = ", ".join(f"{sizes[name]:,.0f} in {place}" for name, place in ENGINES.items())
    stored = len(json.dumps(DATA))
    yield f"Bytes of a session with {stored} bytes of JSON, including keys and indexes: {by_place}."


def draw(costs: Costs) -> None:
    """Draw a chart of each step, with both axes logarithmic."""
    with picture("growth", (10, 3.4), f"One in {EXPIRED} expired. {machine()}") as figure:
        for step, axes in zip(STEPS, figure.subplots(1, len(STEPS), sharex=True), strict=True):
            for (name, place), colour in zip(
                ENGINES.items(), ("#1f5a99", "#9a4f12", "#2c6a3a"), strict=True
            ):
                if (name, step) != ("cache", "clear"):
                    values = [costs[name, step, size] for size in SIZES]
                    axes.loglog(SIZES, values, marker="o", color=colour, label=place)
            axes.set_title(step)
            axes.set_xlabel("sessions")
            axes.set_ylim(0.02, 50_000)
            axes.grid(alpha=0.3)
        axes.figure.axes[0].set_ylabel("milliseconds")
        axes.figure.axes[0].legend(frameon=False)
