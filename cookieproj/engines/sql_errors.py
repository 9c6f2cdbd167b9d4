"""What a database means by an error: the codes of PostgreSQL, MariaDB (and MySQL) and SQLite.

They are listed in the manuals: "PostgreSQL Error Codes", "MariaDB Error Codes", and "Result and
Error Codes" of SQLite.
"""

from typing import Any, NamedTuple

from django.db import Error, InterfaceError, OperationalError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)


class Meaning(NamedTuple):
    raises: type[StoreError]
    remedy: str | Promise | None = None

    def store_error(self, place: str | Promise, error: Error) -> StoreError:
        """For a database that means this by the error.

        Of what its driver says the first line alone: those below quote the statement, whose
        parameters are session keys.
        """
        found = self.raises(place, str(error).partition("\n")[0], self.remedy)
        found.__cause__ = error
        return found


UNAVAILABLE = Meaning(StoreUnavailableError)
# Lost against another statement, which is over by now: executed again it may win.
AGAIN = Meaning(StoreUnavailableError)
# Perhaps only over this connection: it may be older than a fail-over.
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
        "40001": AGAIN,  # serialization_failure
        "40P01": AGAIN,  # deadlock_detected
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
        1020: AGAIN,  # changed since this transaction began, with innodb_snapshot_isolation
        1205: AGAIN,  # lock wait timeout
        1213: AGAIN,  # deadlock
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
        517: AGAIN,  # SQLITE_BUSY_SNAPSHOT: another has written since this transaction began
        8: READ_ONLY,  # SQLITE_READONLY
        13: FULL,  # SQLITE_FULL
        26: NO_DATABASE,  # SQLITE_NOTADB
    },
}

# Where there is no code: SQLite has one for all errors of SQL, and psycopg none for a connection
# that is refused. PostgreSQL may say it in another language; then it is taken for unreachable.
WORDS: dict[str, dict[str, Meaning]] = {
    "postgresql": {
        "password authentication failed": NO_LOGIN,
        "no password supplied": NO_LOGIN,
        "no pg_hba.conf entry": NO_LOGIN,
        'FATAL:  role "': NO_LOGIN,
        'FATAL:  database "': NO_DATABASE,
    },
    "sqlite": {"no such table": NO_TABLE, "no such column": NO_TABLE, "no column named": NO_TABLE},
}


# Any error of SQL, which is an OperationalError there.
SQLITE_ERROR = 1


def meaning_of(error: Error, vendor: str) -> Meaning | None:
    """None for an error that is not the database's, but of what it was asked."""
    known = CODES.get(vendor, {})
    for code in codes(error):
        if code in known:
            return known[code]
    for words, meaning in WORDS.get(vendor, {}).items():
        if words in str(error):
            return meaning
    if vendor == "sqlite" and SQLITE_ERROR in codes(error):
        return None
    return UNAVAILABLE if isinstance(error, InterfaceError | OperationalError) else None


def codes(error: Error) -> list[Any]:
    """As its driver tells them, the closest one first."""
    cause: Any = error.__cause__
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        # The last byte says of an extended code what it extends.
        return [code, code & 0xFF]
    return [getattr(cause, "sqlstate", None), *error.args[:1]]
