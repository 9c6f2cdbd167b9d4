"""What a Redis that answers with an error says of itself: which of the four it is, and a remedy."""

import re

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cookieproj.engines.exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

CHECK_RIGHTS = _(
    "Grant the Redis user these rights on the session keys with ACL SETUSER: +get +set +del "
    "+exists +expire, and either +eval or +watch +unwatch +multi +exec."
)
NAME_A_DATABASE = _(
    "Choose a database that exists: Redis has 16 by default, hosted Redis often has one, and "
    "Redis Cluster has only 0."
)

# Found in the class of the error or its text: redis-py makes a class of some of Redis's codes,
# leaves others in the text, and a script's error holds all of it.
ANSWERS: list[tuple[str, type[StoreError], str | Promise | None]] = [
    ("BusyLoadingError", StoreUnavailableError, _("Redis is still loading its data from disk.")),
    ("OutOfMemoryError|OOM command not allowed", StoreFullError, None),
    ("ReadOnlyError|READONLY|write against a read only", StoreReadOnlyError, None),
    ("NOREPLICAS", StoreReadOnlyError, _("Too few of its replicas are connected.")),
    ("MISCONF", StoreReadOnlyError, _("Redis cannot write to its disk; see its log.")),
    ("AuthenticationError|NOAUTH", StoreMisconfiguredError, _("Check user name and password.")),
    (
        "NoPermissionError|NOPERM|can't run this command|unknown command",
        StoreMisconfiguredError,
        CHECK_RIGHTS,
    ),
    (
        "DB index is out of range|invalid DB index|SELECT is not allowed",
        StoreMisconfiguredError,
        NAME_A_DATABASE,
    ),
    (
        "MovedError|AskError|CrossSlot|CROSSSLOT",
        StoreMisconfiguredError,
        _("This is a Redis Cluster of several shards: use a Redis without sharding."),
    ),
    (
        "WRONGTYPE",
        StoreMisconfiguredError,
        _("Other data is stored under the same names. Give the sessions a database of their own."),
    ),
]

# Of the command, which holds a session key and its data: by redis-py of one in a pipeline, and by
# Redis of one that it does not know.
REPEATED = re.compile(
    "^Command # .* of pipeline caused error: |,? with args beginning with:.*", re.DOTALL
)

SCRIPTS_REFUSED = re.compile("NoPermissionError.*'eval'|unknown command.*eval", re.IGNORECASE)


def store_error(place: str | Promise, error: Exception) -> StoreError:
    reason = REPEATED.sub("", str(error))
    # The traceback has the error too.
    error.args = (reason, *error.args[1:])
    for pattern, kind, remedy in ANSWERS:
        if re.search(pattern, f"{type(error).__name__} {reason}"):
            return kind(place, reason, remedy)
    return StoreUnavailableError(place, reason)


def refuses_scripts(error: BaseException | None) -> bool:
    """Whether this is the answer of a Redis, or of a right to use it, that takes no EVAL."""
    return error is not None and bool(SCRIPTS_REFUSED.search(f"{type(error).__name__} {error}"))
