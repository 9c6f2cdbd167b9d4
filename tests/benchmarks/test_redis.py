"""What a session takes of each server of the protocol of Redis: memory, and processor."""

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

# The first ones bring what each server has once, and are not counted.
FIRST, SESSIONS = 100_000, 1_000_000

# Each way by turns.
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
def begun(kind: str, folder: Path) -> Iterator[tuple[str, list[Any]]]:
    """Empty servers: the URL of the cache, and their clients."""
    server, *in_cluster = kind.split()
    if in_cluster:
        with redis_cluster(folder, "--appendonly", "no", kind=server) as cluster:
            yield cluster.url, [Redis(port=node.port) for node in cluster.nodes]
        return
    folder.mkdir()
    with servers.redis(folder, kind=server) as url:
        yield url, [Redis(port=int(url.rpartition(":")[2]))]


def used(clients: list[Any], section: str, *names: str) -> float:
    return float(sum(client.info(section)[name] for client in clients for name in names))


def cost_of_saves(clients: list[Any]) -> float:
    """Microseconds of the servers' processors for one, by the entry that the one before stored."""
    store, expires = store_of(SessionStore), from_now(AGE)
    session_key = f"{time.monotonic_ns():032}"
    entry = store.insert(session_key, DATA, expires)
    before = used(clients, "cpu", "used_cpu_user", "used_cpu_sys")
    for number in range(SAVES):
        saved = store.compare_and_swap(session_key, entry, DATA | {"visits": number}, expires)
        assert saved
        entry = saved
    return (used(clients, "cpu", "used_cpu_user", "used_cpu_sys") - before) / SAVES * 1e6


@contextmanager
def scripts_alone() -> Iterator[None]:
    for server in known_servers.values():
        server.refused.add(SET_IFEQ.title)
    yield
    for server in known_servers.values():
        server.refused.discard(SET_IFEQ.title)


def test_each_server(settings: Settings, tmp_path: Path, figures: Callable[..., None]) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"
    lines = [
        "| | bytes a session | μs for a save by a script | by the server's own command |",
        "| --- | --- | --- | --- |",
    ]
    for kind, name in KINDS.items():
        with ExitStack() as stack:
            url, clients = start(stack, begun(kind, tmp_path / kind))
            settings.CACHES = caches(url)
            fill_cache(SessionStore, range(FIRST), tmp_path)
            before = used(clients, "memory", "used_memory")
            fill_cache(SessionStore, range(FIRST, SESSIONS), tmp_path)
            size = (used(clients, "memory", "used_memory") - before) / (SESSIONS - FIRST)
            cost_of_saves(clients)
            by_script, by_best = list[float](), list[float]()
            for _ in range(PAIRS):
                with scripts_alone():
                    by_script.append(cost_of_saves(clients))
                by_best.append(cost_of_saves(clients))
            script, best = statistics.median(by_script), statistics.median(by_best)
            has_own = kind.startswith("valkey")
            own = f"{best:.0f}" if has_own else ""
            lines.append(f"| {name} | {size:.0f} | {script:.0f} | {own} |")
            cache_connections["sessions"].close()
            if has_own:
                assert best < script
    figures("redis", lines)
