"""Statements that PostgreSQL prepares: only if OPTIONS set ``prepare_threshold``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.backends.base import CreateError
from django.db import ProgrammingError, connection, connections

from cookieproj.engines import sql_direct, sql_prepared
from cookieproj.engines.clock import from_now
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.sql_prepared import PreparedStatements
from tests.conftest import administered

from .contract import Engine
from .test_direct_sql import on_our
from .test_direct_sql_connections import counted_trips
from .test_sql_errors import reconnecting, stored

pytestmark = on_our("postgresql")


@contextmanager
def preparing(threshold: int | None) -> Iterator[None]:
    options = {**connection.settings_dict["OPTIONS"], "prepare_threshold": threshold}
    with reconnecting(OPTIONS=options):
        yield


def prepared() -> list[str]:
    """The first words of the statements that the server has prepared for this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements ORDER BY prepare_time")
        return [statement.split()[0] for (statement,) in cursor.fetchall()]


def write(engine: Engine, key: str) -> None:
    session = engine.Store(key)
    session["n"] = session.get("n", 0) + 1
    session.save()


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_none_is_prepared_by_default(engine: Engine) -> None:
    with preparing(None):
        key = stored(engine).session_key
        for _ in range(8):
            write(engine, key)
        assert prepared() == []


def test_statement_is_prepared_after_so_many_executions(engine: Engine) -> None:
    with preparing(2):
        key = stored(engine).session_key
        for _ in range(2):
            write(engine, key)
        assert prepared() == []
        for _ in range(2):
            write(engine, key)
        assert prepared() == ["SELECT", "UPDATE"]
        assert engine.Store(key)["n"] == 4


def test_each_connection_prepares_its_own(engine: Engine) -> None:
    with preparing(0):
        for _connection in range(2):
            key = stored(engine).session_key
            for _ in range(3):
                write(engine, key)
            assert prepared() == ["INSERT", "SELECT", "UPDATE"]
            connection.close()


def test_statement_that_the_server_has_forgotten_is_sent_unprepared(engine: Engine) -> None:
    with preparing(0):
        key = stored(engine).session_key
        write(engine, key)
        execute("DISCARD ALL")
        write(engine, key)
        assert (prepared(), engine.Store(key)["n"]) == ([], 2)
        write(engine, key)
        assert (prepared(), engine.Store(key)["n"]) == (["SELECT", "UPDATE"], 3)


def test_statement_of_a_migrated_table_is_sent_unprepared(
    engine: Engine, postgresql_sessions_url: str
) -> None:
    """Another process migrates. PostgreSQL fails: cached plan must not change result type."""
    alter = "ALTER TABLE django_session ALTER COLUMN session_data TYPE {}"
    with preparing(0), administered(postgresql_sessions_url) as migrate:
        key = stored(engine).session_key
        write(engine, key)
        migrate(alter.format("varchar(100000)"))
        try:
            for _ in range(3):
                write(engine, key)
            assert engine.Store(key)["n"] == 4
            # Prepared anew, they fail no more.
            with counted_trips() as trips:
                write(engine, key)
            assert len(trips) == 2
        finally:
            migrate(alter.format("text"))
        write(engine, key)
        assert engine.Store(key)["n"] == 6


def test_error_of_a_prepared_statement_is_its_own(engine: Engine) -> None:
    with preparing(0):
        store = store_of(engine.Store)
        store.insert("k" * 32, {}, from_now(100))
        with pytest.raises(CreateError):
            store.insert("k" * 32, {}, from_now(100))
        assert prepared() == ["INSERT"]


def test_name_that_is_taken_by_the_same_statement_is_used(engine: Engine) -> None:
    """As behind PgBouncer, where other clients have used that connection to the server."""
    with preparing(0):
        key = stored(engine).session_key
        write(engine, key)
        known: dict[Any, PreparedStatements] = {}
        with mock.patch.object(sql_prepared, "_of_connections", known):
            write(engine, key)
        assert len(known[connection.connection]._names) == 2
        assert (prepared(), engine.Store(key)["n"]) == (["INSERT", "SELECT", "UPDATE"], 2)


def test_parameter_of_a_migrated_column_is_sent_unprepared(engine: Engine) -> None:
    """A prepared statement has the types that its parameters had. PostgreSQL refuses it."""
    update = "UPDATE moved SET address = %s"
    with preparing(0):
        execute("CREATE TABLE moved (address varchar(40))")
        try:
            execute("INSERT INTO moved VALUES ('10.0.0.1')")
            assert sql_direct.execute(connections["default"], update, ["10.0.0.2"]).row_count == 1
            execute("ALTER TABLE moved ALTER COLUMN address TYPE inet USING address::inet")
            for number in range(3, 6):
                answer = sql_direct.execute(connections["default"], update, [f"10.0.0.{number}"])
                assert answer.row_count == 1
            with pytest.raises(ProgrammingError):
                sql_direct.execute(connections["default"], "UPDATE moved SET nothing = %s", ["a"])
        finally:
            execute("DROP TABLE moved")
