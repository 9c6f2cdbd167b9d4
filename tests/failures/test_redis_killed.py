"""Redis is killed under load, or hangs, and is back after a while."""

import time
from collections.abc import Callable

import pytest

from tests.fault_table import Held, Whose
from tests.servers import StoppableRedis

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 8

# How it goes, how it comes back, how many turns each visitor takes meanwhile, and the most
# seconds of a request: a time-out in connecting; or one of reading for each trip of a write.
OUTAGES = {
    "killed": (StoppableRedis.kill, StoppableRedis.start, TURNS, 4),
    "hanging": (StoppableRedis.freeze, StoppableRedis.thaw, 1, 10),
}


@pytest.mark.parametrize("engine", ["cached_db", "cache"])
def test_nobody_is_signed_out(
    engine: str,
    whose: Whose,
    redis: StoppableRedis,
    variables: Variables,
    tries: Tries,
    held: Held,
    tell: Callable[[str], None],
    pytestconfig: pytest.Config,
) -> None:
    """On cached_db every request is served; on cache there is a 503 meanwhile, and soon."""
    meanwhile = {503} if engine == "cache" else set()
    note = " (503 while it is away)" if meanwhile else ""
    with threaded(**variables(engine, redis=redis.url)) as site:
        for how, times in (("killed", tries(1, 20)), ("hanging", tries(0, 3))):
            go, come_back, turns, soon = OUTAGES[how]
            answers: list[Answer] = []
            failed: list[Answer] = []
            lost = 0
            for _ in range(times):
                crowd = Crowd([site] * VISITORS)
                with crowd.busy():
                    crowd.take(TURNS)
                    began = time.monotonic()
                    go(redis)
                    crowd.take(turns)
                    assert not redis.answers()
                    come_back(redis)
                    assert redis.answers()
                    ended = time.monotonic()
                    crowd.take(TURNS)
                assert crowd.failed() or engine == "cached_db", "nobody missed it"
                lost += crowd.lost()
                answers += crowd.answers
                failed += crowd.failed(began, ended, meanwhile)
            if answers:
                what = f"Redis {how} under load, {engine}"
                slowest = max(answer.took for answer in answers)
                held(f"{what}: requests{note}", whose, len(answers), len(failed))
                held(f"{what}: sessions", whose, VISITORS * times, lost)
                tell(f"{what}, {whose}: slowest of {len(answers)} requests {slowest:.1f} s")
                assert len(answers) >= 2 * (2 * TURNS + turns) * VISITORS * times
                if whose == "ours":
                    assert (failed, lost) == ([], 0)
                    # Seconds say something only where nothing else runs on the machine.
                    assert slowest < soon or not pytestconfig.getoption("--long")
