"""A master of a Redis Cluster is killed under load, and its replica takes its place."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.cache import caches as connections
from pytest_django import Settings

from cookieproj.engines.cache import SessionStore
from cookieproj.settings.caches import caches
from tests.clusters import Cluster, redis_cluster
from tests.conftest import start
from tests.fault_table import Held, Whose

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

# Milliseconds until a node that says nothing is taken for dead. In production more are usual.
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
    """Those of sessions that are on all nodes, and replicated."""
    settings.CACHES = caches(redis.url)
    settings.SESSION_CACHE_ALIAS = "sessions"
    redis.make_whole()
    connections["sessions"].clear()
    keys = {stored(number=number) for number in range(60)}
    redis.wait_until_replicated()
    return keys


def test_a_session_of_a_node_that_is_gone_goes_on_at_once(redis: Cluster, keys: set[str]) -> None:
    """Once there is another: the client of before has to find that out."""
    killed = redis.kill_master()
    redis.wait_for_another()
    session = SessionStore(next(key for key in keys if port_of(key) == killed.port))
    session["n"] = session["number"]
    session.save()


def test_a_list_goes_on_where_it_was(redis: Cluster, keys: set[str]) -> None:
    first = SessionStore.page(size=5)
    redis.kill_master()
    redis.wait_for_another()
    met, position = {listed.key for listed in first.sessions}, first.next
    while position:
        page = SessionStore.page(position, 5)
        met |= {listed.key for listed in page.sessions}
        position = page.next
    assert met == keys


def port_of(key: str) -> int:
    """Of the node that has the session, by what the client knows."""
    cache: Any = connections["sessions"]
    name = cache.make_key(SessionStore.cache_key_prefix + key)
    return int(cache.client.get_client().get_node_from_key(name).port)


def stored(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def test_whoever_was_signed_in_still_is(
    whose: Whose,
    redis: Cluster,
    variables: Variables,
    tries: Tries,
    held: Held,
    tell: Callable[[str], None],
) -> None:
    """Whose sign-in was replicated, that is: Redis answers a write before it is."""
    answers: list[Answer] = []
    failed: list[Answer] = []
    signed_out = lost = 0
    seconds: list[float] = []
    times = tries(1, 5)
    with threaded(**variables("cache", redis=redis.url)) as site:
        for _ in range(times):
            redis.make_whole()
            crowd = Crowd([site] * VISITORS)
            redis.wait_until_replicated()
            with crowd.busy():
                crowd.take(TURNS)
                began = time.monotonic()
                redis.kill_master()
                redis.wait_for_another()
                ended = time.monotonic()
                crowd.take(TURNS)
            assert crowd.failed(), "nobody missed the master"
            answers += crowd.answers
            failed += crowd.failed(began, ended, {503})
            seconds += [max(answer.ended for answer in crowd.failed()) - began]
            signed_out += crowd.signed_out()
            lost += crowd.lost()
    what = "A master of a Redis Cluster is killed under load, cache"
    held(f"{what}: sessions", whose, VISITORS * times, signed_out)
    wrong = sum(not answer.right for answer in answers)
    tell(
        f"{what}, {whose}: {wrong} of {len(answers)} requests failed, the last of them "
        f"{max(seconds):.1f} s after the kill; {lost} sessions without their last write"
    )
    if whose == "ours":
        assert (failed, signed_out) == ([], 0)
