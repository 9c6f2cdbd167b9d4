"""The client of Django's Redis cache is kept, unless a site or a tool creates its own."""

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.core.cache import caches as connections
from django.core.cache.backends.redis import RedisCacheClient
from pytest_django import Settings

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches.redis_client import _kept, client_of

REDIS_CACHE = "django.core.cache.backends.redis.RedisCache"


class OwnClient(RedisCacheClient):
    """Counts the clients that it creates."""

    created = 0

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        type(self).created += 1
        return super().get_client(key, write=write)


@pytest.fixture
def cache(settings: Settings, redis_url: str) -> Any:
    return use(settings, redis_url)


def use(settings: Settings, redis_url: str) -> Any:
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.CACHES = {"sessions": {"BACKEND": REDIS_CACHE, "LOCATION": f"{redis_url}/7"}}
    return connections["sessions"]


def read_write_and_delete() -> None:
    session = SessionStore()
    session["a"] = 1
    session.save()
    assert SessionStore(session.session_key)["a"] == 1
    session.flush()


def test_one_client_serves_all_commands(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[Any] = []
    original = redis.Redis.__init__

    def counting(self: Any, *arguments: Any, **options: Any) -> None:
        created.append(self)
        original(self, *arguments, **options)

    monkeypatch.setattr(redis.Redis, "__init__", counting)
    read_write_and_delete()
    read_write_and_delete()
    assert len(created) == 1


def test_client_is_of_the_cache_and_its_pool(
    cache: Any, settings: Settings, redis_url: str
) -> None:
    client = client_of(cache)
    assert client is client_of(cache)
    assert client.connection_pool is cache._cache._get_connection_pool(write=True)
    cache._cache._pools.clear()
    assert client_of(cache).connection_pool is cache._cache._get_connection_pool(write=True)
    assert client_of(use(settings, redis_url)) is not client


def test_each_thread_has_a_client_of_its_own(cache: Any) -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: client_of(connections["sessions"])).result() is not client_of(
            cache
        )


def test_client_is_freed_with_its_cache(settings: Settings, redis_url: str) -> None:
    cache_client = RedisCacheClient([f"{redis_url}/7"])

    class Holder:
        _cache = cache_client

    client_of(Holder)
    before = len(_kept)
    del cache_client, Holder
    gc.collect()
    assert len(_kept) == before - 1


def test_subclass_that_creates_clients_is_asked_each_time(cache: Any) -> None:
    cache._class = OwnClient
    OwnClient.created = 0
    read_write_and_delete()
    assert OwnClient.created > 2


@pytest.mark.parametrize("on_class", [True, False])
@pytest.mark.parametrize("method", ["get_client", "_get_connection_pool"])
def test_replaced_method_is_called_each_time(
    method: str, on_class: bool, cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    original = getattr(cache._cache, method)

    def traced(*arguments: Any, **options: Any) -> Any:
        calls.append(method)
        return original(*arguments[on_class:], **options)

    client_of(cache)
    monkeypatch.setattr(RedisCacheClient if on_class else cache._cache, method, traced)
    read_write_and_delete()
    assert len(calls) > 2


def test_replaced_class_of_client_is_used(cache: Any) -> None:
    class Traced(redis.Redis):
        pass

    client_of(cache)
    cache._cache._client = Traced
    assert isinstance(client_of(cache), Traced)


def test_works_after_pool_was_closed(cache: Any) -> None:
    read_write_and_delete()
    client_of(cache).connection_pool.disconnect()
    read_write_and_delete()
