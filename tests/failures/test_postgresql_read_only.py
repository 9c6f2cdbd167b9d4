"""PostgreSQL is read-only for a while, as after a failover, and connections stay open."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.fault_table import Tally, Whose
from tests.servers import StoppablePostgreSQL

from .conftest import Variables
from .threaded_server import threaded
from .visitors import Visitor

# More than there are threads, so that each connects while the server is read-only.
WRITES = 20


@contextmanager
def read_only(postgresql: StoppablePostgreSQL) -> Iterator[None]:
    """Close all connections. Those opened in the block are read-only, also after it."""
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
def test_write_is_503_while_postgresql_is_read_only(
    engine: str,
    whose: Whose,
    postgresql: StoppablePostgreSQL,
    redis_url: str,
    variables: Variables,
    tally: Tally,
) -> None:
    environment = variables(engine, database=postgresql.url, redis=redis_url)
    with threaded(**environment) as site:
        visitor = Visitor(site)
        visitor.turn()
        assert visitor.confirmed == 1
        with read_only(postgresql):
            # The connection of the first ones was closed.
            during = [write(visitor) for _ in range(WRITES)]
            reads = [visitor.send("GET", "/auth/account/", "welcome ada") for _ in range(WRITES)]
        after = [write(visitor) for _ in range(WRITES)]
        assert visitor.is_signed_in()
    wrong = [status for status in during if status != 503] + [s for s in after if s != 200]
    tally(f"PostgreSQL read-only for a while, {engine}: writes", whose, 2 * WRITES, len(wrong))
    if whose == "ours":
        assert wrong == []
        assert all(reads)


def write(visitor: Visitor) -> int:
    """Send a write, and return its status."""
    visitor.send("POST", "/sessions/set-item/", "color is set", key="color", value="blue")
    return visitor.answers[-1].status
