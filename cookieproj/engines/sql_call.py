"""One call of a database, made again where that helps and loses nothing."""

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
from .sql_errors import AGAIN, READ_ONLY, UNAVAILABLE, meaning_of

Result = TypeVar("Result")

# Seconds in which a call that loses against others is made again; and the longest
# pause between two tries, a part of which lets the others by.
PATIENCE = 20.0
PAUSE = 0.02


def call(
    work: Callable[[], Result], connection: BaseDatabaseWrapper, place: Callable[[], Promise]
) -> Result:
    """What ``work`` gives: one trip to the database, whose errors name the store by ``place``.

    What has lost against another statement is done again, and what finds the server read-only,
    once, over a new connection: a server that has taken over, or is writable again, may still
    be read-only to a connection from before. Neither inside a transaction. There only the
    whole of it can be done again, by whoever began it: he gets the database's own error for
    what has lost. Any other failure of the database is a StoreError.
    """
    until = time.monotonic() + PATIENCE
    renewed = False
    while True:
        try:
            with round_trip():
                return work()
        except Error as error:
            meaning = meaning_of(error, connection.vendor)
            inside = in_transaction(connection)
            if meaning is None or (meaning is AGAIN and inside):
                raise
            if meaning is READ_ONLY and inside:
                # At the end of the request Django closes it.
                connection.close_at = 0
            if meaning is READ_ONLY and not inside and not renewed:
                connection.close()
                renewed = True
            elif meaning is not AGAIN or time.monotonic() > until:
                if meaning is UNAVAILABLE and not inside:
                    # So that this request can go on with what it does next.
                    close_if_broken(connection)
                raise meaning.store_error(place(), error) from error
        time.sleep(random.uniform(0, PAUSE))  # noqa: S311


def store_error(error: Error, connection: BaseDatabaseWrapper) -> StoreError | None:
    """What ``call`` would raise for it; None where it would raise the error itself."""
    meaning = meaning_of(error, connection.vendor)
    return meaning.store_error(place_of(connection), error) if meaning else None


def place_of(connection: BaseDatabaseWrapper) -> Promise:
    """Kind of database, its name and host."""
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
    """Whether somebody has begun one. Asks nothing of a connection that is not there."""
    is_open = connection.connection is not None
    return connection.in_atomic_block or (is_open and not connection.get_autocommit())
