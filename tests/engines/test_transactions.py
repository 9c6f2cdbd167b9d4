"""In a transaction of the site, a rollback loses no change, and an error leaves it usable."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction

from cookieproj.engines.exceptions import StoreError, StoreReadOnlyError

from .contract import ALL, NONE, Engine, kept, on_engines
from .test_custom_models import opened
from .test_isolation import elsewhere
from .test_sql_errors import stored

__all__ = ["elsewhere"]

pytestmark = on_engines(lambda engine: bool(engine.database))

on_postgresql = on_engines(lambda engine: engine.database == "postgresql")


# If a statement fails, Django's save raises UpdateError.
SAVE_ERRORS = (StoreError, DatabaseError, UpdateError)


class RolledBackError(Exception):
    pass


@contextmanager
def rolled_back() -> Iterator[None]:
    with suppress(RolledBackError), transaction.atomic():
        yield
        raise RolledBackError


def data(engine: Engine, key: str) -> dict[str, Any]:
    return dict(opened(engine.Store, key).items())


def add(session: Any) -> None:
    session["b"] = [2]


def remove(session: Any) -> None:
    del session["a"]


def expire(session: Any) -> None:
    session.set_expiry(77)


CHANGES: list[tuple[Callable[[Any], None], dict[str, Any]]] = [
    (add, {"a": 1, "n": 1, "b": [2]}),
    (remove, {"n": 1}),
    (expire, {"a": 1, "n": 1, "_session_expiry": 77}),
]


@pytest.fixture(params=CHANGES, ids=lambda change: change[0].__name__)
def change(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("saves", [1, 2])
@pytest.mark.parametrize("more", [{}, {"c": 3}], ids=["nothing more", "more"])
def test_next_save_stores_changes_that_were_rolled_back(
    engine: Engine, change: Any, more: dict[str, Any], saves: int
) -> None:
    apply_change, expected = change
    key = stored(engine, a=1, n=1).session_key
    session = engine.Store(key)
    apply_change(session)
    with rolled_back():
        for number in range(saves):
            session["n"] = number
            session.save()
    session["n"] = 1
    assert data(engine, key) == {"a": 1, "n": 1}
    session.update(more)
    session.save()
    assert data(engine, key) == {**expected, **more}


def test_next_save_stores_changes_of_rolled_back_savepoint(engine: Engine) -> None:
    key = stored(engine, a=1).session_key
    session = engine.Store(key)
    with transaction.atomic():
        session["b"] = 2
        session.save()
        with rolled_back():
            session["c"] = 3
            session.save()
        session["d"] = 4
        session.save()
    assert data(engine, key) == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_cycle_key_keeps_changes_that_were_rolled_back(engine: Engine) -> None:
    session = engine.Store(stored(engine, a=1).session_key)
    session["b"] = 2
    with rolled_back():
        session.save()
    session.cycle_key()
    session.save()
    assert data(engine, session.session_key) == {"a": 1, "b": 2}


def test_save_of_session_whose_creation_was_rolled_back_raises_update_error(
    engine: Engine,
) -> None:
    session = engine.Store()
    session["a"] = 1
    with rolled_back():
        session.save()
    session["b"] = 2
    with pytest.raises(UpdateError):
        session.save()
    assert not Session.objects.exists()


@pytest.mark.parametrize("applied", [1, 2])
@on_engines(lambda engine: engine.ours)
def test_save_stores_values_that_apply_set_before_rollback(engine: Engine, applied: int) -> None:
    key = stored(engine, n=1).session_key
    session = engine.Store(key)
    session["b"] = 2
    with rolled_back():
        for number in range(applied):
            assert session.apply("n", lambda n: n + 1) == number + 2
    assert data(engine, key) == {"n": 1}
    session.save()
    assert data(engine, key) == {"n": 1 + applied, "b": 2}


@on_engines(lambda engine: engine.ours)
def test_apply_after_rollback_uses_stored_value(engine: Engine) -> None:
    key = stored(engine, n=1).session_key
    session = engine.Store(key)
    session["b"] = 2
    with rolled_back():
        session.save()
        session.apply("n", lambda n: n + 1)
    assert session.apply("n", lambda n: n + 1) == 2
    session.save()
    assert data(engine, key) == {"n": 2, "b": 2}


def test_save_after_commit_keeps_concurrent_write(
    engine: Engine, elsewhere: Callable[..., Any]
) -> None:
    key = stored(engine, n=1).session_key

    def count() -> None:
        other = engine.Store(key)
        other["n"] += 1
        other.save()

    session = engine.Store(key)
    with transaction.atomic():
        session["n"] += 1
        session.save()
    elsewhere(count)
    session["b"] = 2
    session.save()
    seen = data(engine, key)
    kept(engine, seen == {"n": 3, "b": 2}, seen, ALL)


def test_save_after_rollback_keeps_concurrent_writes(
    engine: Engine, elsewhere: Callable[..., Any]
) -> None:
    key = stored(engine, n=1).session_key

    def count() -> None:
        other = engine.Store(key)
        other["n"] += 1
        other.save()

    session = engine.Store(key)
    session["b"] = 2
    elsewhere(count)
    with rolled_back():
        session.save()
    elsewhere(count)
    session.save()
    seen = data(engine, key)
    kept(engine, seen == {"n": 3, "b": 2}, seen, ALL)


def execute(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


@contextmanager
def locked_row(engine: Engine, url: str, key: str) -> Iterator[None]:
    """Lock the row in another connection."""
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM django_session WHERE session_key = %s FOR UPDATE", [key])
        yield


def change_and(method: str, session: Any) -> None:
    session["b"] = 2
    getattr(session, method)()


@pytest.mark.parametrize("method", ["save", "cycle_key"])
@on_postgresql
def test_failed_statement_leaves_transaction_usable(
    engine: Engine, method: str, postgresql_sessions_url: str
) -> None:
    session = opened(engine.Store, stored(engine, a=1).session_key)
    session.load()
    key = session.session_key
    with locked_row(engine, postgresql_sessions_url, key), transaction.atomic():
        other_key = stored(engine, other=1).session_key
        execute("SET LOCAL lock_timeout = '200ms'")
        with pytest.raises(SAVE_ERRORS):
            change_and(method, session)
        # Django deletes without a savepoint.
        broken_by = ALL if method == "cycle_key" else NONE
        kept(engine, not connection.needs_rollback, "the transaction is broken", broken_by)
        assert execute("SELECT 1") == [(1,)]
    assert data(engine, other_key) == {"other": 1}
    assert data(engine, key) == {"a": 1}


@pytest.mark.parametrize("method", ["save", "cycle_key", "flush"])
@on_postgresql
def test_failed_write_leaves_read_only_transaction_usable(engine: Engine, method: str) -> None:
    key = stored(engine, a=1).session_key
    with transaction.atomic():
        session = opened(engine.Store, key)
        session.load()
        execute("SET TRANSACTION READ ONLY")
        expected = StoreReadOnlyError if engine.ours else SAVE_ERRORS
        with pytest.raises(expected):
            change_and(method, session)
        broken_by = ALL if method == "flush" else NONE
        kept(engine, not connection.needs_rollback, "the transaction is broken", broken_by)
        assert execute("SELECT 1") == [(1,)]
    assert data(engine, key) == {"a": 1}


@on_postgresql
def test_lock_timeout_does_not_close_connection(
    engine: Engine, postgresql_sessions_url: str
) -> None:
    session = engine.Store(stored(engine, a=1).session_key)
    session["b"] = 2
    execute("SELECT pg_advisory_lock(42)")
    execute("SET lock_timeout = '200ms'")
    try:
        with locked_row(engine, postgresql_sessions_url, session.session_key):
            with pytest.raises(SAVE_ERRORS):
                session.save()
            advisory_locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            assert execute(f"{advisory_locks} AND pid = pg_backend_pid()") == [(1,)]
        session.save()
    finally:
        connection.close()
    assert data(engine, session.session_key) == {"a": 1, "b": 2}
