"""Statements sent through the database's driver, without Django's cursor.

Django's cursor and its health check take longer than the server takes for a session's row.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import django.db
from django.db import InterfaceError, OperationalError
from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import asyncio

from .own_functions import OwnFunctions
from .quick_settings import setting
from .sql_call import in_transaction
from .sql_drivers import Answer, driver_of

# The methods of Django's wrapper that a statement passes, and those of its cursor. Tools that
# measure or forbid queries replace one of them.
WRAPPER_METHODS = (
    *("ensure_connection", "cursor", "_cursor", "create_cursor", "_prepare_cursor"),
    *("make_cursor", "close_if_health_check_failed"),
)
CURSOR_METHODS = ("execute", "_execute_with_wrappers", "_execute")
METHODS_OF_WRAPPER = attrgetter(*WRAPPER_METHODS)
METHODS_OF_CURSOR = attrgetter(*CURSOR_METHODS)

# By the class of Django's wrapper: its methods and those of the cursor.
_own_methods: dict[type, OwnFunctions] = {}


def is_direct(connection: BaseDatabaseWrapper, parameters: Sequence[Any]) -> bool:
    """Whether a statement may bypass Django's cursor. The connection is opened if it is closed.

    It may only if nobody could tell the difference:

    - nothing listens to statements: no ``execute_wrapper``, no log of queries (DEBUG,
      ``assertNumQueries``), and no replaced method of Django's wrapper and its cursor;
    - the classes of Django's wrapper and of the driver's connection are exactly their own, and the
      driver is neither changed nor in the middle of something else (``Driver.is_ready``);
    - each statement is a transaction of its own;
    - the parameters are dates and ASCII text, which have one form in every encoding.
    """
    # First, as a receiver of connection_created may begin to listen. Django's refusal on an event
    # loop is in here.
    connection.ensure_connection()
    return (
        not (connection.execute_wrappers or connection.force_debug_cursor or setting("DEBUG"))
        and driver_of(connection).is_ready(connection)
        and not in_transaction(connection)
        and not has_replaced_methods(connection)
        and are_plain(parameters)
    )


def are_plain(values: Sequence[Any]) -> bool:
    for value in values:
        kind = type(value)
        if kind is not datetime and not (kind is str and value.isascii() and "\0" not in value):
            return False
    return True


def has_replaced_methods(connection: BaseDatabaseWrapper) -> bool:
    """Whether any method that sends a statement is not Django's own."""
    if not vars(connection).keys().isdisjoint(WRAPPER_METHODS):
        return True
    # Looked up at each call, as Django does: the class may be replaced too.
    wrapper, cursor = type(connection), utils.CursorWrapper
    methods = (*METHODS_OF_WRAPPER(wrapper), *METHODS_OF_CURSOR(cursor))
    if cursor.__module__ != utils.__name__:
        return True
    own = _own_methods.get(wrapper)
    if own is None:
        # Some are decorated. Those of ``django.test`` are replacements too.
        own = OwnFunctions(methods, django.db, asyncio)
        if own.are(methods):
            _own_methods[wrapper] = own
    return not own.are(methods)


def fetch(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> Answer:
    """Return the answer to a SELECT. It is the health check as well, if one is due.

    If the connection proves to be dead, it is replaced, and the SELECT is sent once more.
    """
    health: Any = connection
    is_check_due = health.health_check_enabled and not health.health_check_done
    try:
        answer = send(connection, sql, parameters)
    except (InterfaceError, OperationalError):
        if not is_check_due or connection.is_usable():
            raise
        connection.close()
        connection.ensure_connection()
        return send(connection, sql, parameters)
    health.health_check_done = True
    return answer


def execute(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> Answer:
    """Return the answer to a statement that writes, after the health check if one is due."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    return send(connection, sql, parameters)


def send(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> Answer:
    connection.validate_thread_sharing()
    with connection.wrap_database_errors:
        return driver_of(connection).send(connection.connection, sql, parameters)
