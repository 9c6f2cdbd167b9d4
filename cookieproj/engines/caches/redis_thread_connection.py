"""A connection to Redis that a thread keeps: a command takes less time than through the client.

redis-py's client takes a connection from its pool for each command, and gives it back after it.
Here each thread keeps one of that pool until the thread ends. At most half of the connections that
the pool may have are kept; further threads use the client.

A connection with an unread answer must never be used again: the next command would take it for its
own. So the connection is busy from before a command is sent until its answer is read. Whatever is
raised in between closes it. A call within another one of the same thread, by a signal handler or a
finalizer, finds it busy and uses the client.
"""

import os
import threading
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary, ref

from redis import VERSION, Connection, ConnectionPool, Redis, SSLConnection
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import RedisError
from redis.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

# The major version of redis-py whose connections are known here. With any other the client is used.
KNOWN_VERSION = 8
IS_KNOWN_VERSION = VERSION[0] == KNOWN_VERSION
if IS_KNOWN_VERSION:
    from redis.observability.providers import get_observability_instance

KNOWN_POOLS = {ConnectionPool, SentinelConnectionPool}
KNOWN_CONNECTIONS = {
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
}

# The methods that other packages replace.
CLIENT_METHODS = attrgetter("execute_command", "get", "set", "delete")
CONNECTION_METHODS = attrgetter("send_command", "send_packed_command", "read_response")

# Options of a pool with which the client does more than send a command and read its answer.
CLIENT_OPTIONS = {"credential_provider", "retry", "retry_on_error", "retry_on_timeout"}


def may_keep_connection(pool: Any, client: Any) -> bool:
    """Whether a thread may keep a connection of that pool, instead of using its client.

    ``client`` is the class if the cache creates a client for each command. A connection is kept
    only if nobody can tell the difference:

    - The version of redis-py is known here.
    - The client, the pool and its connections are of redis-py's own classes, since a subclass may
      do anything. A BlockingConnectionPool is left out, because its threads wait for each other's
      connections. So is a client with a connection of its own (``single_connection_client``).
    - Their methods are redis-py's own: Sentry, OpenTelemetry, Datadog, New Relic and Elastic
      replace some, to count and time the commands. redis-py's own metrics are off.
    - The client does not retry commands, cache answers, or renew a token on its connections.
    - Threads are threads. gevent and eventlet replace ``threading.local``, and each request would
      be a thread that takes a connection for itself.
    """
    return bool(
        IS_KNOWN_VERSION
        and (client is Redis or (type(client) is Redis and client.connection is None))
        and type(pool) in KNOWN_POOLS
        and pool.connection_class in KNOWN_CONNECTIONS
        and all(map(is_of_redis_py, CLIENT_METHODS(Redis)))
        and all(map(is_of_redis_py, CONNECTION_METHODS(pool.connection_class)))
        and get_observability_instance().get_provider_manager() is None
        and not any(map(pool.connection_kwargs.get, CLIENT_OPTIONS))
        and pool.cache is None
        and threading.local.__module__ == "_thread"
    )


def is_of_redis_py(method: Any) -> bool:
    """Whether redis-py's own code defines it. A wrapper may copy its name, but not its globals."""
    return type(method) is FunctionType and method.__globals__["__name__"].startswith("redis.")


class ThreadConnection:
    """The connection of one thread, with those methods of redis-py's client that are used with it.

    They return Redis's answers as they are: ``b"OK"`` where the client returns True. They raise the
    client's errors, and never send a command twice.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self.is_busy = False
        self._pool = ref(pool)
        self._process = os.getpid()
        self._connection: Any = None

    def get(self, name: str) -> Any:
        return self.execute_command("GET", name)

    def set(self, name: str, value: bytes, *, ex: int, nx: bool = False) -> Any:
        return self.execute_command("SET", name, value, "EX", ex, *(["NX"] if nx else []))

    def delete(self, name: str) -> Any:
        return self.execute_command("DEL", name)

    def execute_command(self, *words: Any) -> Any:
        def exchange(connection: Any) -> Any:
            connection.send_packed_command(connection.pack_command(*words))
            return connection.read_response()

        return self._use(exchange)

    def hello(self) -> Mapping[Any, Any]:
        """Return the reply to the HELLO of the connection; empty if none was sent."""
        return self._use(attrgetter("handshake_metadata")) or {}

    def _use(self, step: Callable[[Any], Any]) -> Any:
        # All of it in the block: what is interrupted outside stays busy, and is not used again.
        try:
            self.is_busy = True
            result = step(self._ready_connection())
            self.is_busy = False
        except BaseException:
            # Even if the answer is an error: one of a signal handler may look the same.
            self._close()
            self.is_busy = False
            raise
        return result

    def _ready_connection(self) -> Any:
        """Return a connection that is open and has nothing to read: the kept one or another."""
        if self._connection is not None and not self._is_ready():
            self._close()
        if self._connection is None:
            self._connection = self._pool().get_connection()  # type: ignore[union-attr]
        return self._connection

    def _is_ready(self) -> bool:
        """Whether the kept connection can be used: neither side has closed it while it was idle.

        After a failover of Sentinels the pool does not own it any more.
        """
        connection, pool = self._connection, self._pool()
        try:
            return bool(
                connection.is_connected
                and pool.owns_connection(connection)  # type: ignore[union-attr]
                and not connection.should_reconnect()
                and not connection.can_read()
            )
        except (RedisError, OSError):
            return False

    def _close(self) -> None:
        """Close the kept connection, and give it back to the pool, which can open it again."""
        # No longer kept before it is given back, as it must not have two users.
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            if pool := self._pool():
                pool.release(connection)

    def __del__(self) -> None:
        """Give an idle connection back as it is, when the thread ends, but not in a fork."""
        if self._process != os.getpid() or self._connection is None:
            return
        pool = self._pool()
        if self.is_busy or pool is None:
            self._close()
        else:
            pool.release(self._connection)


class Thread:
    """Exists as long as a thread, in its ``threading.local``."""


class ThreadConnections:
    """The connections of one pool that the threads of this process keep."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.process = os.getpid()
        self._limit = pool.max_connections // 2
        self._local = threading.local()
        # Not in the local itself: a connection refers to its pool, which would live as long as the
        # thread. Django has a pool for each thread and each async request.
        self._of_threads: WeakKeyDictionary[Thread, ThreadConnection] = WeakKeyDictionary()
        # A signal handler may use it within another use of the same thread.
        self._lock = threading.RLock()

    def of_thread(self, pool: ConnectionPool) -> ThreadConnection | None:
        """Return the connection of this thread; None if there are as many as there may be."""
        try:
            return self._of_threads[self._local.thread]
        except AttributeError:
            with self._lock:
                if len(self._of_threads) >= self._limit:
                    return None
                thread, own = Thread(), ThreadConnection(pool)
                self._of_threads[thread] = own
                self._local.thread = thread
                return own


# The attribute of a pool with its ThreadConnections.
ATTRIBUTE = "cookieproj_thread_connections"


def thread_connection(pool: Any, client: Any) -> ThreadConnection | None:
    """Return the connection that this thread keeps of that pool.

    None if it may not keep one, or is using it: then the command goes through the client. Those of
    the process that was forked are forgotten.
    """
    if not may_keep_connection(pool, client):
        return None
    threads = vars(pool).get(ATTRIBUTE)
    if threads is None or threads.process != os.getpid():
        threads = ThreadConnections(pool)
        setattr(pool, ATTRIBUTE, threads)
    own = threads.of_thread(pool)
    return None if own is None or own.is_busy else own


def forget_connections(pool: ConnectionPool) -> None:
    """Give back what the threads keep of that pool, each as soon as its command is answered."""
    vars(pool).pop(ATTRIBUTE, None)
