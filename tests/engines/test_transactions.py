"""Sessions inside somebody's transaction: a rollback loses no change, and an error harms nobody."""

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


# Django's engine says to a save whose statement failed that the session has ended.
REFUSED = (StoreError, DatabaseError, UpdateError)


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


def drop(session: Any) -> None:
    del session["a"]


def expire(session: Any) -> None:
    session.set_expiry(77)


CHANGES: list[tuple[Callable[[Any], None], dict[str, Any]]] = [
    (add, {"a": 1, "n": 1, "b": [2]}),
    (drop, {"n": 1}),
    (expire, {"a": 1, "n": 1, "_session_expiry": 77}),
]


@pytest.fixture(params=CHANGES, ids=lambda change: change[0].__name__)
def change(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("saves", [1, 2])
@pytest.mark.parametrize("more", [{}, {"c": 3}], ids=["nothing more", "more"])
def test_what_a_rollback_undid_the_next_save_stores(
    engine: Engine, change: Any, more: dict[str, Any], saves: int
) -> None:
    make, expected = change
    key = stored(engine, a=1, n=1).session_key
    session = engine.Store(key)
    make(session)
    with rolled_back():
        for number in range(saves):
            session["n"] = number
            session.save()
    session["n"] = 1
    assert data(engine, key) == {"a": 1, "n": 1}
    session.update(more)
    session.save()
    assert data(engine, key) == {**expected, **more}


def test_so_it_does_where_only_a_savepoint_was_rolled_back(engine: Engine) -> None:
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


def test_a_new_key_after_a_rollback_has_all_changes(engine: Engine) -> None:
    session = engine.Store(stored(engine, a=1).session_key)
    session["b"] = 2
    with rolled_back():
        session.save()
    session.cycle_key()
    session.save()
    assert data(engine, session.session_key) == {"a": 1, "b": 2}


def test_what_was_created_in_a_rolled_back_transaction_is_no_session(engine: Engine) -> None:
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
def test_what_apply_made_in_a_rolled_back_transaction_is_stored_by_the_save(
    engine: Engine, applied: int
) -> None:
    """Of this request's session it is a value like any other."""
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
def test_apply_after_a_rollback_goes_by_what_is_stored(engine: Engine) -> None:
    key = stored(engine, n=1).session_key
    session = engine.Store(key)
    session["b"] = 2
    with rolled_back():
        session.save()
        session.apply("n", lambda n: n + 1)
    assert session.apply("n", lambda n: n + 1) == 2
    session.save()
    assert data(engine, key) == {"n": 2, "b": 2}


def test_nothing_of_another_request_is_undone_after_a_commit(
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


def test_nor_after_a_rollback_what_came_in_between(
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
def held(engine: Engine, url: str, key: str) -> Iterator[None]:
    """Another connection has the row."""
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM django_session WHERE session_key = %s FOR UPDATE", [key])
        yield


def act(session: Any, what: str) -> None:
    session["b"] = 2
    getattr(session, what)()


@pytest.mark.parametrize("what", ["save", "cycle_key"])
@on_postgresql
def test_a_statement_that_fails_is_not_the_end_of_the_transaction(
    engine: Engine, what: str, postgresql_sessions_url: str
) -> None:
    session = opened(engine.Store, stored(engine, a=1).session_key)
    session.load()
    key = session.session_key
    with held(engine, postgresql_sessions_url, key), transaction.atomic():
        others = stored(engine, other=1).session_key
        execute("SET LOCAL lock_timeout = '200ms'")
        with pytest.raises(REFUSED):
            act(session, what)
        # Django's has no savepoint where it deletes.
        broken_by = ALL if what == "cycle_key" else NONE
        kept(engine, not connection.needs_rollback, "the transaction is broken", broken_by)
        assert execute("SELECT 1") == [(1,)]
    assert data(engine, others) == {"other": 1}
    assert data(engine, key) == {"a": 1}


@pytest.mark.parametrize("what", ["save", "cycle_key", "flush"])
@on_postgresql
def test_nor_is_a_transaction_that_is_read_only(engine: Engine, what: str) -> None:
    key = stored(engine, a=1).session_key
    with transaction.atomic():
        session = opened(engine.Store, key)
        session.load()
        execute("SET TRANSACTION READ ONLY")
        expected = StoreReadOnlyError if engine.ours else REFUSED
        with pytest.raises(expected):
            act(session, what)
        broken_by = ALL if what == "flush" else NONE
        kept(engine, not connection.needs_rollback, "the transaction is broken", broken_by)
        assert execute("SELECT 1") == [(1,)]
    assert data(engine, key) == {"a": 1}


@on_postgresql
def test_a_lock_that_is_held_too_long_leaves_the_connection_as_it_is(
    engine: Engine, postgresql_sessions_url: str
) -> None:
    session = engine.Store(stored(engine, a=1).session_key)
    session["b"] = 2
    execute("SELECT pg_advisory_lock(42)")
    execute("SET lock_timeout = '200ms'")
    try:
        with held(engine, postgresql_sessions_url, session.session_key):
            with pytest.raises(REFUSED):
                session.save()
            mine = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            assert execute(f"{mine} AND pid = pg_backend_pid()") == [(1,)]
        session.save()
    finally:
        connection.close()
    assert data(engine, session.session_key) == {"a": 1, "b": 2}
