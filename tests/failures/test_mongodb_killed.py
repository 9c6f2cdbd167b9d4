"""MongoDB is killed under load, or hangs, and answers again after a while."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault_table import Tally
from tests.servers import StoppableMongoDB

from .conftest import Tries, Variables
from .threaded_server import threaded
from .visitors import Answer, Crowd

VISITORS = 6
TURNS = 8


@pytest.fixture
def mongodb(tmp_path: Path) -> Iterator[StoppableMongoDB]:
    server = StoppableMongoDB(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("whose", ["ours"], indirect=True)
def test_nobody_is_signed_out_and_no_write_is_lost(
    mongodb: StoppableMongoDB, variables: Variables, tries: Tries, tally: Tally
) -> None:
    """While the server does not answer, every request gets a 503."""
    answers: list[Answer] = []
    failed: list[Answer] = []
    lost = 0
    kills = tries(1, 20)
    served = variables("mongodb") | {"MONGODB_URL": f"{mongodb.url}/sessions"}
    with threaded(**served) as site:
        for _ in range(kills):
            crowd = Crowd([site] * VISITORS)
            with crowd.busy():
                crowd.wait_for_turns(TURNS)
                killed = time.monotonic()
                mongodb.kill()
                crowd.wait_for_turns(1)
                mongodb.start()
                # PyMongo asks a server that did not answer again after some seconds at most.
                crowd.wait_for_turns(TURNS)
                back = time.monotonic()
                crowd.wait_for_turns(TURNS)
            assert crowd.failed(), "nobody noticed"
            lost += crowd.lost()
            answers += crowd.answers
            failed += crowd.failed(killed, back, {503})
    what = "MongoDB killed under load, mongodb"
    tally(f"{what}: requests (503 while it is unreachable)", "ours", len(answers), len(failed))
    tally(f"{what}: sessions", "ours", VISITORS * kills, lost)
    assert len(answers) >= 2 * (3 * TURNS + 1) * VISITORS * kills
    assert (failed, lost) == ([], 0)
