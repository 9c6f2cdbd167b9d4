"""A master of a Redis Cluster is killed under load, and its replica takes its place."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.clusters import Cluster, redis_cluster
from tests.conftest import start
from tests.fault_table import Held, Whose

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 8


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield start(stack, redis_cluster(tmp_path_factory.mktemp("cluster"), replicas=1))


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
