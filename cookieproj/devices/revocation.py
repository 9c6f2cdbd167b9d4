"""The function for SESSION_REVOCATION_CHECK."""

from django.db import Error

from cookieproj.engines.merge import Data
from cookieproj.engines.sql_call import store_error

from . import refused_sessions
from .deferred_writes import registry_connection
from .row_identity import id_of


def is_revoked(data: Data, session_key: str) -> bool:
    """Whether the session was ended although its browser still has it in a cookie.

    Only ``signed_cookies`` asks: the other engines delete a session that ends. Raises StoreError if
    the database does not answer, because a session that was ended must not be opened.
    """
    row_id = id_of(data, session_key)
    try:
        return row_id is not None and refused_sessions.is_refused(row_id)
    except Error as error:
        refusal = store_error(error, registry_connection())
        if refusal is None:
            raise
        raise refusal from error
