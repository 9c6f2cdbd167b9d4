"""When a thread keeps no connection to Redis: each condition of ``may_keep_connection``."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any
from unittest import mock

import pytest
from django.core.cache import caches as connections
from redis import Connection, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.observability.providers import get_observability_instance
from redis.retry import Retry

from cookieproj.engines.caches import redis_thread_connection

from .test_redis_thread_connection import (
    Use,
    kept,
    may_keep,
    pool_of_sessions,
    use,
    use_djangos,
    works,
)

__all__ = ["use", "use_djangos"]


def keeps_none() -> bool:
    """Whether each command goes through the client, which gives its connection back."""
    return works() and not may_keep() and not kept()


class OtherClient(Redis):
    pass


class OtherPool(ConnectionPool):
    pass


class OtherConnection(Connection):
    pass


OPTIONS: dict[str, dict[str, Any]] = {
    "client": {"REDIS_CLIENT_CLASS": f"{__name__}.OtherClient"},
    "pool": {"CONNECTION_POOL_CLASS": f"{__name__}.OtherPool"},
    "connection": {"CONNECTION_POOL_KWARGS": {"connection_class": OtherConnection}},
    "retry": {"CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 1)}},
    "time-outs": {"CONNECTION_POOL_KWARGS": {"retry_on_timeout": True}},
    "errors": {"CONNECTION_POOL_KWARGS": {"retry_on_error": [RedisTimeoutError]}},
    "tokens": {
        "CONNECTION_POOL_KWARGS": {
            "credential_provider": UsernamePasswordCredentialProvider("default")
        }
    },
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_none_is_kept_with_other_classes_or_a_client_that_does_more(
    use: Use, redis_url: str, options: dict[str, Any]
) -> None:
    use(redis_url, **options)
    assert keeps_none()


def test_none_is_kept_of_a_blocking_pool(use: Use, redis_url: str) -> None:
    use(redis_url, CONNECTION_POOL_CLASS="redis.BlockingConnectionPool")
    assert works()
    assert not may_keep()
    assert not pool_of_sessions()._get_in_use_connections()


def test_none_is_kept_beside_the_clients_own(use: Use, redis_url: str) -> None:
    use(redis_url, REDIS_CLIENT_KWARGS={"single_connection_client": True})
    assert works()
    assert not may_keep()


def test_none_is_kept_with_answers_cached_here(use: Use, redis8_url: str) -> None:
    use(f"{redis8_url}?protocol=3", CONNECTION_POOL_KWARGS={"cache_config": CacheConfig()})
    assert keeps_none()


def test_none_is_kept_of_a_cluster(use: Use, cluster_url: str) -> None:
    use(cluster_url)
    assert works()
    assert not may_keep()


def test_none_is_kept_with_another_class_of_djangos_client(use_djangos: Use) -> None:
    use_djangos()
    connections["sessions"]._cache._client = OtherClient  # type: ignore[attr-defined]
    assert keeps_none()


def test_none_is_kept_with_an_unknown_redis_py(
    use: Use, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(redis_url)
    monkeypatch.setattr(redis_thread_connection, "IS_KNOWN_VERSION", False)
    assert keeps_none()


def test_none_is_kept_while_redis_py_measures(use: Use, redis_url: str) -> None:
    use(redis_url)
    with mock.patch.object(get_observability_instance(), "_provider_manager", mock.Mock()):
        assert keeps_none()


def test_none_is_kept_if_threads_are_greenlets(
    use: Use, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OtherLocal(threading.local):
        pass

    use(redis_url)
    monkeypatch.setattr(threading, "local", OtherLocal)
    assert keeps_none()


def in_a_function(method: Any, calls: list[str]) -> Any:
    """A wrapper as Sentry's."""

    @wraps(method)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        calls.append(method.__name__)
        return method(*arguments, **options)

    return wrapper


class Proxying:
    """A wrapper as OpenTelemetry's: it has all attributes of the method, and equals it."""

    def __init__(self, method: Any, calls: list[str]) -> None:
        self.method, self.calls = method, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def __eq__(self, other: object) -> bool:
        return self.method == other  # type: ignore[no-any-return]

    def __hash__(self) -> int:
        return hash(self.method)

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else self.method.__get__(instance, owner)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.method(*arguments, **options)


@pytest.mark.parametrize("wrap", [in_a_function, Proxying])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *((Redis, name) for name in ("execute_command", "get", "set", "delete")),
        *((Connection, name) for name in ("send_command", "send_packed_command", "read_response")),
    ],
)
def test_none_is_kept_while_others_observe_redis_py(
    use: Use, redis_url: str, owner: Any, name: str, wrap: Callable[..., Any]
) -> None:
    use(redis_url)
    assert works()
    calls: list[str] = []
    with mock.patch.object(owner, name, wrap(getattr(owner, name), calls)):
        assert works()
        assert not may_keep()
    assert wrap is Proxying or calls
