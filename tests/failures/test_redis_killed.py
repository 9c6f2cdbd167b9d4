"""Redis is killed under load, and started again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.held import Held, Whose
from tests.servers import StoppableRedis
from tests.sites import gunicorn

from .conftest import Tries, Variables
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 8

# Seconds: one time-out in connecting, and a machine that is busy.
SOON = 4


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[StoppableRedis]:
    redis = StoppableRedis(tmp_path)
    redis.start()
    yield redis
    redis.kill()


@pytest.mark.parametrize("engine", ["cached_db", "cache"])
def test_nobody_is_signed_out(
    engine: str,
    whose: Whose,
    redis: StoppableRedis,
    variables: Variables,
    tries: Tries,
    held: Held,
    tell: Callable[[str], None],
) -> None:
    """On cached_db every request is served; on cache there is a 503 meanwhile, and at once."""
    answers: list[Answer] = []
    failed: list[Answer] = []
    lost = 0
    kills = tries(1, 20)
    meanwhile = {503} if engine == "cache" else set()
    with gunicorn(**variables(engine, redis=redis.url)) as site:
        for _ in range(kills):
            crowd = Crowd([site] * VISITORS)
            with crowd.busy():
                crowd.take(TURNS)
                killed = time.monotonic()
                redis.kill()
                crowd.take(TURNS)
                redis.start()
                back = time.monotonic()
                crowd.take(TURNS)
            lost += crowd.lost()
            answers += crowd.answers
            failed += crowd.failed(killed, back, meanwhile)
    slowest = max(answer.took for answer in answers)
    what = f"Redis killed under load, {engine}"
    note = " (503 while it is away)" if meanwhile else ""
    held(f"{what}: requests{note}", whose, len(answers), len(failed))
    held(f"{what}: sessions", whose, VISITORS * kills, lost)
    tell(f"{what}, {whose}: slowest of {len(answers)} requests {slowest:.2f} s")
    assert len(answers) >= 3 * 2 * TURNS * VISITORS * kills
    if whose == "ours":
        assert (failed, lost) == ([], 0)
        assert slowest < SOON
