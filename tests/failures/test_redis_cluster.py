"""A master of a Redis Cluster is killed under load, and its replica takes its place."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from django.core.cache import caches as connections
from pytest_django import Settings

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches.redis_cluster import ClusterConnectionFactory
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.settings.caches import caches
from tests.clusters import Cluster, redis_cluster
from tests.conftest import start
from tests.fault_table import Tally, Whose

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

# Milliseconds until a silent node counts as down. In production, more are usual.
NODE_TIMEOUT = "1000"

VISITORS = 6
TURNS = 8


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("cluster")
        timeout = ("--cluster-node-timeout", NODE_TIMEOUT)
        yield start(stack, redis_cluster(folder, *timeout, replicas=1))


@pytest.fixture
def keys(redis: Cluster, settings: Settings) -> set[str]:
    """The keys of replicated sessions on all nodes."""
    settings.CACHES = caches(redis.url)
    settings.SESSION_CACHE_ALIAS = "sessions"
    redis.restore()
    redis.flush()
    keys = {create_session(number=number) for number in range(60)}
    redis.wait_until_replicated()
    return keys


def test_session_is_usable_right_after_failover(redis: Cluster, keys: set[str]) -> None:
    """The client still knows the old master, and discovers the new one by itself."""
    killed = redis.kill_master()
    redis.wait_for_failover()
    session = SessionStore(next(key for key in keys if port_of(key) == killed.port))
    session["n"] = session["number"]
    session.save()


def test_save_during_failover_is_refused_and_works_after_it(redis: Cluster, keys: set[str]) -> None:
    """All sessions are read before, so that no read reveals the new master to the client."""
    sessions = list(map(SessionStore, keys))
    for session in sessions:
        session["n"] = session["number"]
    redis.kill_master()
    for session in sessions:
        with suppress(StoreUnavailableError):
            session.save()
    redis.wait_for_failover()
    for session in sessions:
        session["n"] = session["number"] + 1
        session.save()


def test_process_that_starts_during_failover_is_refused_sessions(
    redis: Cluster, keys: set[str]
) -> None:
    redis.kill_master()
    for number in range(20):
        ClusterConnectionFactory._clusters.clear()
        del connections["sessions"]
        with suppress(StoreUnavailableError):
            create_session(number=number)
    redis.wait_for_failover()
    assert SessionStore(create_session(number=0))["number"] == 0


def test_listing_continues_after_failover(redis: Cluster, keys: set[str]) -> None:
    first = SessionStore.page(size=5)
    redis.kill_master()
    redis.wait_for_failover()
    listed, position = {session.key for session in first.sessions}, first.next
    while position:
        page = SessionStore.page(position, 5)
        listed |= {session.key for session in page.sessions}
        position = page.next
    assert listed == keys


def port_of(key: str) -> int:
    """The port of the session's master, according to the client."""
    cache: Any = connections["sessions"]
    name = cache.make_key(SessionStore.cache_key_prefix + key)
    return int(cache.client.get_client().get_node_from_key(name).port)


def create_session(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def test_failover_signs_out_nobody(
    whose: Whose,
    redis: Cluster,
    variables: Variables,
    tries: Tries,
    tally: Tally,
    report_line: Callable[[str], None],
) -> None:
    """The sign-ins are replicated before. Redis confirms a write before it is replicated."""
    answers: list[Answer] = []
    failed: list[Answer] = []
    signed_out = lost = 0
    seconds: list[float] = []
    times = tries(1, 5)
    with threaded(**variables("cache", redis=redis.url)) as site:
        for _ in range(times):
            redis.restore()
            crowd = Crowd([site] * VISITORS)
            redis.wait_until_replicated()
            with crowd.busy():
                crowd.wait_for_turns(TURNS)
                started = time.monotonic()
                redis.kill_master()
                redis.wait_for_failover()
                ended = time.monotonic()
                crowd.wait_for_turns(TURNS)
            assert crowd.failed(), "no request failed"
            answers += crowd.answers
            failed += crowd.failed(started, ended, {503})
            seconds += [max(answer.ended for answer in crowd.failed()) - started]
            signed_out += crowd.signed_out()
            lost += crowd.lost()
    what = "A master of a Redis Cluster is killed under load, cache"
    tally(f"{what}: sessions", whose, VISITORS * times, signed_out)
    wrong = sum(not answer.is_correct for answer in answers)
    report_line(
        f"{what}, {whose}: {wrong} of {len(answers)} requests failed, the last of them "
        f"{max(seconds):.1f} s after the kill; {lost} sessions without their last write"
    )
    if whose == "ours":
        assert (failed, signed_out) == ([], 0)
