"""Connections of redis-py's pool, taken and given back without what the pool does for others.

For each command the pool also counts its connections for redis-py's metrics and tells listeners of
each return, which takes longer than moving them. If nobody counts or listens, they are moved here
between the pool's own two collections, as the pool moves them.
"""

import os
from operator import attrgetter
from typing import Any

import redis
from redis import VERSION, ConnectionPool
from redis.exceptions import RedisError
from redis.sentinel import SentinelConnectionPool

from cookieproj.engines.own_functions import OwnFunctions

# The version of redis-py whose pool is known here: major and minor, as its attributes are private.
KNOWN_VERSION = (8, 1)
KNOWN_POOLS = {ConnectionPool, SentinelConnectionPool}

# Options by which somebody may listen.
LISTENERS = {"credential_provider", "event_dispatcher"}

# By which the pool's connections are taken and given back.
METHODS = ("get_connection", "release")
POOL_METHODS = attrgetter(*METHODS)
OWN_METHODS = OwnFunctions(POOL_METHODS(ConnectionPool), redis)


def may_move_connections(pool: Any) -> bool:
    """Whether nobody can tell the difference. redis-py's metrics are off: see ``redis_direct``."""
    return (
        VERSION[:2] == KNOWN_VERSION
        and type(pool) in KNOWN_POOLS
        and OWN_METHODS.are(POOL_METHODS(type(pool)))
        and vars(pool).keys().isdisjoint(METHODS)
        and pool._connection_kwargs.keys().isdisjoint(LISTENERS)
        and pool.pid == os.getpid()
    )


class Connections:
    """The connections of a pool, each without an unread answer.

    An interrupted client may leave one behind, and the next command would take it for its own. The
    pool does not look for it if the server may send messages (RESP3).
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._moves = may_move_connections(pool)

    def get_connection(self) -> Any:
        """Return a connection that is open. Raises as the pool does."""
        pool, connection = self._pool, None
        if self._moves:
            with pool._lock:
                if pool._available_connections:
                    connection = pool._available_connections.pop()
                    pool._in_use_connections.add(connection)
        if connection is None:
            connection = pool.get_connection()
        try:
            if has_unread_answer(connection):
                connection.disconnect()
                connection.connect()
        except BaseException:
            connection.disconnect()
            pool.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        pool = self._pool
        if not self._moves or connection.should_reconnect() or not pool.owns_connection(connection):
            pool.release(connection)
            return
        with pool._lock:
            # After ``reset`` it is not the pool's any more.
            if connection in pool._in_use_connections:
                pool._in_use_connections.remove(connection)
                pool._available_connections.append(connection)


def has_unread_answer(connection: Any) -> bool:
    """Whether something waits to be read. If the server has closed the connection, its end does."""
    try:
        return bool(connection.can_read())
    except (RedisError, OSError):
        return True
