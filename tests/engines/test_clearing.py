"""Several clearings at once, beside requests: none waits for another, and none fails."""

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


def expire(number: int) -> None:
    """Rows that expired in another order than they lie in."""
    now = timezone.now()
    Session.objects.bulk_create(
        Session(
            session_key=random_key(),
            session_data="x" * 100,
            expire_date=now - timedelta(seconds=60 + each * 7919 % number),
        )
        for each in range(number)
    )


@pytest.mark.parametrize("has_listeners", [False, True])
@on_servers
def test_any_number_of_clearings_at_once_end_well(
    engine: Engine, has_listeners: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cookieproj.engines.clear_expired_rows.INDEXED_BATCH_SIZE", 100)
    monkeypatch.setattr(
        "cookieproj.engines.sql_statements.Table.has_listeners",
        mock.PropertyMock(return_value=has_listeners),
    )
    everybody = threading.Barrier(CLEARINGS)

    def clear(number: int) -> int:
        try:
            everybody.wait(timeout=60)
            # Each with batches of another size, so that they do not go in step.
            cleared: int = engine.Store.clear_expired(batch_size=MAX_ROWS_PER_PAGE + number * 100)
            return cleared
        finally:
            connections.close_all()
            caches.close_all()

    with ThreadPoolExecutor(CLEARINGS) as pool:
        for _round in range(3):
            expire(EXPIRED)
            live = stored(engine, a=1).session_key
            assert sum(pool.map(clear, range(CLEARINGS))) == EXPIRED
            assert engine.Store.count_expired() == 0
            assert engine.Store(live)["a"] == 1


@pytest.fixture
def holder() -> Iterator[Callable[..., Any]]:
    """Keep rows locked, over another connection, till somebody has ended."""
    with ThreadPoolExecutor(1) as pool:
        ended, locked = threading.Event(), threading.Event()

        def hold(*keys: str) -> None:
            with transaction.atomic():
                tomorrow = timezone.now() + timedelta(days=1)
                for key in keys:
                    Session.objects.filter(session_key=key).update(expire_date=tomorrow)
                locked.set()
                assert ended.wait(timeout=60)

        def begin(*keys: str) -> Callable[[], object]:
            holding = pool.submit(hold, *keys)
            assert locked.wait(timeout=60)

            def end() -> object:
                ended.set()
                return holding.result(timeout=60)

            return end

        yield begin
        ended.set()
        pool.submit(connections.close_all).result()


@pytest.mark.parametrize("few", [1, 1000])
@on_servers
def test_a_row_in_somebody_elses_hands_is_left_to_him(
    engine: Engine, few: int, holder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request renews it, and is not done: nobody waits, and what it renews stays."""
    monkeypatch.setattr("cookieproj.engines.clear_expired_rows.INDEXED_BATCH_SIZE", few)
    expire(5)
    key = Session.objects.order_by("session_key")[2].session_key
    end = holder(key)
    assert engine.Store.clear_expired() == 4
    end()
    assert engine.Store.clear_expired() == 0
    assert [row.session_key for row in Session.objects.all()] == [key]


@on_ours
@pytest.mark.parametrize("expired", [0, 1, 2, 4])
def test_nothing_and_whole_batches_are_cleared_by_the_command(
    engine: Engine, expired: int, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    expire(expired) if expired else None
    with mock.patch("cookieproj.devices.clear_registry.clear", return_value=0):
        call_command("clearsessions", batch_size=2)
    told = capsys.readouterr().out
    assert str(expired) in told if expired else "no expired" in told
    assert engine.Store.count() == 0
    assert connection.get_autocommit()


@pytest.fixture(params=[1, 4])
def parts(
    engine: Engine, postgresql_sessions_url: str, request: pytest.FixtureRequest
) -> Iterator[int]:
    """The table in parts, in a schema that comes before the others'."""
    statements = [
        "CREATE SCHEMA parted",
        "CREATE TABLE parted.django_session (session_key varchar(40) PRIMARY KEY, session_data text"
        " NOT NULL, expire_date timestamptz NOT NULL) PARTITION BY HASH (session_key)",
        *(
            f"CREATE TABLE parted.part{part} PARTITION OF parted.django_session"
            f" FOR VALUES WITH (MODULUS {request.param}, REMAINDER {part})"
            for part in range(request.param)
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
@pytest.mark.usefixtures("parts")
def test_of_a_table_in_parts_nothing_is_cleared_but_what_has_expired(
    engine: Engine, expired: int
) -> None:
    """In each part the rows have the same places."""
    tomorrow = timezone.now() + timedelta(days=1)
    expire(expired)
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
def test_nor_is_anybody_waited_for_there(
    engine: Engine, parts: int, holder: Callable[..., Any]
) -> None:
    expire(parts * 20)
    # Others lie at its place in the other parts.
    held = Session.objects.order_by("session_key")[:parts]
    keys = [row.session_key for row in held]
    end = holder(*keys)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    assert engine.Store.clear_expired() == parts * 19
    end()
    assert set(Session.objects.values_list("session_key", flat=True)) == set(keys)
