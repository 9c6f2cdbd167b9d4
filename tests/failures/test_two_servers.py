"""Two servers of one site behind a load balancer, one of which is killed."""

from contextlib import ExitStack
from itertools import product

import pytest

from cookieproj.profiles import PROFILES
from tests.fault_table import Tally, Whose
from tests.servers import StoppablePostgreSQL
from tests.sites import gunicorn

from .balancer import run_balancer
from .conftest import Variables
from .threaded_server import OPTIONS
from .visitors import Crowd

VISITORS = 4
TURNS = 6


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All profiles on our engines. On Django's only one without --long, as a comparison."""
    djangos = PROFILES if metafunc.config.getoption("--long") else PROFILES[:1]
    cases = [*product(["ours"], PROFILES), *product(["Django's"], djangos)]
    metafunc.parametrize(("whose", "engine"), cases, indirect=["whose"])


@pytest.fixture
def whose(request: pytest.FixtureRequest) -> Whose:
    whose: Whose = request.param
    return whose


def test_killing_one_of_two_servers_causes_no_error(
    engine: str,
    whose: Whose,
    variables: Variables,
    postgresql: StoppablePostgreSQL,
    redis_url: str,
    tally: Tally,
) -> None:
    environment = variables(engine, database=postgresql.url, redis=redis_url)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(gunicorn(*OPTIONS, "--workers", "1", **environment, TZ=zone))
            for zone in ("Asia/Kolkata", "America/St_Johns")
        ]
        ports = [server.port for server in servers]
        balancers = [stack.enter_context(run_balancer(ports)) for _ in range(VISITORS)]
        crowd = Crowd([f"http://127.0.0.1:{balancer.server_port}" for balancer in balancers])
        with crowd.busy():
            crowd.wait_for_turns(TURNS)
            before_kill = [balancer.served.copy() for balancer in balancers]
            servers[0].kill()
            at_kill = [balancer.served.copy() for balancer in balancers]
            crowd.wait_for_turns(TURNS)
        lost = crowd.lost()
        for visitor in crowd.visitors:
            visitor.sign_out()
        signed_out = crowd.signed_out()
    what = "One of two servers behind a balancer killed under load"
    tally(f"{what}: requests", whose, len(crowd.answers), len(crowd.failed()))
    tally(f"{what}: sessions", whose, VISITORS, lost)
    assert all(abs(counts[ports[0]] - counts[ports[1]]) <= 1 for counts in before_kill)
    for balancer, counts in zip(balancers, at_kill, strict=True):
        by_killed, by_other = ((balancer.served - counts)[port] for port in ports)
        # A response may have been received but not counted yet.
        assert by_killed <= 1 < by_other
    assert len(crowd.answers) >= 2 * 2 * TURNS * VISITORS
    if whose == "ours":
        assert (crowd.failed(), lost, signed_out) == ([], 0, VISITORS)
