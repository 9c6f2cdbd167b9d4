"""PostgreSQL is restarted under load, which closes all connections."""

import time

import psycopg
import pytest

from tests.fault_table import Tally, Whose
from tests.servers import StoppablePostgreSQL

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 5


@pytest.mark.parametrize("engine", ["db", "cached_db"])
def test_requests_succeed_again_after_postgresql_restarts(
    engine: str,
    whose: Whose,
    postgresql: StoppablePostgreSQL,
    redis_url: str,
    variables: Variables,
    tries: Tries,
    tally: Tally,
) -> None:
    answers: list[Answer] = []
    failed: list[Answer] = []
    lost = 0
    restarts = tries(1, 20)
    environment = variables(engine, database=postgresql.url, redis=redis_url)
    with threaded(**environment) as site:
        for _ in range(restarts):
            crowd = Crowd([site] * VISITORS)
            with crowd.busy():
                crowd.wait_for_turns(TURNS)
                stopped = time.monotonic()
                stop(postgresql)
                crowd.wait_for_turns(TURNS)
                postgresql.start()
                restarted = time.monotonic()
                crowd.wait_for_turns(TURNS)
            # Without load, so that the next requests meet closed connections.
            stop(postgresql)
            postgresql.start()
            with crowd.busy():
                crowd.wait_for_turns(TURNS)
            assert crowd.failed(), "no request failed"
            lost += crowd.lost()
            answers += crowd.answers
            # It is a 500 if the server stops or starts during the request.
            failed += crowd.failed(stopped, restarted, {500, 503})
    what = f"PostgreSQL restarted under load, {engine}"
    tally(f"{what}: requests (errors while it is down)", whose, len(answers), len(failed))
    tally(f"{what}: sessions", whose, VISITORS * restarts, lost)
    assert len(answers) >= 4 * 2 * TURNS * VISITORS * restarts
    if whose == "ours":
        assert (failed, lost) == ([], 0)


def stop(postgresql: StoppablePostgreSQL) -> None:
    """Stop it, and check that it is down."""
    postgresql.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgresql.url)
