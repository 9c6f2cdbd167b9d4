"""What this site answers to SESSION_REVOCATION_CHECK."""

from django.db import Error

from cookieproj.engines.merge import Data
from cookieproj.engines.sql_call import store_error

from . import refused_sessions, session_registry
from .deferred_writes import registry_connection


def is_revoked(data: Data, session_key: str) -> bool:
    """Whether somebody has ended that session, which some browser holds all the same.

    Asked by signed cookies alone: the other engines delete what is to end.
    """
    row = session_registry.id_of(data, session_key)
    try:
        return row is not None and refused_sessions.is_refused(row)
    except Error as error:
        # To let it in would bring back a session that somebody has ended.
        found = store_error(error, registry_connection())
        if found is None:
            raise
        raise found from error
