"""PgBouncer in transaction mode: what it does to connections, and what becomes of sessions."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction

from cookieproj.engines.exceptions import StoreMisconfiguredError, StoreUnavailableError
from cookieproj.settings.databases import database
from tests import servers
from tests.conftest import connected

from .contract import Engine, on_engines
from .test_sql_errors import reconnecting, stored

pytestmark = on_engines(lambda engine: engine.database == "pgbouncer")


def test_it_keeps_nothing_that_a_client_sets(engine: Engine) -> None:
    """Else a test that needs it would pass by chance."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 5000")
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_a_cursor_of_the_servers_is_lost_unless_it_is_turned_off(engine: Engine) -> None:
    """As Django opens for ``iterator`` outside a transaction, and docs/production.md says."""
    stored(engine, a=1)
    with pytest.raises(DatabaseError):
        list(Session.objects.iterator())
    url = "postgres://host/name?disable_server_side_cursors=true"
    with reconnecting(DISABLE_SERVER_SIDE_CURSORS=database(url)["DISABLE_SERVER_SIDE_CURSORS"]):
        assert len(list(Session.objects.iterator())) == 1


@contextmanager
def own_pgbouncer(folder: Path, postgresql_url: str, *lines: str) -> Iterator[Any]:
    with servers.pgbouncer(folder, postgresql_url, *lines) as executor:
        url = f"postgresql://postgres@127.0.0.1:{executor.port}/pooled"
        with connected(url, OPTIONS={"connect_timeout": 2}, CONN_HEALTH_CHECKS=True):
            yield executor


def test_killed_and_started_again_it_has_lost_nothing(
    engine: Engine, tmp_path: Path, postgresql_url: str
) -> None:
    with own_pgbouncer(tmp_path, postgresql_url) as pgbouncer:
        session = stored(engine, a=1)
        session["b"] = 2
        pgbouncer.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                session.save()
        pgbouncer.start()
        connection.close()
        session.save()
        assert dict(engine.Store(session.session_key).items()) == {"a": 1, "b": 2}


def test_a_transaction_that_it_cuts_off_is_none(
    engine: Engine, tmp_path: Path, postgresql_url: str
) -> None:
    with own_pgbouncer(tmp_path, postgresql_url) as pgbouncer:
        session = stored(engine, a=1)
        with suppress(DatabaseError), transaction.atomic():
            session["b"] = 2
            session.save()
            pgbouncer.kill()
        pgbouncer.start()
        connection.close()
        assert dict(engine.Store(session.session_key).items()) == {"a": 1}


def test_a_pause_that_takes_too_long_is_told(
    engine: Engine, tmp_path: Path, postgresql_url: str
) -> None:
    """As while an operator moves the database: the visitor is told to try again."""
    settings = ("query_wait_timeout = 1", "admin_users = postgres")
    with own_pgbouncer(tmp_path, postgresql_url, *settings) as pgbouncer:
        session = stored(engine, a=1)
        session["b"] = 2
        with psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{pgbouncer.port}/pgbouncer",
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,
        ) as console:
            console.execute("PAUSE")
            with pytest.raises(StoreUnavailableError, match="query_wait_timeout"):
                session.save()
            console.execute("RESUME")
        session.save()
    assert dict(engine.Store(session.session_key).items()) == {"a": 1, "b": 2}


def test_a_database_that_it_does_not_find_is_named(engine: Engine) -> None:
    session = stored(engine, a=1)
    with reconnecting(NAME="nowhere"), pytest.raises(StoreMisconfiguredError, match="nowhere"):
        engine.Store(session.session_key).load()


def test_prepared_statements_that_it_loses_are_sent_unprepared(
    engine: Engine, tmp_path: Path, postgresql_url: str
) -> None:
    """Before 1.21 it knows none: the next one may be sent to another server."""
    forgetting = "server_reset_query = DISCARD ALL", "server_reset_query_always = 1"
    with (
        own_pgbouncer(tmp_path, postgresql_url, *forgetting),
        reconnecting(OPTIONS={"prepare_threshold": 0}),
    ):
        session = stored(engine, n=0)
        for number in range(3):
            session = engine.Store(session.session_key)
            session["n"] = number
            session.save()
        assert engine.Store(session.session_key)["n"] == 2
        assert connection.connection.prepare_threshold == 0
