"""The meaning of PyMongo's errors, by the codes of MongoDB's manual ("Error Codes")."""

import re
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    DocumentTooLarge,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from .exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

# The code in an error's text, as PyMongo writes it, and as ``reason_of`` does.
CODE_IN_TEXT = re.compile(r"(?:'code': |\(error )(\d+)")


class Meaning(NamedTuple):
    error_class: type[StoreError]
    remedy: str | Promise | None = None


UNAVAILABLE = Meaning(StoreUnavailableError)
REFUSED = Meaning(StoreMisconfiguredError)
READ_ONLY = Meaning(StoreReadOnlyError)
NO_RIGHT = Meaning(
    StoreMisconfiguredError, _("Give the MongoDB user the role readWrite on this database.")
)
NO_LOGIN = Meaning(
    StoreMisconfiguredError,
    _("Correct the user and the password in SESSION_MONGODB_URL, or its authSource."),
)
WRONG_URL = Meaning(StoreMisconfiguredError, _("Correct SESSION_MONGODB_URL."))
TOO_LARGE = Meaning(
    StoreFullError,
    _("Store less in the session: a document of MongoDB has at most 16 MiB."),
)

CODES = {
    10107: READ_ONLY,  # NotWritablePrimary
    13435: READ_ONLY,  # NotPrimaryNoSecondaryOk
    371: READ_ONLY,  # UserWritesBlocked
    14031: Meaning(StoreFullError),  # OutOfDiskSpace
    10334: TOO_LARGE,  # BSONObjectTooLarge
    13: NO_RIGHT,  # Unauthorized
    11: NO_LOGIN,  # UserNotFound
    18: NO_LOGIN,  # AuthenticationFailed
    8000: NO_LOGIN,  # AtlasError
    100: WRONG_URL,  # UnsatisfiableWriteConcern
    # A server that starts, stops or changes its role, and an operation that was cut short.
    **dict.fromkeys((50, 64, 91, 189, 202, 262, 11600, 11602, 13436), UNAVAILABLE),
}


def store_error(place: str, error: BaseException) -> StoreError | None:
    """Return the StoreError that this error means; None for an error of another kind.

    MongoDB repeats the refused command in its text, with session keys and data. So only the name of
    the error is quoted. The text is removed from the original error too, as a traceback shows it.
    """
    if isinstance(error, DocumentTooLarge):
        return TOO_LARGE.error_class(place, error, TOO_LARGE.remedy)
    if not isinstance(error, PyMongoError):
        return None
    error_class, remedy = meaning_of(error)
    error.args = (reason_of(error),)
    return error_class(place, error, remedy)


def meaning_of(error: PyMongoError) -> Meaning:
    code = code_of(error)
    if code in CODES:
        return CODES[code]
    match error:
        case ConfigurationError():
            return WRONG_URL
        case OperationFailure() if not isinstance(error, WriteConcernError):
            return REFUSED
        case _:
            return UNAVAILABLE


def reason_of(error: PyMongoError) -> str:
    details = details_of(error)
    if (code := code_of(error)) is not None:
        return f"{details.get('codeName', type(error).__name__)} (error {code})"
    # PyMongo appends its time-outs and the state of each server.
    return str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]


def code_of(error: PyMongoError) -> int | None:
    code = error.code if isinstance(error, OperationFailure) else details_of(error).get("code")
    if isinstance(code, int):
        return code
    # While a server refuses the log-in, the error of finding no server repeats that error's text.
    repeated = CODE_IN_TEXT.search(str(error))
    return int(repeated[1]) if repeated and isinstance(error, AutoReconnect) else None


def details_of(error: PyMongoError) -> dict[str, object]:
    details = error.details if isinstance(error, OperationFailure | AutoReconnect) else None
    return dict(details) if isinstance(details, dict) else {}
