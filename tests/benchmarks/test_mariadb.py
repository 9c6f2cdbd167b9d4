"""What a request costs with the rows in MariaDB, ours and Django's in turns."""

from collections.abc import Callable

from django.core.management import call_command
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from cookieproj.engines.benchmark.results import Benchmark
from cookieproj.engines.benchmark.run import benchmark
from cookieproj.engines.engine_registry import both_families
from cookieproj.settings.caches import caches
from demo.benchmark_chart import TITLES
from tests.conftest import administered, connected, new_database

from .contest import display_name

REQUESTS = 1000
ENGINES = [path for name in ("db", "cached_db") for path in both_families(name)]


def test_request_times_on_mariadb(
    mariadb_url: str,
    redis_url: str,
    figures: Callable[..., None],
    django_db_blocker: DjangoDbBlocker,
) -> None:
    with administered(mariadb_url) as execute:
        # As on a site's server, where what is committed is on the disk.
        execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    url = new_database(mariadb_url, "benchmark")
    with (
        django_db_blocker.unblock(),
        connected(url, CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True),
        override_settings(CACHES=caches(f"{redis_url}/0")),
    ):
        call_command("migrate", verbosity=0)
        results = benchmark(ENGINES, requests=REQUESTS)
    assert [engine.problem for engine in results.engines] == [""] * len(ENGINES)
    figures("mariadb", table(results))


def table(results: Benchmark) -> list[str]:
    """What ours takes of the time that Django's takes, from pairs of turns."""
    lines = [
        f"| of Django's time | {' | '.join(map(str, TITLES.values()))} |",
        "| --- |" + " --- |" * len(TITLES),
    ]
    for engine in results.engines:
        ratios = [engine.requests[kind].ratio for kind in TITLES]
        if all(ratios):
            cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
            lines.append(f"| {display_name(engine.engine)} | {cells} |")
    return lines
