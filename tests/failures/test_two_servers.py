"""Two servers of one site behind a load balancer, one of which is killed."""

from contextlib import ExitStack
from itertools import product

import pytest

from cookieproj.profiles import PROFILES
from tests.fault_table import Held, Whose
from tests.servers import StoppablePostgreSQL
from tests.sites import gunicorn

from .balancer import balanced
from .conftest import Variables
from .threaded_server import OPTIONS
from .visitors import Crowd

VISITORS = 4
TURNS = 6


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of ours; of Django's, without --long, one, to see that it is the same trial."""
    some = PROFILES if metafunc.config.getoption("--long") else PROFILES[:1]
    cases = [*product(["ours"], PROFILES), *product(["Django's"], some)]
    metafunc.parametrize(("whose", "engine"), cases, indirect=["whose"])


@pytest.fixture
def whose(request: pytest.FixtureRequest) -> Whose:
    found: Whose = request.param
    return found


def test_a_browser_that_moves_between_them_notices_nothing(
    engine: str,
    whose: Whose,
    variables: Variables,
    postgresql: StoppablePostgreSQL,
    redis_url: str,
    held: Held,
) -> None:
    served = variables(engine, database=postgresql.url, redis=redis_url)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(gunicorn(*OPTIONS, "--workers", "1", **served, TZ=zone))
            for zone in ("Asia/Kolkata", "America/St_Johns")
        ]
        ports = [server.port for server in servers]
        balancers = [stack.enter_context(balanced(ports)) for _ in range(VISITORS)]
        crowd = Crowd([f"http://127.0.0.1:{balancer.server_port}" for balancer in balancers])
        with crowd.busy():
            crowd.take(TURNS)
            both = [balancer.served.copy() for balancer in balancers]
            servers[0].kill()
            alone = [balancer.served.copy() for balancer in balancers]
            crowd.take(TURNS)
        lost = crowd.lost()
        for visitor in crowd.visitors:
            visitor.sign_out()
        signed_out = crowd.signed_out()
    what = "One of two servers behind a balancer killed under load"
    held(f"{what}: requests", whose, len(crowd.answers), len(crowd.failed()))
    held(f"{what}: sessions", whose, VISITORS, lost)
    assert all(abs(served[ports[0]] - served[ports[1]]) <= 1 for served in both)
    for balancer, before in zip(balancers, alone, strict=True):
        by_dead, by_other = ((balancer.served - before)[port] for port in ports)
        # An answer that had come in may not have been counted yet.
        assert by_dead <= 1 < by_other
    assert len(crowd.answers) >= 2 * 2 * TURNS * VISITORS
    if whose == "ours":
        assert (crowd.failed(), lost, signed_out) == ([], 0, VISITORS)
