"""The memory of a session and the processor time of a save, on each version of Redis and Valkey."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.core.cache import caches as cache_connections
from pytest_django import Settings
from redis import Redis

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches.redis_steps import SET_IFEQ, known_servers
from cookieproj.engines.clock import from_now
from cookieproj.engines.handover_mixin import store_of
from cookieproj.settings.caches import caches
from tests import servers
from tests.clusters import redis_cluster
from tests.conftest import start

from .test_growth import AGE, DATA, fill_cache

# The first ones are not measured, as they include memory that does not grow with sessions.
FIRST, SESSIONS = 100_000, 1_000_000

# Scripts and the server's own commands take turns.
PAIRS, SAVES = 7, 2000

KINDS = {
    "redis": "Redis 6.2",
    "redis7": "Redis 7.0",
    "redis8": "Redis 8.2",
    "valkey8": "Valkey 8.1",
    "valkey": "Valkey 9.1",
    "redis cluster": "Redis Cluster 6.2, three masters",
    "redis8 cluster": "Redis Cluster 8.2, three masters",
    "valkey cluster": "Valkey Cluster 9.1, three masters",
}


@contextmanager
def empty_servers(kind: str, folder: Path) -> Iterator[tuple[str, list[Any]]]:
    """Yield the URL of the cache, and a client of each server."""
    server, *rest = kind.split()
    if rest:
        with redis_cluster(folder, "--appendonly", "no", kinds=(server,)) as cluster:
            yield cluster.url, [Redis(port=node.port) for node in cluster.nodes]
        return
    folder.mkdir()
    with servers.redis(folder, kind=server) as url:
        yield url, [Redis(port=int(url.rpartition(":")[2]))]


def total(clients: list[Any], section: str, *names: str) -> float:
    return float(sum(client.info(section)[name] for client in clients for name in names))


def cost_of_saves(clients: list[Any]) -> float:
    """Return the microseconds of processor time of a save, on all servers together."""
    store, expires = store_of(SessionStore), from_now(AGE)
    session_key = f"{time.monotonic_ns():032}"
    entry = store.insert(session_key, DATA, expires)
    before = total(clients, "cpu", "used_cpu_user", "used_cpu_sys")
    for number in range(SAVES):
        saved = store.compare_and_swap(session_key, entry, DATA | {"visits": number}, expires)
        assert saved
        entry = saved
    return (total(clients, "cpu", "used_cpu_user", "used_cpu_sys") - before) / SAVES * 1e6


@contextmanager
def scripts_only() -> Iterator[None]:
    for server in known_servers.values():
        server.refused.add(SET_IFEQ.title)
    yield
    for server in known_servers.values():
        server.refused.discard(SET_IFEQ.title)


def test_cost_of_a_session_on_each_server(
    settings: Settings, tmp_path: Path, figures: Callable[..., None]
) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"
    lines = [
        "| | bytes a session | μs for a save by a script | by the server's own command |",
        "| --- | --- | --- | --- |",
    ]
    for kind, name in KINDS.items():
        with ExitStack() as stack:
            url, clients = start(stack, empty_servers(kind, tmp_path / kind))
            settings.CACHES = caches(url)
            fill_cache(SessionStore, range(FIRST), tmp_path)
            before = total(clients, "memory", "used_memory")
            fill_cache(SessionStore, range(FIRST, SESSIONS), tmp_path)
            size = (total(clients, "memory", "used_memory") - before) / (SESSIONS - FIRST)
            cost_of_saves(clients)
            with_scripts, with_best = list[float](), list[float]()
            for _ in range(PAIRS):
                with scripts_only():
                    with_scripts.append(cost_of_saves(clients))
                with_best.append(cost_of_saves(clients))
            script, best = statistics.median(with_scripts), statistics.median(with_best)
            has_native_command = kind.startswith("valkey")
            native = f"{best:.0f}" if has_native_command else ""
            lines.append(f"| {name} | {size:.0f} | {script:.0f} | {native} |")
            cache_connections["sessions"].close()
            if has_native_command:
                assert best < script
    figures("redis", lines)
