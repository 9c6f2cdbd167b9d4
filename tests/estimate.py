"""Computes docs/hundred-million.md from docs/figures.md: what 100 million sessions need."""

import re
from collections.abc import Iterator
from textwrap import wrap
from typing import NamedTuple

from .figures import ROOT

SESSIONS = 100_000_000
VISITORS_A_DAY = 10_000_000

# A second, at the peak.
REQUESTS, WRITES, SIGN_INS = 14_000, 1_400, 47

# Of a request that reads, one that writes, and a sign-in: tests/engines/test_round_trips.py.
TRIPS = (1, 2, 4)
TRIPS_OF_CACHED_DB = (1, 4, 7)

# Of `python manage.py benchsessions --size 200`.
COOKIE_BYTES = 273

# Of the machine that docs/figures.md names.
CORES = 2


class Figures(NamedTuple):
    """Bytes of a session in each store, and requests that one core serves a second."""

    postgresql: int
    redis: int
    files: int
    redis_cluster_6: int
    redis_cluster_8: int
    reads: float
    writes: float
    seconds_to_clear_files: float
    seconds_to_clear_rows: float


def measured() -> Figures:
    """Return the figures that docs/figures.md has now."""
    text = (ROOT / "docs" / "figures.md").read_text()

    def number(pattern: str) -> float:
        found = re.search(pattern, text)
        assert found, f"docs/figures.md has no {pattern}"
        return float(found[1].replace(",", ""))

    some = r"([\d,.]+\d)"
    return Figures(
        postgresql=int(number(rf"{some} in PostgreSQL, ")),
        redis=int(number(rf"{some} in Redis, ")),
        files=int(number(rf"{some} in files\.")),
        redis_cluster_6=int(number(rf"\| Redis Cluster 6\.2, three masters \| {some} ")),
        redis_cluster_8=int(number(rf"\| Redis Cluster 8\.2, three masters \| {some} ")),
        reads=number(rf"\| `cache` \| {some} / ") / CORES,
        writes=number(rf"\| `cache` \| [^|]+\| [^|]+\| {some} / ") / CORES,
        seconds_to_clear_files=number(rf"\| clear, files \|(?: [^|]+\|){{3}} {some} ") / 1000,
        seconds_to_clear_rows=number(rf"- ours: {some} s,"),
    )


def gigabytes(size: int, sessions: int = SESSIONS) -> str:
    return f"{size * sessions / 1e9:,.0f} GB"


def hundreds(number: float) -> str:
    return f"{round(number, -2):,.0f}"


def needs(figures: Figures) -> Iterator[str]:
    """Yield the table of what each engine needs, and the sentences below it."""
    reads = REQUESTS - WRITES
    trips = hundreds(sum(n * of for n, of in zip((reads, WRITES, SIGN_INS), TRIPS, strict=True)))
    _read, write, sign_in = TRIPS_OF_CACHED_DB
    # Of a write's trips and a sign-in's, half are to Redis and half to PostgreSQL.
    to_rows = WRITES * write / 2 + SIGN_INS * sign_in / 2
    cookies = f"{REQUESTS * COOKIE_BYTES / 1e6:.1f} MB"
    postgresql, redis, files = figures.postgresql, figures.redis, figures.files
    yield "| | bytes a session | 100 million | trips at the peak, a second |"
    yield "| --- | --- | --- | --- |"
    yield (
        f"| `cache` | {redis} in Redis [growth] | {gigabytes(redis)} of memory | "
        f"{trips} to Redis [trips: 1, 2, 4] |"
    )
    yield (
        f"| `db` | {postgresql} with its indexes [growth] | {gigabytes(postgresql)} of disk | "
        f"{trips} to PostgreSQL [trips: 1, 2, 4] |"
    )
    yield (
        f"| `cached_db` | {postgresql}, and {redis} for today's visitors | "
        f"{gigabytes(postgresql)} of disk, {gigabytes(redis, VISITORS_A_DAY)} of memory | "
        f"{hundreds(reads + to_rows)} to Redis, {hundreds(to_rows)} to PostgreSQL "
        "[trips: 1, 4, 7, half of a write's each] |"
    )
    yield (
        f"| `file` | {files:,}, a block [growth] | {gigabytes(files)}, and as many inodes | none |"
    )
    yield (
        f"| `signed_cookies` | {COOKIE_BYTES} in each request [cookie] | none | none; {cookies} a "
        "second of cookies at the peak |"
    )
    yield (
        "| `mongodb` | not measured: there was no MongoDB to measure | | "
        f"{trips} to MongoDB [cookie: 1, 2, 4] |"
    )
    yield ""
    cores = reads / figures.reads + WRITES / figures.writes
    yield from wrap(
        f"Round trips: {reads:,} reads make one each, {WRITES:,} writes two, and {SIGN_INS} "
        "sign-ins four. The first of a write's two round trips is its read. Application: one core "
        f"served {figures.reads:,.0f} reads or {figures.writes:,.0f} writes a second with `cache` "
        "here, with the stores and the load generator on the same machine [load]. So these "
        f"requests need {cores:.0f} such cores.",
        width=120,
    )


def claims(figures: Figures) -> Iterator[str]:
    """Yield the other statements of the page that repeat a figure."""
    trips = sum(n * of for n, of in zip((REQUESTS - WRITES, WRITES, SIGN_INS), TRIPS, strict=True))
    masters = 4
    yield f"`cache`, with {gigabytes(figures.redis)}:"
    yield f"`db` needs {gigabytes(figures.postgresql)}, "
    yield (
        f"A session takes {figures.redis_cluster_8} bytes on Redis 8.2, and "
        f"{figures.redis_cluster_6} on 6.2 [redis]: "
        f"{gigabytes(figures.redis_cluster_8, SESSIONS // masters).removesuffix(' GB')} to "
        f"{gigabytes(figures.redis_cluster_6, SESSIONS // masters)} on each master"
    )
    yield f"{hundreds(trips / masters)} a second to each master at the peak"
    yield f"took {figures.seconds_to_clear_rows:.1f} s [clearing]"
    yield f"{figures.seconds_to_clear_files:.0f} s a million [growth]"
