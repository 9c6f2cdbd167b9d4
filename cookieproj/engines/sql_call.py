"""One call of the database, repeated if that helps and loses nothing."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .exceptions import StoreError
from .round_trips import round_trip
from .sql_errors import READ_ONLY, RETRY, UNAVAILABLE, meaning_of

Result = TypeVar("Result")

# Seconds for which a call is repeated that loses against other statements, and the longest pause
# before a repetition. The pause is random, so that competing calls spread.
RETRY_TIMEOUT = 20.0
MAX_PAUSE = 0.02


def call(
    work: Callable[[], Result], connection: BaseDatabaseWrapper, place: Callable[[], Promise]
) -> Result:
    """Return the result of ``work``, one round trip to the database.

    A call that has lost against another statement is repeated. If the server is read-only, the call
    is repeated once over a new connection: after a fail-over an old connection may still lead to a
    read-only server. Inside a transaction neither is done, as only the whole transaction can be
    repeated, by the code that began it. That code gets the database's own error if the call has
    lost. Any other failure of the database is raised as a StoreError that names ``place``.
    """
    deadline = time.monotonic() + RETRY_TIMEOUT
    is_reconnected = False
    while True:
        try:
            with round_trip():
                return work()
        except Error as error:
            meaning = meaning_of(error, connection.vendor)
            is_inside = in_transaction(connection)
            if meaning is None or (meaning is RETRY and is_inside):
                raise
            if meaning is READ_ONLY and is_inside:
                # Django closes the connection at the end of the request.
                connection.close_at = 0
            if meaning is READ_ONLY and not is_inside and not is_reconnected:
                connection.close()
                is_reconnected = True
            elif meaning is not RETRY or time.monotonic() > deadline:
                if meaning is UNAVAILABLE and not is_inside:
                    # So that the request's next query gets a new connection.
                    close_if_broken(connection)
                raise meaning.store_error(place(), error) from error
        time.sleep(random.uniform(0, MAX_PAUSE))  # noqa: S311


def store_error(error: Error, connection: BaseDatabaseWrapper) -> StoreError | None:
    """Return the error that ``call`` would raise for this one; None if it would raise this one."""
    meaning = meaning_of(error, connection.vendor)
    return meaning.store_error(place_of(connection), error) if meaning else None


def place_of(connection: BaseDatabaseWrapper) -> Promise:
    """The kind of database, its name and host."""
    settings = connection.settings_dict
    text = _("{kind} {name} at {host}:{port}") if settings["HOST"] else "{kind} {name}"
    return format_lazy(
        text,
        kind=connection.display_name,
        name=settings["NAME"],
        host=settings["HOST"],
        port=settings["PORT"],
    )


def close_if_broken(connection: BaseDatabaseWrapper) -> None:
    if connection.connection is not None and not connection.is_usable():
        connection.close()


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether a transaction is open. A connection that is not open yet is not opened."""
    is_open = connection.connection is not None
    return connection.in_atomic_block or (is_open and not connection.autocommit)
