"""One command over a connection of redis-py's pool, without redis-py's client around it.

The client also measures each command, retries it and converts its answer. If nothing of that is
asked for, a command takes about a fifth longer with it.
"""

from operator import attrgetter
from typing import Any

import redis
from redis import VERSION, BlockingConnectionPool, Connection, ConnectionPool, Redis, SSLConnection
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import ResponseError
from redis.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from cookieproj.engines.own_functions import OwnFunctions

from .redis_pool import Connections

# The major version of redis-py whose client is known here.
KNOWN_VERSION = 8
IS_KNOWN_VERSION = VERSION[0] == KNOWN_VERSION
if IS_KNOWN_VERSION:
    from redis.observability.providers import get_observability_instance

KNOWN_POOLS = {ConnectionPool, BlockingConnectionPool, SentinelConnectionPool}
KNOWN_CONNECTIONS = {
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
}

# Options of a pool with which the client sends a command again.
RETRY_OPTIONS = ("retry", "retry_on_error", "retry_on_timeout")

# The methods of the client that are bypassed, and which other packages replace.
METHODS = ("execute_command", "parse_response", "get", "set", "delete")
CLIENT_METHODS = attrgetter(*METHODS)
OWN_METHODS = OwnFunctions([*CLIENT_METHODS(Redis), Connection.send_command], redis)


def may_bypass(client: Any) -> bool:
    """Whether nobody can tell the difference between ``DirectClient`` and that client.

    - The version of redis-py is known here.
    - The client, its pool and connections are of redis-py's own classes, since a subclass may do
      anything. The client has no connection of its own (``single_connection_client``).
    - Their methods are redis-py's own: Sentry, OpenTelemetry, Datadog, New Relic and Elastic
      replace some, to count and time the commands. redis-py's own metrics are off.
    - The client does not retry commands or cache answers.
    """
    if not (IS_KNOWN_VERSION and type(client) is Redis):
        return False
    pool = client.connection_pool
    return (
        client.connection is None
        and type(pool) in KNOWN_POOLS
        and pool.connection_class in KNOWN_CONNECTIONS
        and vars(client).keys().isdisjoint(METHODS)
        and OWN_METHODS.are([*CLIENT_METHODS(Redis), pool.connection_class.send_command])
        and get_observability_instance().get_provider_manager() is None
        and not any(map(pool.connection_kwargs.get, RETRY_OPTIONS))
        and pool.cache is None
    )


class DirectClient:
    """Those methods of redis-py's client that are used for one command.

    They return Redis's answers as they are: ``b"OK"`` where the client returns True. They raise the
    client's errors, and never send a command twice.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._connections = Connections(pool)

    def get(self, name: str) -> Any:
        return self.execute_command("GET", name)

    def set(self, name: str, value: bytes, *, ex: int, nx: bool = False) -> Any:
        return self.execute_command("SET", name, value, "EX", ex, *(["NX"] if nx else []))

    def delete(self, name: str) -> Any:
        return self.execute_command("DEL", name)

    def execute_command(self, *words: Any) -> Any:
        """Send the command and return its answer, or raise it if it is an error.

        Whatever else is raised in between, even by a signal handler, closes the connection: the
        next command over it would get this answer.
        """
        connection: Any = self._connections.get_connection()
        is_answered = False
        try:
            connection.send_packed_command(connection.pack_command(*words))
            answer = connection.read_response()
            is_answered = True
        except ResponseError:
            is_answered = True
            raise
        finally:
            if not is_answered:
                connection.disconnect()
            self._connections.release(connection)
        return answer


def direct(client: Any) -> Any:
    """Return a DirectClient for that client if it may be bypassed, else the client."""
    return DirectClient(client.connection_pool) if may_bypass(client) else client
