"""Connections of statements without Django's cursor: dead ones, checks, pools, threads."""

import asyncio
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, close_old_connections, connection, connections
from django.test import override_settings

from cookieproj.engines import sql_direct
from cookieproj.engines.benchmark.round_trip_counter import round_trip_counter
from cookieproj.engines.clock import from_now
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.model_table import table_of
from tests.conftest import administered

from .contract import Engine, on_engines
from .test_direct_sql import on_our, sent_directly
from .test_sql_errors import reconnecting, stored

pytestmark = on_our("postgresql", "mariadb")

on_postgresql = on_our("postgresql")

KEPT = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}

# A statement that ends the connection of that id, for each kind of database.
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def connection_id() -> int:
    sql = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
    with connection.cursor() as cursor:
        cursor.execute(sql[connection.vendor])
        (number,) = cursor.fetchone()
    return int(number)


@pytest.fixture
def kill(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Return a function that ends the connection, as a restart of the server does."""
    url = request.getfixturevalue(f"{engine.database}_sessions_url")
    with administered(url) as execute:

        def kill() -> None:
            execute(KILL[connection.vendor].format(connection_id()))

        yield kill


def test_read_over_a_dead_connection_connects_again(
    engine: Engine, kill: Callable[[], None]
) -> None:
    with reconnecting(**KEPT):
        key = stored(engine, a=1).session_key
        kill()
        close_old_connections()
        with sent_directly() as words:
            assert engine.Store(key)["a"] == 1
        assert words == ["SELECT", "SELECT"]
        with sent_directly() as words:
            assert engine.Store(key)["a"] == 1
        assert words == ["SELECT"]


def test_write_over_a_dead_connection_connects_first(
    engine: Engine, kill: Callable[[], None]
) -> None:
    with reconnecting(**KEPT):
        session = stored(engine, a=1)
        session["b"] = 2
        kill()
        close_old_connections()
        with sent_directly() as words:
            session.save()
        assert words == ["UPDATE"]
        assert engine.Store(session.session_key)["b"] == 2


@pytest.mark.parametrize("health_checks", [True, False])
def test_connection_that_dies_within_a_request_is_not_replaced(
    engine: Engine, kill: Callable[[], None], health_checks: bool
) -> None:
    """As on Django's engine. The next request has a new connection."""
    with reconnecting(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=health_checks):
        key = stored(engine, a=1).session_key
        close_old_connections()
        if health_checks:
            assert engine.Store(key)["a"] == 1
        kill()
        with sent_directly() as words, pytest.raises(StoreUnavailableError):
            engine.Store(key).load()
        assert words == ["SELECT"]
        close_old_connections()
        assert engine.Store(key)["a"] == 1


@on_postgresql
def test_statement_that_takes_too_long_is_not_sent_again(
    engine: Engine, postgresql_sessions_url: str
) -> None:
    with reconnecting(**KEPT), psycopg.connect(postgresql_sessions_url) as other:
        key = stored(engine, a=1).session_key
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 200")
        driver_connection = connection.connection
        close_old_connections()
        other.execute("LOCK TABLE django_session")
        with sent_directly() as words, pytest.raises(StoreUnavailableError):
            engine.Store(key).load()
        assert words == ["SELECT"]
        assert connection.connection is driver_connection
        other.rollback()
        assert engine.Store(key)["a"] == 1


@contextmanager
def counted_trips() -> Iterator[list[str]]:
    """Yield a list, which has a line for each message that asks the server for an answer."""
    trips: list[str] = []
    low_level = connection.connection.pgconn
    with tempfile.TemporaryFile("r+") as messages:
        low_level.trace(messages.fileno())
        low_level.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield trips
        finally:
            low_level.untrace()
        messages.seek(0)
        trips.extend(re.findall(r"^F\t\d+\t(Query|Sync)", messages.read(), re.MULTILINE))


def read(session: Any) -> None:
    session["a"]


def write(session: Any) -> None:
    session["b"] = session.get("b", 0) + 1
    session.save()


def sign_in(session: Any) -> None:
    session["b"] = 2
    session.cycle_key()
    session.save()


def sign_out(session: Any) -> None:
    read(session)
    session.flush()


@on_engines(lambda engine: engine.name == "db" and engine.database == "postgresql")
@pytest.mark.parametrize(("step", "limit"), [(read, 1), (write, 2), (sign_in, 4), (sign_out, 2)])
def test_health_check_costs_no_round_trip(
    engine: Engine, step: Callable[[Any], None], limit: int
) -> None:
    with reconnecting(**KEPT):
        key = stored(engine, a=1).session_key
        close_old_connections()
        with counted_trips() as trips:
            step(engine.Store(key))
        assert (len(trips) <= limit) == engine.ours, trips


@on_engines(lambda engine: engine.name == "db" and engine.database == "postgresql")
@pytest.mark.parametrize(("step", "number"), [(read, (1, 2)), (write, (2, 5))])
def test_benchmark_counts_health_checks(
    engine: Engine, step: Callable[[Any], None], number: tuple[int, int]
) -> None:
    """As on the wire. Our SELECT is the check."""
    with reconnecting(**KEPT):
        key = stored(engine, a=1).session_key
        close_old_connections()
        counter = round_trip_counter(engine.Store)
        assert counter
        with counter() as trips:
            step(engine.Store(key))
    assert trips.number == number[0 if engine.ours else 1]


@pytest.mark.parametrize("max_age", [0, 60, None])
def test_each_age_of_connections(engine: Engine, max_age: int | None) -> None:
    with reconnecting(CONN_MAX_AGE=max_age, CONN_HEALTH_CHECKS=True), sent_directly() as words:
        key = stored(engine, a=1).session_key
        for _request in range(3):
            close_old_connections()
            write(engine.Store(key))
    assert words == ["INSERT", *["SELECT", "UPDATE"] * 3]


@on_postgresql
def test_pool(engine: Engine) -> None:
    pytest.importorskip("psycopg_pool", reason="no psycopg_pool here: pip install psycopg[pool]")
    options = {**connection.settings_dict["OPTIONS"], "pool": {"min_size": 1, "max_size": 2}}
    with reconnecting(CONN_MAX_AGE=0, CONN_HEALTH_CHECKS=True, OPTIONS=options):
        pooled: Any = connections["default"]
        try:
            with sent_directly() as words:
                key = stored(engine, a=1).session_key
                for _request in range(3):
                    close_old_connections()
                    write(engine.Store(key))
            assert words == ["INSERT", *["SELECT", "UPDATE"] * 3]
        finally:
            connection.close()
            pooled.close_pool()


def test_event_loop_is_refused(engine: Engine) -> None:
    store = store_of(engine.Store)
    store.insert("k" * 32, {}, from_now(100))

    async def read() -> None:
        store.read("k" * 32)

    async def delete() -> None:
        store.delete("k" * 32)

    for step in (read, delete):
        with pytest.raises(SynchronousOnlyOperation):
            asyncio.run(step())
    assert store.read("k" * 32)


def test_connection_of_another_thread_is_refused(engine: Engine) -> None:
    stored(engine, a=1)
    wrapper: Any = connections["default"]
    errors: list[Exception] = []

    def send() -> None:
        try:
            sql_direct.fetch(wrapper, "SELECT 1", [])
        except DatabaseError as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    assert "can only be used in that same thread" in str(errors[0])


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/St_Johns"])
def test_values_are_those_of_djangos_cursor(engine: Engine, use_tz: bool, zone: str) -> None:
    with override_settings(USE_TZ=use_tz, TIME_ZONE=zone), reconnecting():
        session = stored(engine, a=1)
        table = table_of(session.model, "default")
        with sent_directly() as words:
            direct = table.read(session.session_key)
        assert words == ["SELECT"]
        with connection.execute_wrapper(lambda execute, *arguments: execute(*arguments)):
            by_cursor = table.read(session.session_key)
        assert direct
        assert direct == by_cursor
        assert direct.expire_date.tzinfo == by_cursor.expire_date.tzinfo
        assert session.model.objects.get().expire_date == direct.expire_date
