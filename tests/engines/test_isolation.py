"""Transactions of every isolation: no write is lost, and what lost a race can be done again."""

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
    """New connections begin their transactions like that, until the block ends."""
    found = {
        "postgresql": getattr(psycopg.IsolationLevel, level.replace(" ", "_")),
        "mysql": level.lower(),
    }
    options = {"isolation_level": found[connection.vendor], **options}
    with reconnecting(OPTIONS=connection.settings_dict["OPTIONS"] | options):
        yield


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Any]]:
    """Do something over another connection, and wait for it."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda *call: pool.submit(*call).result(timeout=60)
        pool.submit(connections.close_all).result()
        pool.submit(caches.close_all).result()


@pytest.mark.parametrize("level", LEVELS)
def test_writes_at_once_are_all_kept(engine: Engine, level: str) -> None:
    session_key = stored(engine, a=1).session_key
    everybody = threading.Barrier(WRITERS)

    def work(writer: int) -> int:
        written = 0
        try:
            for number in range(ROUNDS):
                session = engine.Store(session_key)
                session[f"{writer}-{number}"] = number
                everybody.wait(timeout=60)
                try:
                    session.save()
                    written += 1
                except (OperationalError, StoreError, UpdateError):
                    # What it says to a visitor is a 503, or a 400.
                    pass
                everybody.wait(timeout=60)
        finally:
            connections.close_all()
            caches.close_all()
        return written

    with isolated(level), ThreadPoolExecutor(WRITERS) as pool:
        written = sum(pool.map(work, range(WRITERS)))
    found = len(engine.Store(session_key).keys()) - 1
    seen = f"{written} written, {found} kept"
    kept(engine, written == found == WRITERS * ROUNDS, seen, ALL)


# At the highest level a transaction locks what it reads: nobody can come in between.
@pytest.mark.parametrize("level", LEVELS[:2])
@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
def test_a_transaction_saves_over_what_it_does_not_see(
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
        look()
        elsewhere(lambda: change(c=3))
        with CaptureQueriesContext(connection) as queries:
            session.save()
    # Each with its savepoint.
    assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) <= 4
    assert dict(engine.Store(key).items()) == {"a": 1, "b": 2, "c": 3}


def look() -> None:
    """What a transaction sees from now on is settled by its first look at anything."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_session")
        cursor.fetchall()


@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
def test_a_transaction_finds_that_the_session_has_ended_where_it_does_not_see_it(
    engine: Engine, elsewhere: Callable[..., Any]
) -> None:
    key = stored(engine, a=1).session_key
    with isolated("REPEATABLE READ"), transaction.atomic():
        session = engine.Store(key)
        session["b"] = 2
        look()
        elsewhere(engine.Store(key).delete)
        with pytest.raises(UpdateError):
            session.save()
    assert not engine.Store().exists(key)


@pytest.mark.parametrize("level", LEVELS[1:])
@on_engines(lambda engine: engine.ours and engine.database in {"postgresql", "pgbouncer"})
def test_a_transaction_that_must_begin_again_gets_the_databases_own_error(
    engine: Engine, level: str, elsewhere: Callable[..., Any]
) -> None:
    check_beginning_again(engine, elsewhere, level)


@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
def test_so_it_does_where_mariadb_tells_what_has_changed(
    engine: Engine, elsewhere: Callable[..., Any]
) -> None:
    """As newer versions do by themselves."""
    snapshot = "SET SESSION innodb_snapshot_isolation = ON"
    check_beginning_again(engine, elsewhere, "REPEATABLE READ", init_command=snapshot)


def check_beginning_again(
    engine: Engine, elsewhere: Callable[..., Any], level: str, **options: Any
) -> None:
    """The second time it is done, with what the other has written."""
    key = stored(engine, a=1).session_key
    others = [lambda: save(engine, key)]

    def view() -> None:
        session = engine.Store(key)
        session["c"] = 3
        look()
        if others:
            elsewhere(others.pop())
        session.save()

    with isolated(level, **options):
        with pytest.raises(OperationalError), transaction.atomic():
            view()
        with transaction.atomic():
            view()
    assert dict(engine.Store(key).items()) == {"a": 1, "b": 1, "c": 3}


def test_two_transactions_that_wait_for_each_other_both_end(engine: Engine) -> None:
    """One gets the error of the database, and begins again."""
    keys = [stored(engine, a=1).session_key for _ in range(2)]
    both, one_is_done = threading.Barrier(2), threading.Event()
    refused = []

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
            refused.append(error)
            # Sooner it might only come between the other's steps again.
            assert one_is_done.wait(timeout=60)
            view(order, lambda: None)
        finally:
            one_is_done.set()
            connections.close_all()
            caches.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(visit, [keys, keys[::-1]]))
    assert len(refused) == 1
    right = isinstance(refused[0], OperationalError)
    kept(engine, right, repr(refused[0]), ALL)
    assert [set(engine.Store(key).keys()) for key in keys] == [{"a", *keys}] * 2


@on_engines(lambda engine: engine.ours and engine.database == "mariadb")
@pytest.mark.parametrize("patience", [0, 60])
def test_a_lock_that_is_held_too_long_is_waited_for_again(
    engine: Engine, patience: int, elsewhere: Callable[..., Any]
) -> None:
    key = stored(engine, a=1).session_key
    wait = {"init_command": "SET SESSION innodb_lock_wait_timeout = 1"}
    timed_out = threading.Event()

    def note(execute: Any, *arguments: Any) -> Any:
        try:
            return execute(*arguments)
        except OperationalError:
            timed_out.set()
            raise

    def hold() -> None:
        with transaction.atomic():
            save(engine, key)
            held.set()
            assert timed_out.wait(timeout=60)

    held = threading.Event()
    with (
        ThreadPoolExecutor(1) as pool,
        isolated("READ COMMITTED", **wait),
        mock.patch("cookieproj.engines.sql_call.RETRY_TIMEOUT", patience),
    ):
        session = engine.Store(key)
        session["c"] = 3
        holding = pool.submit(hold)
        assert held.wait(timeout=60)
        with connection.execute_wrapper(note):
            if patience:
                session.save()
            else:
                with pytest.raises(StoreUnavailableError, match="Lock wait timeout"):
                    session.save()
        holding.result(timeout=60)
        pool.submit(connections.close_all).result()
    expected = {"a": 1, "b": 1} | ({"c": 3} if patience else {})
    assert dict(engine.Store(key).items()) == expected


@on_engines(lambda engine: engine.ours and engine.name == "db")
def test_a_lost_race_takes_no_lock_outside_a_transaction(engine: Engine) -> None:
    session = stored(engine, a=1)
    save(engine, session.session_key)
    session["c"] = 3
    with CaptureQueriesContext(connection) as queries:
        session.save()
    assert not [query for query in queries if "FOR UPDATE" in query["sql"]]
    assert dict(engine.Store(session.session_key).items()) == {"a": 1, "b": 1, "c": 3}
