"""Connections are moved within redis-py's pool exactly as the pool moves them, or by the pool."""

import os
import socket
from collections.abc import Iterator
from queue import Queue
from typing import Any
from unittest import mock

import pytest
from redis import VERSION, BlockingConnectionPool, Connection, ConnectionPool, Redis
from redis.credentials import UsernamePasswordCredentialProvider
from redis.event import EventDispatcher
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError

from cookieproj.engines.caches import redis_pool
from cookieproj.engines.caches.redis_direct import DirectClient, direct
from cookieproj.engines.caches.redis_pool import Connections, may_move_connections
from tests.servers import StoppableRedis

from .test_redis_direct import in_a_function


@pytest.fixture
def pool(redis_url: str) -> Iterator[ConnectionPool]:
    pool = ConnectionPool.from_url(f"{redis_url}/0", max_connections=3)
    yield pool
    pool.disconnect()


def state(pool: Any) -> tuple[int, int, int]:
    """Of its connections: how many were created, and are idle and in use."""
    return (
        pool._created_connections,
        len(pool._available_connections),
        len(pool._in_use_connections),
    )


def test_connections_are_counted_as_by_the_pool(pool: ConnectionPool) -> None:
    connections = Connections(pool)
    for source in (connections, pool):
        first, second = source.get_connection(), source.get_connection()
        assert state(pool) == (2, 0, 2)
        source.release(first)
        assert state(pool) == (2, 1, 1)
        assert source.get_connection() is first
        source.release(second)
        source.release(first)
        assert state(pool) == (2, 2, 0)


def test_exhausted_pool_refuses(pool: ConnectionPool) -> None:
    connections = Connections(pool)
    taken = [connections.get_connection() for _ in range(3)]
    with pytest.raises(MaxConnectionsError):
        connections.get_connection()
    connections.release(taken[0])
    assert connections.get_connection() is taken[0]


def test_closed_connection_is_opened_again(pool: ConnectionPool, redis_url: str) -> None:
    connections = Connections(pool)
    connection = connections.get_connection()
    connections.release(connection)
    Redis.from_url(redis_url).client_kill_filter(_type="normal", skipme=True)
    again = connections.get_connection()
    again.send_command("PING")
    assert again.read_response() == b"PONG"
    connections.release(again)
    assert state(pool) == (1, 1, 0)


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("protocol", [2, 3])
def test_unread_answer_is_not_taken_for_that_of_the_next_command(
    redis_url: str, protocol: int, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such an answer is left behind when another client of the pool is interrupted."""
    monkeypatch.setattr(redis_pool, "KNOWN_VERSION", VERSION[:2] if moves else ())
    pool: Any = ConnectionPool.from_url(redis_url, protocol=protocol)
    connection = pool.get_connection()
    connection.send_command("ECHO", "of another command")
    # It waits until the answer is there, and leaves it unread.
    connection._sock.recv(1, socket.MSG_PEEK)
    pool.release(connection)
    client = DirectClient(pool)
    assert client.execute_command("ECHO", "own") == b"own"
    assert state(pool) == (1, 1, 0)
    pool.disconnect()


@pytest.mark.parametrize("protocol", [2, 3])
def test_no_unread_answer_of_several_is_taken(redis_url: str, protocol: int) -> None:
    """A pool that is a queue returns the next connection, not the one that was just cleaned."""
    pool: Any = BlockingConnectionPool.from_url(
        redis_url, protocol=protocol, max_connections=2, queue_class=Queue
    )
    connections = [pool.get_connection() for _ in range(2)]
    for connection in connections:
        connection.send_command("ECHO", "of another command")
        connection._sock.recv(1, socket.MSG_PEEK)
        pool.release(connection)
    answers = [DirectClient(pool).execute_command("ECHO", "own") for _ in range(3)]
    assert answers == [b"own"] * 3
    pool.disconnect()


def test_connection_of_a_pool_that_was_reset_is_dropped(pool: ConnectionPool) -> None:
    connections = Connections(pool)
    connection = connections.get_connection()
    pool.reset()
    connections.release(connection)
    assert state(pool) == (0, 0, 0)
    connection.disconnect()


def test_connection_that_should_reconnect_is_closed(pool: ConnectionPool) -> None:
    connections = Connections(pool)
    connection = connections.get_connection()
    connection.mark_for_reconnect()
    connections.release(connection)
    assert (connection._sock, state(pool)) == (None, (1, 1, 0))


def test_server_that_is_down_gives_the_connection_back(tmp_path: Any) -> None:
    server = StoppableRedis(tmp_path)
    server.start()
    pool = ConnectionPool.from_url(f"redis://127.0.0.1:{server.port}")
    try:
        connections = Connections(pool)
        connections.release(connections.get_connection())
    finally:
        server.stop()
    with pytest.raises(RedisConnectionError):
        connections.get_connection()
    assert state(pool) == (1, 1, 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_interrupted_check_gives_the_connection_back(
    pool: ConnectionPool, error: type[BaseException]
) -> None:
    connections = Connections(pool)
    connections.release(connections.get_connection())
    with mock.patch.object(Connection, "can_read", side_effect=error), pytest.raises(error):
        connections.get_connection()
    assert state(pool) == (1, 1, 0)


class TestWhenThePoolMovesThem:
    def test_known_pool(self, pool: ConnectionPool) -> None:
        assert may_move_connections(pool)

    @pytest.mark.parametrize("version", [(8, 0), (8, 2), (9, 1)])
    def test_other_version(
        self, pool: ConnectionPool, version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_pool, "VERSION", (*version, 0))
        assert not may_move_connections(pool)

    def test_other_class(self, redis_url: str) -> None:
        own: Any = type("Own", (ConnectionPool,), {})
        for class_ in (own, BlockingConnectionPool):
            assert not may_move_connections(class_.from_url(redis_url))

    @pytest.mark.parametrize("name", ["get_connection", "release"])
    def test_replaced_method(self, pool: ConnectionPool, name: str) -> None:
        own = getattr(ConnectionPool, name)
        with mock.patch.object(ConnectionPool, name, in_a_function(own)):
            assert not may_move_connections(pool)
        with mock.patch.object(pool, name):
            assert not may_move_connections(pool)

    @pytest.mark.parametrize(
        "options",
        [
            {"credential_provider": UsernamePasswordCredentialProvider("default")},
            {"event_dispatcher": EventDispatcher()},
        ],
        ids=lambda options: next(iter(options)),
    )
    def test_listener(self, options: dict[str, Any]) -> None:
        assert not may_move_connections(ConnectionPool(**options))

    def test_forked_process(self, redis_url: str, pool: ConnectionPool) -> None:
        """The child opens a connection of its own."""
        client = Redis(connection_pool=pool)
        parent = direct(client).execute_command("CLIENT", "ID")
        child = os.fork()
        if not child:
            own = b"no answer"
            try:
                assert not may_move_connections(pool)
                own = direct(client).execute_command("CLIENT", "ID")
            finally:
                os._exit(0 if isinstance(own, int) and own != parent else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert direct(client).execute_command("CLIENT", "ID") == parent
