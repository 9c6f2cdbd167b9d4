"""The primary of a Redis with Sentinels is killed under load, and they promote a replica."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import start
from tests.fault_table import Tally, Whose

from .conftest import Tries, Variables
from .sentinels import SentinelSetup, redis_with_sentinels
from .threaded_server import threaded
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 8


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSetup]:
    with ExitStack() as stack:
        yield start(stack, redis_with_sentinels(tmp_path_factory.mktemp("sentinels")))


def test_failover_signs_out_nobody(
    whose: Whose,
    redis: SentinelSetup,
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
                redis.kill_primary()
                redis.wait_for_failover()
                ended = time.monotonic()
                crowd.wait_for_turns(TURNS)
            assert crowd.failed(), "no request failed"
            answers += crowd.answers
            failed += crowd.failed(started, ended, {503})
            seconds += [max(answer.ended for answer in crowd.failed()) - started]
            signed_out += crowd.signed_out()
            lost += crowd.lost()
    what = "Redis fails over to a replica under load, cache"
    tally(f"{what}: sessions", whose, VISITORS * times, signed_out)
    wrong = sum(not answer.is_correct for answer in answers)
    report_line(
        f"{what}, {whose}: {wrong} of {len(answers)} requests failed, the last of them "
        f"{max(seconds):.1f} s after the kill; {lost} sessions without their last write"
    )
    if whose == "ours":
        assert (failed, signed_out) == ([], 0)
