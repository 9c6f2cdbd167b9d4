"""The connection that a thread keeps: when it keeps one, and when it is given back or renewed."""

import gc
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock
from weakref import ref

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.cache import caches as connections
from pytest_django import Settings
from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.handover_mixin import store_of
from cookieproj.settings.caches import caches
from tests import certificates, servers
from tests.conftest import start
from tests.test_store_urls import folder, options_of, server_stack

from .test_redis_commands import changed_session, create_session

__all__ = ["folder", "server_stack"]

DJANGOS = "django.core.cache.backends.redis.RedisCache"
URLS = ["redis", "redis8", "valkey", "sentinel"]

Use = Callable[..., None]


@pytest.fixture
def use(settings: Settings) -> Use:
    """Return a function that stores sessions at that URL, with further OPTIONS of the cache.

    Each test has a pool of its own: django-redis has one for each URL.
    """
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"

    def use(url: str, **options: Any) -> None:
        separator = "&" if "?" in url else "?"
        settings.CACHES = caches(f"{url}{separator}client_name={secrets.token_hex(4)}")
        settings.CACHES["sessions"]["OPTIONS"] |= options

    return use


@pytest.fixture
def use_djangos(settings: Settings, use: Use, redis_url: str) -> Use:
    """Return a function that stores sessions in Django's own cache on Redis."""

    def use_djangos(**options: Any) -> None:
        settings.CACHES = {
            alias: {"BACKEND": DJANGOS, "LOCATION": f"{redis_url}/1", "OPTIONS": options}
            for alias in ("default", "sessions")
        }

    return use_djangos


def pool_of_sessions() -> Any:
    return store_of(SessionStore)._pool("")  # type: ignore[attr-defined]


def kept() -> list[Any]:
    """The connections that are kept: nobody else uses the pool at that moment."""
    return list(pool_of_sessions()._in_use_connections)


def works() -> bool:
    """Whether a session can be stored, read, changed and deleted."""
    key = create_session(n=1)
    changed_session(key).save()
    data = dict(SessionStore(key).items())
    SessionStore(key).flush()
    return data == {"n": 2} and SessionStore(key).load() == {}


def may_keep() -> bool:
    return store_of(SessionStore)._thread_connection() is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize("server", URLS)
@pytest.mark.parametrize("protocol", ["2", "3"])
def test_thread_keeps_one_connection(
    use: Use, server: str, protocol: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{server}_url")
    use(f"{url}{'' if server == 'sentinel' else '/0'}?protocol={protocol}")
    assert works()
    [first] = kept()
    assert works()
    assert kept() == [first]
    # A second one was never opened, not even to read the server's version.
    assert pool_of_sessions()._created_connections == 1


def test_thread_keeps_one_connection_of_djangos_cache(use_djangos: Use) -> None:
    use_djangos()
    assert works()
    [first] = kept()
    # Django's cache creates a client for each command, which takes as long as the command.
    with mock.patch.object(Redis, "__init__", side_effect=AssertionError):
        assert works()
    assert kept() == [first]


def test_thread_keeps_connection_to_socket(use: Use, folder: Path, server_stack: Any) -> None:
    socket = folder / "redis.sock"
    start(server_stack, servers.redis(folder, "--unixsocket", str(socket)))
    use(f"unix://{socket}?db=0")
    assert works()
    assert len(kept()) == 1


def test_thread_keeps_connection_over_tls(use: Use, folder: Path, server_stack: Any) -> None:
    server, client = certificates.issue(folder, "server", "client")
    port = start(server_stack, servers.redis_over_tls(folder, server))
    options = "&".join(f"{name}={value}" for name, value in options_of(client).items())
    use(f"rediss://127.0.0.1:{port}/0?{options}")
    assert works()
    [first] = kept()
    kill_clients(first)
    assert works()


def test_connection_is_given_back_when_the_thread_ends(use: Use, redis_url: str) -> None:
    use(redis_url)
    used: list[Any] = []

    def visit() -> None:
        assert works()
        used.extend(kept())

    for _ in range(3):
        thread = threading.Thread(target=visit)
        thread.start()
        thread.join()
        assert not kept()
    # Each of the threads has used the same one, still open.
    assert len(used) == 3
    assert len(set(used)) == 1
    assert used[0].is_connected


def test_connection_does_not_keep_its_pool_alive(use_djangos: Use) -> None:
    """Each thread has a cache and a pool of its own with Django's, each async request too."""
    use_djangos()
    assert works()
    pool, [sock] = ref(pool_of_sessions()), [connection._sock for connection in kept()]
    del connections["sessions"]
    gc.collect()
    assert pool() is None
    assert sock.fileno() == -1


def test_at_most_half_of_a_pool_is_kept(use: Use, redis_url: str) -> None:
    use(redis_url, CONNECTION_POOL_KWARGS={"max_connections": 5})
    barrier = threading.Barrier(4, timeout=60)
    # The main thread uses no connection of it.
    pool = pool_of_sessions()

    def visit(number: int) -> bool:
        keeps = False
        # One after the other, as there is only one connection more than are kept at last.
        for turn in range(4):
            barrier.wait()
            if turn == number:
                assert works()
                keeps = may_keep()
        barrier.wait()
        return keeps

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(visit, range(4))) == [True, True, False, False]
    assert pool._created_connections == 3
    assert not kept()


def test_async_views_keep_the_connection_of_their_thread(use: Use, redis_url: str) -> None:
    use(redis_url)

    async def view() -> bool:
        session = SessionStore()
        await session.aset("n", 1)
        await session.asave()
        again = SessionStore(session.session_key)
        return await again.aget("n") == 1 and len(await sync_to_async(kept)()) == 1

    assert async_to_sync(view)()


def kill_clients(connection: Any) -> None:
    """Let the server close all other connections, and wait until that one knows."""
    names = {"host", "port", "path", "username", "password"}
    options = {
        name: value
        for name, value in pool_of_sessions().connection_kwargs.items()
        if name in names or name.startswith("ssl_")
    }
    pool = ConnectionPool(connection_class=type(connection), **options)
    with Redis.from_pool(pool) as admin:
        admin.client_kill_filter(_type="normal", skipme=True)
    with suppress(RedisConnectionError):
        connection.can_read(timeout=60)


@pytest.mark.parametrize("act", [works, lambda: SessionStore("k" * 32).load() == {}])
def test_connection_closed_while_idle_is_renewed(
    use: Use, redis_url: str, act: Callable[[], object]
) -> None:
    use(redis_url)
    assert works()
    [first] = kept()
    kill_clients(first)
    assert act()
    assert len(kept()) == 1
