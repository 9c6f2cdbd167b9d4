"""The meaning of a database's error, by the codes of PostgreSQL, MariaDB (MySQL) and SQLite.

The manuals list the codes: "PostgreSQL Error Codes", "MariaDB Error Codes", and SQLite's "Result
and Error Codes".
"""

from typing import Any, NamedTuple

from django.db import Error, InterfaceError, OperationalError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .exceptions import (
    TRY_AGAIN,
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)


class Meaning(NamedTuple):
    error_class: type[StoreError]
    remedy: str | Promise | None = None

    def store_error(self, place: str | Promise, error: Error) -> StoreError:
        """Return the StoreError for a database error with this meaning.

        It quotes the first line of the driver's text only: further lines repeat the statement,
        whose parameters are session keys.
        """
        raised = self.error_class(place, str(error).partition("\n")[0], self.remedy)
        raised.__cause__ = error
        return raised


UNAVAILABLE = Meaning(StoreUnavailableError)
# Lost against another statement, which has ended by now: a repetition may succeed.
RETRY = Meaning(StoreUnavailableError, TRY_AGAIN)
NO_FILE = Meaning(
    StoreUnavailableError,
    _("Correct the path in DATABASES, and let this process write to the file and its folder."),
)
NO_TLS = Meaning(
    StoreUnavailableError,
    _("Correct the TLS options of the database in DATABASES, or the server's certificate."),
)
# Perhaps only on this connection, which may be older than a fail-over.
READ_ONLY = Meaning(StoreReadOnlyError)
FULL = Meaning(StoreFullError)
NO_TABLE = Meaning(StoreMisconfiguredError, _("Run manage.py migrate."))
NO_RIGHT = Meaning(
    StoreMisconfiguredError,
    _("Grant the database user SELECT, INSERT, UPDATE and DELETE on this table."),
)
NO_DATABASE = Meaning(
    StoreMisconfiguredError, _("Create the database, or correct its name in DATABASES.")
)
NO_LOGIN = Meaning(
    StoreMisconfiguredError, _("Correct the user and the password of the database in DATABASES.")
)

CODES: dict[str, dict[object, Meaning]] = {
    "postgresql": {
        "40001": RETRY,  # serialization_failure
        "40P01": RETRY,  # deadlock_detected
        "25006": READ_ONLY,  # read_only_sql_transaction
        "53100": FULL,  # disk_full
        "42P01": NO_TABLE,  # undefined_table
        "42703": NO_TABLE,  # undefined_column
        "42501": NO_RIGHT,  # insufficient_privilege
        "3D000": NO_DATABASE,  # invalid_catalog_name
        "28000": NO_LOGIN,  # invalid_authorization_specification
        "28P01": NO_LOGIN,  # invalid_password
    },
    "mysql": {
        1020: RETRY,  # changed since this transaction began, with innodb_snapshot_isolation
        1205: RETRY,  # lock wait timeout
        1213: RETRY,  # deadlock
        1290: READ_ONLY,  # a server with --read-only
        1792: READ_ONLY,  # a transaction that is read-only
        1836: READ_ONLY,  # a server in read-only mode
        1021: FULL,  # the disk
        1114: FULL,  # the table
        1146: NO_TABLE,
        1054: NO_TABLE,  # no such column
        1142: NO_RIGHT,  # on the table
        1143: NO_RIGHT,  # on a column
        1044: NO_DATABASE,  # or no right to enter it
        1049: NO_DATABASE,
        1045: NO_LOGIN,
        1698: NO_LOGIN,  # by a plugin that asks for no password
    },
    "sqlite": {
        5: RETRY,  # SQLITE_BUSY: another connection writes for longer than the timeout
        517: RETRY,  # SQLITE_BUSY_SNAPSHOT: another has written since this transaction began
        14: NO_FILE,  # SQLITE_CANTOPEN
        8: READ_ONLY,  # SQLITE_READONLY
        13: FULL,  # SQLITE_FULL
        26: NO_DATABASE,  # SQLITE_NOTADB
    },
}

# Texts for errors without a code. SQLite has one code for all SQL errors, and psycopg has none for
# a refused connection. In another language PostgreSQL's text is not recognized; then the database
# counts as unreachable.
MESSAGES: dict[str, dict[str, Meaning]] = {
    "postgresql": {
        "password authentication failed": NO_LOGIN,
        "no password supplied": NO_LOGIN,
        "no pg_hba.conf entry": NO_LOGIN,
        "certificate verify failed": NO_TLS,
        "server does not support SSL": NO_TLS,
        'FATAL:  role "': NO_LOGIN,
        'FATAL:  database "': NO_DATABASE,
    },
    "sqlite": {"no such table": NO_TABLE, "no such column": NO_TABLE, "no column named": NO_TABLE},
}


# Any SQL error of SQLite, for which Django raises OperationalError.
SQLITE_ERROR = 1


def meaning_of(error: Error, vendor: str) -> Meaning | None:
    """Return the error's meaning; None if the statement is at fault, not the database."""
    meanings = CODES.get(vendor, {})
    for code in codes(error):
        if code in meanings:
            return meanings[code]
    for text, meaning in MESSAGES.get(vendor, {}).items():
        if text in str(error):
            return meaning
    if vendor == "sqlite" and SQLITE_ERROR in codes(error):
        return None
    return UNAVAILABLE if isinstance(error, InterfaceError | OperationalError) else None


def codes(error: Error) -> list[Any]:
    """Return the driver's codes of the error, the most specific one first."""
    cause: Any = error.__cause__
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        # The last byte of an extended code is the primary code.
        return [code, code & 0xFF]
    return [getattr(cause, "sqlstate", None), *error.args[:1]]
