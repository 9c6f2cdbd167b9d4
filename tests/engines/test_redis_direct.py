"""When commands to Redis go past redis-py's client: each condition of ``may_bypass``."""

import secrets
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any
from unittest import mock

import pytest
from django.core.cache import caches as connections
from pytest_django import Settings
from redis import Connection, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.observability.providers import get_observability_instance
from redis.retry import Retry

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches import redis_direct
from cookieproj.engines.handover_mixin import store_of
from cookieproj.settings.caches import caches

from .test_redis_commands import changed_session, create_session

DJANGOS = "django.core.cache.backends.redis.RedisCache"

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
def use_djangos(settings: Settings, use: Use, redis_url: str) -> None:
    """Store sessions in Django's own cache on Redis."""
    settings.CACHES = {
        alias: {"BACKEND": DJANGOS, "LOCATION": f"{redis_url}/1"}
        for alias in ("default", "sessions")
    }


def client_of_sessions() -> Any:
    return store_of(SessionStore).client  # type: ignore[attr-defined]


def commands_of_client() -> int:
    """Store, read, change and delete a session; return how many commands a client has sent.

    Those to a Sentinel, by which a pool finds the primary, are left out.
    """
    sent = 0

    def note(frame: Any, event: str, _argument: object) -> None:
        nonlocal sent
        if event == "call" and frame.f_code.co_name == "_execute_command":
            sent += not frame.f_locals["args"][0].startswith("SENTINEL")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        key = create_session(n=1)
        changed_session(key).save()
        data = dict(SessionStore(key).items())
        SessionStore(key).flush()
        ended = SessionStore(key).load()
    finally:
        sys.setprofile(before)
    assert (data, ended) == ({"n": 2}, {})
    return sent


@pytest.mark.parametrize("server", ["redis", "redis8", "valkey", "sentinel"])
@pytest.mark.parametrize("protocol", ["2", "3"])
def test_client_sends_no_command(
    use: Use, server: str, protocol: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{server}_url")
    use(f"{url}{'' if server == 'sentinel' else '/0'}?protocol={protocol}")
    assert commands_of_client() == 0
    pool = client_of_sessions().connection_pool
    assert (pool._created_connections, pool._in_use_connections) == (1, set())


@pytest.mark.usefixtures("use_djangos")
def test_client_of_djangos_cache_sends_no_command() -> None:
    assert commands_of_client() == 0


def test_client_of_a_blocking_pool_sends_no_command(use: Use, redis_url: str) -> None:
    use(
        redis_url,
        CONNECTION_POOL_CLASS="redis.BlockingConnectionPool",
        CONNECTION_POOL_KWARGS={"max_connections": 1, "timeout": 1},
    )
    assert commands_of_client() == 0


class OtherClient(Redis):
    pass


class OtherPool(ConnectionPool):
    pass


class OtherConnection(Connection):
    pass


OPTIONS: dict[str, dict[str, Any]] = {
    "client": {"REDIS_CLIENT_CLASS": f"{__name__}.OtherClient"},
    "single connection": {"REDIS_CLIENT_KWARGS": {"single_connection_client": True}},
    "pool": {"CONNECTION_POOL_CLASS": f"{__name__}.OtherPool"},
    "connection": {"CONNECTION_POOL_KWARGS": {"connection_class": OtherConnection}},
    "retry": {"CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 1)}},
    "time-outs": {"CONNECTION_POOL_KWARGS": {"retry_on_timeout": True}},
    "errors": {"CONNECTION_POOL_KWARGS": {"retry_on_error": [RedisTimeoutError]}},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_client_sends_with_other_classes_or_if_it_does_more(
    use: Use, redis_url: str, options: dict[str, Any]
) -> None:
    use(redis_url, **options)
    assert commands_of_client() > 0


def test_client_sends_if_it_caches_answers(use: Use, redis8_url: str) -> None:
    use(f"{redis8_url}?protocol=3", CONNECTION_POOL_KWARGS={"cache_config": CacheConfig()})
    assert commands_of_client() > 0


@pytest.mark.usefixtures("use_djangos")
def test_client_of_another_class_of_djangos_cache_sends() -> None:
    connections["sessions"]._cache._client = OtherClient  # type: ignore[attr-defined]
    assert commands_of_client() > 0


def test_client_of_an_unknown_redis_py_sends(
    use: Use, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(redis_url)
    monkeypatch.setattr(redis_direct, "IS_KNOWN_VERSION", False)
    assert commands_of_client() > 0


def test_client_sends_while_redis_py_measures(use: Use, redis_url: str) -> None:
    use(redis_url)
    with mock.patch.object(get_observability_instance(), "_provider_manager", mock.Mock()):
        assert commands_of_client() > 0


def in_a_function(method: Any) -> Any:
    """A wrapper as Sentry's."""

    @wraps(method)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        return method(*arguments, **options)

    return wrapper


class Proxying:
    """A wrapper as OpenTelemetry's: it has all attributes of the method, and equals it."""

    def __init__(self, method: Any) -> None:
        self.method = method

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
        *((Redis, name) for name in ("execute_command", "parse_response", "get", "set", "delete")),
        (Connection, "send_command"),
    ],
)
def test_client_sends_while_others_observe_redis_py(
    use: Use, redis_url: str, owner: Any, name: str, wrap: Callable[..., Any]
) -> None:
    use(redis_url)
    assert commands_of_client() == 0
    with mock.patch.object(owner, name, wrap(getattr(owner, name))):
        assert commands_of_client() > 0


def test_client_sends_whose_own_method_is_replaced(use: Use, redis_url: str) -> None:
    use(redis_url)
    client = client_of_sessions()
    with mock.patch.object(client, "get", client.get):
        assert commands_of_client() > 0


def test_client_sends_whose_code_is_replaced(use: Use, redis_url: str) -> None:
    """As tracers do that rewrite a function and leave it where it is."""
    use(redis_url)
    assert commands_of_client() == 0

    own = Redis.execute_command.__code__
    Redis.execute_command.__code__ = own.replace(co_name="traced")
    try:
        assert commands_of_client() > 0
    finally:
        Redis.execute_command.__code__ = own
