"""Concurrent runs of ``clear_expired``, beside requests: none waits for a lock, none fails."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from cookieproj.engines.clear_expired_rows import MAX_ROWS_PER_PAGE
from cookieproj.engines.session_keys import random_key
from tests.conftest import administered

from .contract import Engine, on_engines
from .test_sql_errors import reconnecting, stored

pytestmark = on_engines(lambda engine: bool(engine.database))

on_ours = on_engines(lambda engine: engine.ours)

SERVERS = {"postgresql", "pgbouncer", "mariadb"}

on_servers = on_engines(lambda engine: engine.ours and engine.database in SERVERS)

on_postgresql = on_engines(lambda engine: engine.database == "postgresql")

CLEARINGS, EXPIRED, LIVE = 4, 3000, 2000


def create_expired(number: int) -> None:
    """Create expired rows whose order of expiry is not their order in the table."""
    now = timezone.now()
    Session.objects.bulk_create(
        Session(
            session_key=random_key(),
            session_data="x" * 100,
            expire_date=now - timedelta(seconds=60 + index * 7919 % number),
        )
        for index in range(number)
    )


@pytest.mark.parametrize("has_listeners", [False, True])
@on_servers
def test_concurrent_clearings_delete_each_expired_row_once(
    engine: Engine, has_listeners: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cookieproj.engines.clear_expired_rows.INDEXED_BATCH_SIZE", 100)
    monkeypatch.setattr(
        "cookieproj.engines.sql_statements.Table.has_listeners",
        mock.PropertyMock(return_value=has_listeners),
    )
    barrier = threading.Barrier(CLEARINGS)

    def clear(number: int) -> int:
        try:
            barrier.wait(timeout=60)
            # Different batch sizes, so that the threads do not run in lockstep.
            cleared: int = engine.Store.clear_expired(batch_size=MAX_ROWS_PER_PAGE + number * 100)
            return cleared
        finally:
            connections.close_all()
            caches.close_all()

    with ThreadPoolExecutor(CLEARINGS) as pool:
        for _round in range(3):
            create_expired(EXPIRED)
            live = stored(engine, a=1).session_key
            assert sum(pool.map(clear, range(CLEARINGS))) == EXPIRED
            assert engine.Store.count_expired() == 0
            assert engine.Store(live)["a"] == 1


@pytest.fixture
def lock_rows() -> Iterator[Callable[..., Any]]:
    """Locks rows over another connection, and returns a function that releases them."""
    with ThreadPoolExecutor(1) as pool:
        released, locked = threading.Event(), threading.Event()

        def lock(*keys: str) -> None:
            with transaction.atomic():
                tomorrow = timezone.now() + timedelta(days=1)
                for key in keys:
                    Session.objects.filter(session_key=key).update(expire_date=tomorrow)
                locked.set()
                assert released.wait(timeout=60)

        def start(*keys: str) -> Callable[[], object]:
            locking = pool.submit(lock, *keys)
            assert locked.wait(timeout=60)

            def release() -> object:
                released.set()
                return locking.result(timeout=60)

            return release

        yield start
        released.set()
        pool.submit(connections.close_all).result()


@pytest.mark.parametrize("indexed_batch_size", [1, 1000])
@on_servers
def test_locked_row_is_not_cleared(
    engine: Engine,
    indexed_batch_size: int,
    lock_rows: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request that is not finished renews the row. ``clear_expired`` does not wait for it."""
    monkeypatch.setattr(
        "cookieproj.engines.clear_expired_rows.INDEXED_BATCH_SIZE", indexed_batch_size
    )
    create_expired(5)
    key = Session.objects.order_by("session_key")[2].session_key
    release = lock_rows(key)
    assert engine.Store.clear_expired() == 4
    release()
    assert engine.Store.clear_expired() == 0
    assert [row.session_key for row in Session.objects.all()] == [key]


@on_ours
@pytest.mark.parametrize("expired", [0, 1, 2, 4])
def test_clearsessions_reports_the_number_of_cleared_sessions(
    engine: Engine, expired: int, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    create_expired(expired) if expired else None
    with mock.patch("cookieproj.devices.clear_registry.clear", return_value=0):
        call_command("clearsessions", batch_size=2)
    output = capsys.readouterr().out
    assert str(expired) in output if expired else "no expired" in output
    assert engine.Store.count() == 0
    assert connection.get_autocommit()


@pytest.fixture(params=[1, 4])
def partitions(
    engine: Engine, postgresql_sessions_url: str, request: pytest.FixtureRequest
) -> Iterator[int]:
    """Partitions the table, in a schema that comes first in the search path."""
    statements = [
        "CREATE SCHEMA parted",
        "CREATE TABLE parted.django_session (session_key varchar(40) PRIMARY KEY, session_data text"
        " NOT NULL, expire_date timestamptz NOT NULL) PARTITION BY HASH (session_key)",
        *(
            f"CREATE TABLE parted.part{number} PARTITION OF parted.django_session"
            f" FOR VALUES WITH (MODULUS {request.param}, REMAINDER {number})"
            for number in range(request.param)
        ),
        "CREATE INDEX ON parted.django_session (expire_date)",
    ]
    with administered(postgresql_sessions_url) as execute:
        execute("; ".join(statements))
        try:
            options = connection.settings_dict["OPTIONS"]
            with reconnecting(OPTIONS=options | {"options": "-c search_path=parted,public"}):
                yield request.param
        finally:
            execute("DROP SCHEMA parted CASCADE")


@pytest.mark.parametrize("expired", [EXPIRED, 40])
@on_postgresql
@pytest.mark.usefixtures("partitions")
def test_only_expired_rows_of_a_partitioned_table_are_cleared(engine: Engine, expired: int) -> None:
    """Rows in different partitions have the same ctids."""
    tomorrow = timezone.now() + timedelta(days=1)
    create_expired(expired)
    Session.objects.bulk_create(
        Session(session_key=random_key(), session_data="x" * 100, expire_date=tomorrow)
        for _ in range(LIVE)
    )
    Session.objects.update(session_data="y" * 100)
    engine.Store.clear_expired()
    assert Session.objects.filter(expire_date=tomorrow).count() == LIVE
    assert Session.objects.count() == LIVE


@on_postgresql
@on_engines(lambda engine: engine.ours)
def test_locked_rows_of_a_partitioned_table_are_not_cleared(
    engine: Engine, partitions: int, lock_rows: Callable[..., Any]
) -> None:
    create_expired(partitions * 20)
    # Rows in other partitions have the same ctids.
    locked_rows = Session.objects.order_by("session_key")[:partitions]
    keys = [row.session_key for row in locked_rows]
    release = lock_rows(*keys)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    assert engine.Store.clear_expired() == partitions * 19
    release()
    assert set(Session.objects.values_list("session_key", flat=True)) == set(keys)
