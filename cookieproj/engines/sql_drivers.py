"""How a database's driver sends a statement: PyMySQL, and psycopg in a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import cache
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string


class Answer(NamedTuple):
    """The rows of a SELECT, and the number of rows that a statement has found or changed."""

    rows: Sequence[tuple[Any, ...]]
    row_count: int


class Driver:
    """A driver whose statements only Django's cursor sends."""

    def is_ready(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether ``send`` would do now what Django's cursor does."""
        return False

    def send(self, driver_connection: Any, sql: str, parameters: Sequence[Any]) -> Answer:
        """Send the statement over the driver's own connection, without Django's around it."""
        raise NotImplementedError


class PyMySQL(Driver):
    """Sends through the cursor of Django's backend, which knows MariaDB's error codes."""

    def is_ready(self, connection: BaseDatabaseWrapper) -> bool:
        return True

    def send(self, driver_connection: Any, sql: str, parameters: Sequence[Any]) -> Answer:
        with closing(driver_connection.cursor()) as cursor:
            # Imported here, as the module needs a driver.
            from django.db.backends.mysql.base import CursorWrapper  # noqa: PLC0415

            CursorWrapper(cursor).execute(sql, parameters)
            return Answer(cursor.fetchall(), cursor.rowcount)


# By the module of Django's wrapper and the class of the driver's connection. A subclass of either
# may do more. SQLite is no faster without Django's cursor.
DRIVERS = {
    ("django.db.backends.postgresql.base", "psycopg.Connection"): "sql_psycopg.Psycopg",
    ("django.db.backends.mysql.base", "pymysql.connections.Connection"): "sql_drivers.PyMySQL",
}


def driver_of(connection: BaseDatabaseWrapper) -> Driver:
    """Return the driver of an open connection."""
    classes: tuple[type, type] = type(connection), type(connection.connection)
    return driver_for(*classes)


@cache
def driver_for(wrapper: type, driver_connection: type) -> Driver:
    names = wrapper.__module__, f"{driver_connection.__module__}.{driver_connection.__qualname__}"
    driver_name = DRIVERS.get(names, "sql_drivers.Driver")
    driver: Driver = import_string(f"{__package__}.{driver_name}")()
    return driver
