"""What is written beside a request's own work, and may wait for a database that takes nothing."""

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
    """To the database in which the registry is written."""
    return connections[router.db_for_write(SignedInSession)]


def try_write(write: Callable[[], object]) -> bool:
    """Whether that could be done; if not for the database's sake, a line in the log says why.

    A transaction of somebody else is broken by then: he gets the error.
    """
    connection = registry_connection()
    try:
        write()
    except Error as error:
        found = store_error(error, connection)
        if found is None or in_transaction(connection):
            raise
        if isinstance(found, StoreReadOnlyError):
            # Perhaps to this connection alone, from before a fail-over: the next one is new.
            connection.close()
        else:
            close_if_broken(connection)
        logger.warning("The registry of signed-in sessions waits: %s", in_english(found))
        return False
    return True
