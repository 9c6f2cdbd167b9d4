"""PostgreSQL takes no writes for a while, as after a fail-over; connections stay open."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.fault_table import Held, Whose
from tests.servers import StoppablePostgreSQL

from .conftest import Variables
from .threaded_server import threaded
from .visitors import Visitor

# More than there are threads, so that each has a connection from then.
WRITES = 20


@contextmanager
def read_only(postgresql: StoppablePostgreSQL) -> Iterator[None]:
    """To whoever connects meanwhile, and stays connected; and all have to."""
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        try:
            yield
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER DATABASE postgres RESET default_transaction_read_only")


@pytest.mark.parametrize("engine", ["db", "cached_db"])
def test_a_write_is_a_503_and_fine_again(
    engine: str,
    whose: Whose,
    postgresql: StoppablePostgreSQL,
    redis_url: str,
    variables: Variables,
    held: Held,
) -> None:
    served = variables(engine, database=postgresql.url, redis=redis_url)
    with threaded(**served) as site:
        visitor = Visitor(site)
        visitor.turn()
        assert visitor.kept == 1
        with read_only(postgresql):
            # The first find that they are not connected any more.
            meanwhile = [write(visitor) for _ in range(WRITES)]
            reads = [visitor.ask("GET", "/auth/account/", "welcome ada") for _ in range(WRITES)]
        after = [write(visitor) for _ in range(WRITES)]
        assert visitor.is_signed_in()
    wrong = [status for status in meanwhile if status != 503] + [s for s in after if s != 200]
    held(f"PostgreSQL read-only for a while, {engine}: writes", whose, 2 * WRITES, len(wrong))
    if whose == "ours":
        assert wrong == []
        assert all(reads)


def write(visitor: Visitor) -> int:
    """Its status."""
    visitor.ask("POST", "/sessions/set-item/", "color is set", key="color", value="blue")
    return visitor.answers[-1].status
