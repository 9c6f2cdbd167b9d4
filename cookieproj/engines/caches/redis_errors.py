"""The errors with which Redis answers: the StoreError that each means, and a remedy."""

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisClusterException

from cookieproj.engines.exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

GRANT_RIGHTS = _(
    "Grant the Redis user these rights on the session keys with ACL SETUSER: +get +set +del "
    "+exists +expire, and either +eval or +watch +unwatch +multi +exec. Lists of sessions also "
    "need +scan +pttl +strlen +dbsize, and a Redis Cluster +command +cluster|slots +asking."
)
NAME_A_DATABASE = _(
    "Choose a database that exists: Redis has 16 by default, hosted Redis often has one, and "
    "Redis Cluster has only 0."
)

# The LOCATION is not quoted, as it may have a password.
WRONG_LOCATION = _(
    "The LOCATION of the cache of the sessions must be a URL as in "
    "redis://user:password@host:6379/1, with the special characters of the password "
    "percent-encoded."
)
REMOVE_DECODE_RESPONSES = _(
    "Remove decode_responses from the cache of the sessions: they are stored as bytes, not as text."
)

# A refused certificate or protocol. A connection that only ends is an EOF.
TLS_REFUSED = r"\[SSL: (?!UNEXPECTED_EOF)"

# Patterns for the error's class name and text, with the StoreError and the remedy. redis-py has
# classes for some of Redis's error codes and leaves others in the text. The error of a script has
# all of it in its text.
MEANINGS: list[tuple[str, type[StoreError], str | Promise | None]] = [
    (
        "BusyLoadingError",
        StoreUnavailableError,
        _("Redis is still loading its data from disk: try again in a moment."),
    ),
    (
        TLS_REFUSED,
        StoreUnavailableError,
        _("Correct the TLS options of the cache in CACHES, or the server's certificate."),
    ),
    ("OutOfMemoryError|OOM command not allowed", StoreFullError, None),
    ("ReadOnlyError|READONLY|write against a read only", StoreReadOnlyError, None),
    (
        "NOREPLICAS",
        StoreReadOnlyError,
        _("Too few of its replicas are connected: start them, or lower min-replicas-to-write."),
    ),
    ("MISCONF", StoreReadOnlyError, _("Redis cannot write to its disk; see its log.")),
    ("AuthenticationError|NOAUTH", StoreMisconfiguredError, _("Check user name and password.")),
    (
        "NoPermissionError|NOPERM|can't run this command|unknown command",
        StoreMisconfiguredError,
        GRANT_RIGHTS,
    ),
    (
        "DB index is out of range|invalid DB index|SELECT is not allowed|option can only be 0",
        StoreMisconfiguredError,
        NAME_A_DATABASE,
    ),
    (
        "MovedError|AskError|CrossSlot|CROSSSLOT",
        StoreMisconfiguredError,
        _(
            "This is a Redis Cluster of several shards: set the CONNECTION_FACTORY of the cache to "
            "cookieproj.engines.caches.redis_cluster.ClusterConnectionFactory."
        ),
    ),
    (
        "Cluster mode is not enabled|cluster support disabled",
        StoreMisconfiguredError,
        _("This is not a node of a Redis Cluster, or its user may not run CLUSTER SLOTS."),
    ),
    (
        "WRONGTYPE",
        StoreMisconfiguredError,
        _("Other data is stored under the same names. Give the sessions a database of their own."),
    ),
]

# The part of an error that repeats the command, with a session key and its data. redis-py repeats
# one of a pipeline, Redis one that it does not know.
REPEATED_COMMAND = re.compile(
    "^Command # .* of pipeline caused error: |,? with args beginning with:.*", re.DOTALL
)


def refuse_decode_responses(options: Mapping[str, Any]) -> None:
    """Raise ImproperlyConfigured if a connection with those options would return text."""
    if options.get("decode_responses"):
        raise ImproperlyConfigured(REMOVE_DECODE_RESPONSES)


def store_error(place: str | Promise, error: Exception) -> StoreError:
    """Return the StoreError that this error means, without the command in its text."""
    reason = REPEATED_COMMAND.sub("", str(error))
    # A traceback shows the original error as well, so the command is removed there too.
    error.args = (reason, *error.args[1:])
    # RedisCluster raises an error of its own, caused by that of the last node it asked.
    is_of_node = isinstance(error, RedisClusterException) and error.__cause__
    kind = type(error.__cause__ if is_of_node else error).__name__
    for pattern, error_class, remedy in MEANINGS:
        if re.search(pattern, f"{kind} {reason}"):
            return error_class(place, reason, remedy)
    return StoreUnavailableError(place, reason)
