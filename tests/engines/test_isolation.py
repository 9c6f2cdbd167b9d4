"""At each isolation level, no write is lost, and a transaction that fails can be repeated."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from cookieproj.engines.exceptions import StoreError, StoreUnavailableError

from .contract import ALL, Engine, kept, on_engines
from .test_sql_errors import reconnecting, save, stored

SERVERS = {"postgresql", "pgbouncer", "mariadb"}
LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
WRITERS, ROUNDS = 8, 5

pytestmark = on_engines(lambda engine: engine.database in SERVERS)


@contextmanager
def isolated(level: str, **options: Any) -> Iterator[None]:
    """Use this isolation level for new connections."""
    levels = {
        "postgresql": getattr(psycopg.IsolationLevel, level.replace(" ", "_")),
        "mysql": level.lower(),
    }
    options = {"isolation_level": levels[connection.vendor], **options}
    with reconnecting(OPTIONS=connection.settings_dict["OPTIONS"] | options):
        yield


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Any]]:
    """Return a function that calls another over another connection, and waits for it."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda *call: pool.submit(*call).result(timeout=60)
        pool.submit(connections.close_all).result()
        pool.submit(caches.close_all).result()


@pytest.mark.parametrize("level", LEVELS)
def test_concurrent_writes_are_all_kept(engine: Engine, level: str) -> None:
    session_key = stored(engine, a=1).session_key
    all_writers = threading.Barrier(WRITERS)

    def write_keys(writer: int) -> int:
        written = 0
        try:
            for number in range(ROUNDS):
                session = engine.Store(session_key)
                session[f"{writer}-{number}"] = number
                all_writers.wait(timeout=60)
                try:
                    session.save()
                    written += 1
                except (OperationalError, StoreError, UpdateError):
                    # The visitor gets an error response, so nothing is lost silently.
                    pass
                all_writers.wait(timeout=60)
        finally:
            connections.close_all()
            caches.close_all()
        return written

    with isolated(level), ThreadPoolExecutor(WRITERS) as pool:
        written = sum(pool.map(write_keys, range(WRITERS)))
    kept_count = len(engine.Store(session_key).keys()) - 1
    seen = f"{written} written, {kept_count} kept"
    kept(engine, written == kept_count == WRITERS * ROUNDS, seen, ALL)


# A serializable transaction locks the rows that it reads, so no other can write between.
@pytest.mark.parametrize("level", LEVELS[:2])
@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
def test_save_merges_write_that_transaction_does_not_see(
    engine: Engine, level: str, elsewhere: Callable[..., Any]
) -> None:
    key = stored(engine, a=1).session_key

    def change(**data: Any) -> None:
        session = engine.Store(key)
        session.update(data)
        session.save()

    with isolated(level), transaction.atomic():
        session = engine.Store(key)
        session["b"] = 2
        take_snapshot()
        elsewhere(lambda: change(c=3))
        with CaptureQueriesContext(connection) as queries:
            session.save()
    # Savepoints come on top.
    assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) <= 4
    assert dict(engine.Store(key).items()) == {"a": 1, "b": 2, "c": 3}


def take_snapshot() -> None:
    """The first query of a transaction determines what it sees from then on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_session")
        cursor.fetchall()


@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
def test_save_fails_if_transaction_does_not_see_that_session_ended(
    engine: Engine, elsewhere: Callable[..., Any]
) -> None:
    key = stored(engine, a=1).session_key
    with isolated("REPEATABLE READ"), transaction.atomic():
        session = engine.Store(key)
        session["b"] = 2
        take_snapshot()
        elsewhere(engine.Store(key).delete)
        with pytest.raises(UpdateError):
            session.save()
    assert not engine.Store().exists(key)


@pytest.mark.parametrize("level", LEVELS[1:])
@on_engines(lambda engine: engine.ours and engine.database in {"postgresql", "pgbouncer"})
def test_serialization_failure_raises_database_error_and_retry_succeeds(
    engine: Engine, level: str, elsewhere: Callable[..., Any]
) -> None:
    check_retry(engine, elsewhere, level)


@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
def test_snapshot_isolation_failure_raises_database_error_and_retry_succeeds(
    engine: Engine, elsewhere: Callable[..., Any]
) -> None:
    """Newer versions of MariaDB turn this option on by default."""
    snapshot = "SET SESSION innodb_snapshot_isolation = ON"
    check_retry(engine, elsewhere, "REPEATABLE READ", init_command=snapshot)


def check_retry(engine: Engine, elsewhere: Callable[..., Any], level: str, **options: Any) -> None:
    key = stored(engine, a=1).session_key
    concurrent_saves = [lambda: save(engine, key)]

    def view() -> None:
        session = engine.Store(key)
        session["c"] = 3
        take_snapshot()
        if concurrent_saves:
            elsewhere(concurrent_saves.pop())
        session.save()

    with isolated(level, **options):
        with pytest.raises(OperationalError), transaction.atomic():
            view()
        with transaction.atomic():
            view()
    assert dict(engine.Store(key).items()) == {"a": 1, "b": 1, "c": 3}


def test_deadlock_raises_database_error_in_one_transaction(engine: Engine) -> None:
    """Its retry succeeds."""
    keys = [stored(engine, a=1).session_key for _ in range(2)]
    both, first_is_done = threading.Barrier(2), threading.Event()
    errors = []

    def view(order: list[str], wait: Callable[[], object]) -> None:
        with transaction.atomic():
            write(order[0], order)
            wait()
            write(order[1], order)

    def write(session_key: str, order: list[str]) -> None:
        session = engine.Store(session_key)
        session[order[0]] = True
        session.save()

    def visit(order: list[str]) -> None:
        try:
            view(order, lambda: both.wait(timeout=60))
        except (OperationalError, UpdateError) as error:
            errors.append(error)
            # An earlier retry could meet the other transaction again.
            assert first_is_done.wait(timeout=60)
            view(order, lambda: None)
        finally:
            first_is_done.set()
            connections.close_all()
            caches.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(visit, [keys, keys[::-1]]))
    assert len(errors) == 1
    is_database_error = isinstance(errors[0], OperationalError)
    kept(engine, is_database_error, repr(errors[0]), ALL)
    assert [set(engine.Store(key).keys()) for key in keys] == [{"a", *keys}] * 2


@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
@pytest.mark.parametrize("retry_timeout", [0, 60])
def test_save_waits_again_after_lock_timeout(
    engine: Engine, retry_timeout: int, elsewhere: Callable[..., Any]
) -> None:
    key = stored(engine, a=1).session_key
    wait = {"init_command": "SET SESSION innodb_lock_wait_timeout = 1"}
    timed_out = threading.Event()

    def note_timeout(execute: Any, *arguments: Any) -> Any:
        try:
            return execute(*arguments)
        except OperationalError:
            timed_out.set()
            raise

    def hold_lock() -> None:
        with transaction.atomic():
            save(engine, key)
            is_locked.set()
            assert timed_out.wait(timeout=60)

    is_locked = threading.Event()
    with (
        ThreadPoolExecutor(1) as pool,
        isolated("READ COMMITTED", **wait),
        mock.patch("cookieproj.engines.sql_call.RETRY_TIMEOUT", retry_timeout),
    ):
        session = engine.Store(key)
        session["c"] = 3
        holding = pool.submit(hold_lock)
        assert is_locked.wait(timeout=60)
        with connection.execute_wrapper(note_timeout):
            if retry_timeout:
                session.save()
            else:
                with pytest.raises(StoreUnavailableError, match="Lock wait timeout"):
                    session.save()
        holding.result(timeout=60)
        pool.submit(connections.close_all).result()
    expected = {"a": 1, "b": 1} | ({"c": 3} if retry_timeout else {})
    assert dict(engine.Store(key).items()) == expected


@on_engines(lambda engine: engine.ours and engine.name == "db")
def test_merge_outside_transaction_locks_no_row(engine: Engine) -> None:
    session = stored(engine, a=1)
    save(engine, session.session_key)
    session["c"] = 3
    with CaptureQueriesContext(connection) as queries:
        session.save()
    assert not [query for query in queries if "FOR UPDATE" in query["sql"]]
    assert dict(engine.Store(session.session_key).items()) == {"a": 1, "b": 1, "c": 3}
