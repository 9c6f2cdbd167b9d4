"""PostgreSQL is restarted under load: whoever was connected has to connect again."""

import time

import psycopg
import pytest

from tests.fault_table import Held, Whose
from tests.servers import StoppablePostgreSQL

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 5


@pytest.mark.parametrize("engine", ["db", "cached_db"])
def test_it_goes_on_when_it_is_back(
    engine: str,
    whose: Whose,
    postgresql: StoppablePostgreSQL,
    redis_url: str,
    variables: Variables,
    tries: Tries,
    held: Held,
) -> None:
    answers: list[Answer] = []
    failed: list[Answer] = []
    lost = 0
    restarts = tries(1, 20)
    served = variables(engine, database=postgresql.url, redis=redis_url)
    with threaded(**served) as site:
        for _ in range(restarts):
            crowd = Crowd([site] * VISITORS)
            with crowd.busy():
                crowd.take(TURNS)
                stopped = time.monotonic()
                stop(postgresql)
                crowd.take(TURNS)
                postgresql.start()
                back = time.monotonic()
                crowd.take(TURNS)
            # While nobody asks anything, so that nobody has noticed who comes next.
            stop(postgresql)
            postgresql.start()
            with crowd.busy():
                crowd.take(TURNS)
            assert crowd.failed(), "nobody missed it"
            lost += crowd.lost()
            answers += crowd.answers
            # 500 for a request in whose midst it went, or came back.
            failed += crowd.failed(stopped, back, {500, 503})
    what = f"PostgreSQL restarted under load, {engine}"
    held(f"{what}: requests (errors while it is away)", whose, len(answers), len(failed))
    held(f"{what}: sessions", whose, VISITORS * restarts, lost)
    assert len(answers) >= 4 * 2 * TURNS * VISITORS * restarts
    if whose == "ours":
        assert (failed, lost) == ([], 0)


def stop(postgresql: StoppablePostgreSQL) -> None:
    """And see that it is."""
    postgresql.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgresql.url)
