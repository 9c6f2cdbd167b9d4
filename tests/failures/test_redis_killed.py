"""Redis is killed under load, or hangs, and answers again after a while."""

import time
from collections.abc import Callable

import pytest

from tests.fault_table import Tally, Whose
from tests.servers import StoppableRedis

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 8

# How it fails, how it recovers, the turns of each visitor meanwhile, and the maximum seconds of a
# request: one time-out of connecting, or one of reading for each round trip of a write.
OUTAGES = {
    "killed": (StoppableRedis.kill, StoppableRedis.start, TURNS, 4),
    "hanging": (StoppableRedis.freeze, StoppableRedis.thaw, 1, 10),
}


@pytest.mark.parametrize("engine", ["cached_db", "cache"])
def test_redis_outage_signs_out_nobody(
    engine: str,
    whose: Whose,
    redis: StoppableRedis,
    variables: Variables,
    tries: Tries,
    tally: Tally,
    report_line: Callable[[str], None],
    pytestconfig: pytest.Config,
) -> None:
    """On cached_db each request succeeds. On cache it is a 503 meanwhile, without a long wait."""
    allowed = {503} if engine == "cache" else set()
    note = " (503 while it is down)" if allowed else ""
    with threaded(**variables(engine, redis=redis.url)) as site:
        for how, times in (("killed", tries(1, 20)), ("hanging", tries(0, 3))):
            fail, recover, turns, max_seconds = OUTAGES[how]
            answers: list[Answer] = []
            failed: list[Answer] = []
            lost = 0
            for _ in range(times):
                crowd = Crowd([site] * VISITORS)
                with crowd.busy():
                    crowd.wait_for_turns(TURNS)
                    started = time.monotonic()
                    fail(redis)
                    crowd.wait_for_turns(turns)
                    assert not redis.answers()
                    recover(redis)
                    assert redis.answers()
                    ended = time.monotonic()
                    crowd.wait_for_turns(TURNS)
                assert crowd.failed() or engine == "cached_db", "no request failed"
                lost += crowd.lost()
                answers += crowd.answers
                failed += crowd.failed(started, ended, allowed)
            if answers:
                what = f"Redis {how} under load, {engine}"
                slowest = max(answer.duration for answer in answers)
                tally(f"{what}: requests{note}", whose, len(answers), len(failed))
                tally(f"{what}: sessions", whose, VISITORS * times, lost)
                report_line(f"{what}, {whose}: slowest of {len(answers)} requests {slowest:.1f} s")
                assert len(answers) >= 2 * (2 * TURNS + turns) * VISITORS * times
                if whose == "ours":
                    assert (failed, lost) == ([], 0)
                    # Only runs with --long have the machine for themselves.
                    assert slowest < max_seconds or not pytestconfig.getoption("--long")
