"""Statements without Django's cursor: when they are sent so, and what they do if it fails."""

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import django
import psycopg
import pytest
from django.db import connection, connections, transaction
from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper
from django.test import SimpleTestCase, override_settings
from django.test.utils import CaptureQueriesContext

from cookieproj.engines import sql_direct
from cookieproj.engines.clock import from_now
from cookieproj.engines.handover_mixin import store_of

from .contract import Engine, on_engines
from .test_sql_errors import stored

SERVERS = ("postgresql", "pgbouncer", "mariadb")


def on_our(*databases: str) -> pytest.MarkDecorator:
    return on_engines(
        lambda engine: engine.ours and engine.name == "db" and engine.database in databases
    )


pytestmark = on_our("sqlite", *SERVERS)

on_servers = on_our(*SERVERS)
on_postgresql = on_our("postgresql")
on_two = on_our("postgresql", "mariadb")


@contextmanager
def sent_directly() -> Iterator[list[str]]:
    """Yield the first words of the statements that are sent without Django's cursor."""
    words: list[str] = []
    send = sql_direct.send

    def spy(connection: Any, sql: str, parameters: Any) -> Any:
        words.append(sql.split(maxsplit=1)[0])
        return send(connection, sql, parameters)

    with mock.patch.object(sql_direct, "send", spy):
        yield words


def use_every_statement(engine: Engine) -> None:
    store = store_of(engine.Store)
    for data in ({"a": 1}, {"a": 2}):
        old = store.insert("k" * 32, {}, from_now(100))
        assert store.read("k" * 32)
        new = store.compare_and_swap("k" * 32, old, data, from_now(100))
        assert new
        assert store.touch("k" * 32, new, from_now(200))
        assert store.compare_and_delete("k" * 32, new)
        store.delete("k" * 32)
        assert store.read("k" * 32) is None


STATEMENTS = ["INSERT", "SELECT", "UPDATE", "UPDATE", "DELETE", "DELETE", "SELECT"] * 2


@on_servers
def test_each_statement_is_sent_directly(engine: Engine) -> None:
    with sent_directly() as words:
        use_every_statement(engine)
    assert words == STATEMENTS


@on_our("sqlite")
def test_sqlite_is_left_to_djangos_cursor(engine: Engine) -> None:
    with sent_directly() as words:
        use_every_statement(engine)
    assert not words


# Each condition of ``is_direct``, as a context manager in which it is not met.


@contextmanager
def execute_wrapper() -> Iterator[Any]:
    def wrapper(execute: Any, *arguments: Any) -> Any:
        return execute(*arguments)

    with connection.execute_wrapper(wrapper):
        yield


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def decorated_function(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return decorated_function


def replaced(owner: Any, name: str) -> Callable[[], AbstractContextManager[Any]]:
    """Decorate that method, as tools for tracing and tests that forbid queries do."""
    return lambda: mock.patch.object(owner, name, decorated(getattr(owner, name)))


def health_check_replaced() -> AbstractContextManager[Any]:
    return replaced(type(connections["default"]), "close_if_health_check_failed")()


@contextmanager
def replaced_on_instance() -> Iterator[None]:
    wrapper: Any = connections["default"]
    wrapper.cursor = decorated(wrapper.cursor)
    try:
        yield
    finally:
        del wrapper.cursor


@contextmanager
def without_autocommit() -> Iterator[None]:
    connection.set_autocommit(False)
    try:
        yield
        connection.commit()
    finally:
        connection.set_autocommit(True)


@contextmanager
def wrapper_of_a_subclass() -> Iterator[None]:
    """As a site's own database backend."""
    previous: Any = connections["default"]
    subclass = type("DatabaseWrapper", (type(previous),), {"__module__": "mysite.backend.base"})
    connections["default"] = subclass(previous.settings_dict, "default")
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = previous


@contextmanager
def connection_of_a_subclass() -> Iterator[None]:
    """As a tool that wraps the driver's connections."""
    connection.ensure_connection()
    driver_connection = connection.connection
    class_ = type(driver_connection)
    driver_connection.__class__ = type("Traced", (class_,), {})
    try:
        yield
    finally:
        driver_connection.__class__ = class_


class ReadOnlyCursor(utils.CursorWrapper):
    """A site's own, which leaves all that sends to Django's class."""


@contextmanager
def listening_once_connected() -> Iterator[None]:
    """As a tool that adds its wrapper to each new connection."""

    def receive(connection: Any, **kwargs: Any) -> None:
        wrappers.enter_context(
            connection.execute_wrapper(lambda execute, *arguments: execute(*arguments))
        )

    connection.close()
    with ExitStack() as wrappers:
        connection_created.connect(receive)
        try:
            yield
        finally:
            connection_created.disconnect(receive)


@contextmanager
def replaced_by_package_of_similar_name() -> Iterator[None]:
    """Its folder is beside Django's, and its name begins with Django's."""
    path = f"{Path(django.__file__).parent}_counter/patch.py"
    namespace: dict[str, Any] = {"execute": CursorWrapper.execute}
    source = "def counted(*arguments, **options): return execute(*arguments, **options)"
    exec(compile(source, path, "exec"), namespace)
    with mock.patch.object(CursorWrapper, "execute", namespace["counted"]):
        yield


def code_replaced(owner: Any, name: str) -> Callable[[], AbstractContextManager[Any]]:
    """As by tracers that rewrite a function and leave it where it is."""

    @contextmanager
    def replace() -> Iterator[None]:
        function = getattr(owner, name)
        own, function.__code__ = function.__code__, function.__code__.replace(co_name="traced")
        try:
            yield
        finally:
            function.__code__ = own

    return replace


@contextmanager
def within_a_test_of_djangos() -> Iterator[None]:
    """Django's own test cases replace a method, to refuse databases that a test does not name."""

    class Case(SimpleTestCase):
        databases: Any = ("default",)

    Case.setUpClass()
    try:
        yield
    finally:
        Case.tearDownClass()
        Case.doClassCleanups()


# Nothing tells that code from Django's own if it was there before the first statement.
CODE_REPLACED = "code of _execute replaced"

GUARDS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "execute_wrapper": execute_wrapper,
    "queries are captured": lambda: CaptureQueriesContext(connection),
    "DEBUG": lambda: override_settings(DEBUG=True),
    "wrapper's cursor replaced": replaced(BaseDatabaseWrapper, "cursor"),
    "ensure_connection replaced": replaced(BaseDatabaseWrapper, "ensure_connection"),
    "make_cursor replaced": replaced(BaseDatabaseWrapper, "make_cursor"),
    "execute replaced": replaced(CursorWrapper, "execute"),
    "_execute replaced": replaced(CursorWrapper, "_execute"),
    CODE_REPLACED: code_replaced(CursorWrapper, "_execute"),
    "one connection's cursor replaced": replaced_on_instance,
    "health check replaced": health_check_replaced,
    "class of cursors replaced": lambda: mock.patch.object(utils, "CursorWrapper", ReadOnlyCursor),
    "execute replaced by django_counter": replaced_by_package_of_similar_name,
    "wrapper added on connecting": listening_once_connected,
    "atomic": transaction.atomic,
    "autocommit off": without_autocommit,
    "another database backend": wrapper_of_a_subclass,
    "another class of connections": connection_of_a_subclass,
    "test case of Django's": within_a_test_of_djangos,
}


@on_servers
@pytest.mark.parametrize("guard", GUARDS)
def test_django_sends_if_anybody_could_notice(engine: Engine, guard: str) -> None:
    stored(engine, a=1)
    with sent_directly() as words:
        with GUARDS[guard]():
            use_every_statement(engine)
        assert not words
        use_every_statement(engine)
    assert words == STATEMENTS


@on_servers
@pytest.mark.parametrize("guard", sorted(GUARDS.keys() - {CODE_REPLACED}))
def test_replaced_method_is_not_taken_for_djangos(engine: Engine, guard: str) -> None:
    """Also if it is replaced before the first statement of a process, and not for good."""
    with mock.patch.dict(sql_direct._own_methods, clear=True), sent_directly() as words:
        with GUARDS[guard]():
            use_every_statement(engine)
        assert not words
        use_every_statement(engine)
    assert words == STATEMENTS


def changed(**attributes: Any) -> Callable[[], AbstractContextManager[Any]]:
    """Change attributes of psycopg's connection."""

    @contextmanager
    def change() -> Iterator[None]:
        connection.ensure_connection()
        with ExitStack() as stack:
            for name, value in attributes.items():
                stack.enter_context(mock.patch.object(connection.connection, name, value))
            yield

    return change


@contextmanager
def transaction_by_hand() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        yield
        cursor.execute("COMMIT")


@contextmanager
def psycopg_without_autocommit() -> Iterator[None]:
    """Django does not know of it, and the statement begins a transaction."""
    connection.ensure_connection()
    connection.connection.autocommit = False
    try:
        yield
    finally:
        connection.connection.rollback()
        connection.connection.autocommit = True


@contextmanager
def pipeline() -> Iterator[None]:
    connection.ensure_connection()
    with connection.connection.pipeline():
        yield


@contextmanager
def another_time_zone() -> Iterator[None]:
    """As after a change of the settings, while the connection stays open."""
    connection.ensure_connection()
    loaded = connection.connection
    with override_settings(TIME_ZONE="Asia/Tokyo", USE_TZ=False):
        connection.ensure_connection()
        assert connection.connection is loaded
        yield


PSYCOPG_GUARDS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "cursor_factory": changed(cursor_factory=psycopg.ClientCursor),
    "one connection's cursor replaced": changed(
        cursor=lambda: psycopg.ClientCursor(connection.connection)
    ),
    "cursor replaced": replaced(psycopg.Connection, "cursor"),
    "execute replaced": replaced(psycopg.Cursor, "execute"),
    "code of cursor replaced": code_replaced(psycopg.Connection, "cursor"),
    "BEGIN by hand": transaction_by_hand,
    "pipeline": pipeline,
    "psycopg's autocommit off": psycopg_without_autocommit,
    "another time zone": another_time_zone,
}


@on_postgresql
@pytest.mark.parametrize("guard", PSYCOPG_GUARDS)
def test_django_sends_if_anybody_could_notice_in_psycopg(engine: Engine, guard: str) -> None:
    key = stored(engine, a=1).session_key
    store = store_of(engine.Store)
    with sent_directly() as words:
        with PSYCOPG_GUARDS[guard]():
            assert store.read(key)
        assert not words
        assert store.read(key)
    assert words == ["SELECT"]


@on_servers
@pytest.mark.parametrize("key", ["k\0" * 16, "ä" * 32, "k" * 31 + "😀"])
def test_django_sends_other_texts_than_ascii(engine: Engine, key: str) -> None:
    store = store_of(engine.Store)
    with sent_directly() as words:
        if store.can_hold(key):
            store.insert(key, {"a": 1}, from_now(100))
            entry = store.read(key)
            assert entry
            assert entry.data == {"a": 1}
            store.delete(key)
    assert not words
