"""Writes to the registry that can wait: a database that refuses them must not fail the request."""

import logging
from collections.abc import Callable

from django.db import Error, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from cookieproj.engines.english import in_english
from cookieproj.engines.exceptions import StoreReadOnlyError
from cookieproj.engines.sql_call import close_if_broken, in_transaction, store_error

from .models import SignedInSession

logger = logging.getLogger(__name__)


def registry_connection() -> BaseDatabaseWrapper:
    """Return the connection to the database to which the registry is written."""
    return connections[router.db_for_write(SignedInSession)]


def try_write(write: Callable[[], object]) -> bool:
    """Call ``write`` and return whether it succeeded. Log the error if the database refuses it.

    Raises the error inside a transaction of the caller, which the error has broken.
    """
    connection = registry_connection()
    try:
        write()
    except Error as error:
        refusal = store_error(error, connection)
        if refusal is None or in_transaction(connection):
            raise
        if isinstance(refusal, StoreReadOnlyError):
            # Perhaps only this connection is read-only, after a fail-over. The next one is new.
            connection.close()
        else:
            close_if_broken(connection)
        logger.warning("The registry of signed-in sessions waits: %s", in_english(refusal))
        return False
    return True
