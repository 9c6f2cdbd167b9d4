"""The meaning of PyMongo's errors, by the codes of MongoDB's manual ("Error Codes")."""

import re
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    DocumentTooLarge,
    InvalidName,
    OperationFailure,
    PyMongoError,
)

from .exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)


class Meaning(NamedTuple):
    error_class: type[StoreError]
    remedy: str | Promise | None = None


UNAVAILABLE = Meaning(StoreUnavailableError)
REFUSED = Meaning(
    StoreMisconfiguredError,
    _("Look up the error in MongoDB's manual (Error Codes), and correct the server or the URL."),
)
NO_RIGHT = Meaning(
    StoreMisconfiguredError,
    _("Name a user in SESSION_MONGODB_URL who has the role readWrite on this database."),
)
NO_LOGIN = Meaning(
    StoreMisconfiguredError,
    _(
        "Correct the user in SESSION_MONGODB_URL, its authSource, or the password in "
        "SESSION_MONGODB_PASSWORD."
    ),
)
NO_TLS = Meaning(
    StoreMisconfiguredError,
    _(
        "Correct tls and tlsCAFile in SESSION_MONGODB_URL, or the server's certificate, which must "
        "be valid now and for the host in that URL."
    ),
)
WRONG_URL = Meaning(StoreMisconfiguredError, _("Correct SESSION_MONGODB_URL."))
TOO_LARGE = Meaning(
    StoreFullError,
    _("Store less in the session: about 8 MB fit, as a change is sent with what it replaces."),
)

# Codes that say that a repetition will not help. Any other one is of a server that starts, stops,
# is busy or has another role for the moment, or of an operation that was cut short.
CODES = {
    371: Meaning(StoreReadOnlyError),  # UserWritesBlocked
    14031: Meaning(StoreFullError),  # OutOfDiskSpace
    10334: TOO_LARGE,  # BSONObjectTooLarge
    13: NO_RIGHT,  # Unauthorized
    11: NO_LOGIN,  # UserNotFound
    18: NO_LOGIN,  # AuthenticationFailed
    8000: Meaning(
        StoreMisconfiguredError,
        _("Atlas refuses it: look there for the user, the password and the space that is left."),
    ),
    79: WRONG_URL,  # UnknownReplWriteConcern
    100: WRONG_URL,  # UnsatisfiableWriteConcern
    **dict.fromkeys(
        (
            *(2, 9, 14, 20, 26),  # BadValue, FailedToParse, TypeMismatch, IllegalOperation, no such
            *(59, 72, 73, 115),  # CommandNotFound, Invalid-Options, -Namespace, NotSupported
            *(121, 166, 323),  # DocumentValidationFailure, a view, APIVersionError
        ),
        REFUSED,
    ),
}

# A refused certificate or protocol. A connection that only ends is an EOF.
TLS_REFUSED = re.compile(r"\[SSL: (?!UNEXPECTED_EOF)")

# While a server refuses the log-in, the error of finding no server repeats the text of that error.
LOGIN_CODE = re.compile(r"(?:'code': |\(error )(11|18)\b")


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
    if code is not None:
        return CODES.get(code, UNAVAILABLE)
    if type(error.__cause__).__module__.startswith("dns."):
        # The name server of a mongodb+srv URL did not answer.
        return UNAVAILABLE
    if TLS_REFUSED.search(str(error)):
        return NO_TLS
    # A server that answers and belongs to no such replica set does not count as one.
    is_in_url = isinstance(error, ConfigurationError | InvalidName) or "replica set name" in str(
        error
    )
    return WRONG_URL if is_in_url else UNAVAILABLE


def reason_of(error: PyMongoError) -> str:
    if (code := code_of(error)) is not None:
        return f"{details_of(error).get('codeName', type(error).__name__)} (error {code})"
    # PyMongo appends its time-outs and the state of each server.
    return str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]


def code_of(error: PyMongoError) -> int | None:
    code = error.code if isinstance(error, OperationFailure) else details_of(error).get("code")
    if isinstance(code, int):
        return code
    login = LOGIN_CODE.search(str(error)) if isinstance(error, AutoReconnect) else None
    return int(login[1]) if login else None


def details_of(error: PyMongoError) -> dict[str, object]:
    details = error.details if isinstance(error, OperationFailure | AutoReconnect) else None
    return dict(details) if isinstance(details, dict) else {}
