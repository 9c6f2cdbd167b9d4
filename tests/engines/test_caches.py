"""Sessions in each kind of cache, also in those that offer only Django's interface."""

from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.cache import SessionStore as DjangoStore
from django.core.cache import caches as connections
from django.core.cache.backends.dummy import DummyCache
from pytest_django import Settings

from cookieproj.engines import cached_row_store
from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.checks import sessions_lose_no_write
from cookieproj.engines.exceptions import NotListableError, StoreFullError, StoreUnavailableError
from cookieproj.settings.caches import caches

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


@pytest.fixture(autouse=True)
def profile(settings: Settings) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"


def use(settings: Settings, backend: str, location: str = "", **options: Any) -> GenericCacheStore:
    cache = {"BACKEND": backend, "LOCATION": location, **options}
    settings.CACHES = {"default": {"BACKEND": LOCMEM}, "sessions": cache}
    return adapter_for(connections["sessions"])


def stored_session(**data: Any) -> SessionStore:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


def assert_concurrent_writes_are_kept(key: str | None) -> tuple[SessionStore, SessionStore]:
    """Save two sessions that were read before either save, and return them."""
    first, second = SessionStore(key), SessionStore(key)
    first["b"], second["c"] = 2, 3
    first.save()
    second.save()
    assert dict(SessionStore(key).items()) == {"a": 1, "b": 2, "c": 3}
    return first, second


def test_djangos_redis_cache_loses_no_write(settings: Settings, redis_url: str) -> None:
    cache = use(settings, "django.core.cache.backends.redis.RedisCache", f"{redis_url}/7")
    assert cache.compares_and_swaps
    assert cache.label == f"Redis {redis_url.removeprefix('redis://')}/7"
    key = stored_session(a=1).session_key
    assert_concurrent_writes_are_kept(key)
    assert key in {listed.key for listed in SessionStore.walk()}


@pytest.mark.parametrize("name", ["cache", "cached_db"])
def test_session_that_is_too_large_for_memcached(
    settings: Settings, memcached_url: str, db: None, name: str
) -> None:
    """``cache`` raises an error and keeps the previous data. ``cached_db`` stores it in the row."""
    settings.CACHES = caches(memcached_url)
    store = import_module(f"cookieproj.engines.{name}").SessionStore
    session = store()
    session["color"] = "blue"
    session.save()
    large = store(session.session_key)
    large["color"] = "x" * 2_000_000
    if name == "cache":
        with pytest.raises(
            StoreFullError, match=r" object too large for cache\. .* a larger -I"
        ) as error:
            large.save()
        assert session.session_key not in str(error.value)
        assert store(session.session_key)["color"] == "blue"
        session.flush()
    else:
        large.save()
        assert store(session.session_key)["color"] == large["color"]
    assert not cached_row_store.pending_invalidations


def test_failed_memcached_server_is_asked_again(settings: Settings, memcached_url: str) -> None:
    """By default pymemcache answers for it, for a second, that no key has an entry."""
    settings.CACHES = caches(memcached_url)
    session = stored_session(a=1)
    clients: Any = connections["sessions"]
    clients = clients._cache
    for client in clients.clients.values():
        clients._mark_failed_server(client.server)
    assert SessionStore(session.session_key)["a"] == 1
    key = str(session.session_key)
    session.flush()
    assert not SessionStore().exists(key)
    # pymemcache does not close the clients of servers that it has marked as failed.
    for client in clients.clients.values():
        client.close()


def test_unreachable_memcached_server_raises_each_time(
    settings: Settings, memcached_url: str
) -> None:
    """The keys of that server are not moved to another one."""
    settings.CACHES = caches(f"{memcached_url},127.0.0.1:1")
    keys = [f"{number:032}" for number in range(20)]
    counts = []
    for _ in range(4):
        unreachable = 0
        for key in keys:
            try:
                SessionStore(key).load()
            except StoreUnavailableError:
                unreachable += 1
        counts.append(unreachable)
    assert 0 < counts[0] < len(keys)
    assert len(set(counts)) == 1


@pytest.mark.parametrize("url", ["redis_url", "memcached_url"])
def test_session_cookie_age_may_be_a_float(
    settings: Settings, url: str, request: pytest.FixtureRequest
) -> None:
    settings.CACHES = caches(request.getfixturevalue(url))
    settings.SESSION_COOKIE_AGE = timedelta(days=7).total_seconds()
    key = stored_session(a=1).session_key
    session = SessionStore(key)
    session["b"] = 2
    session.save()
    session.save()
    assert dict(SessionStore(key).items()) == {"a": 1, "b": 2}


def test_memory_cache_keeps_the_most_recently_read_session(settings: Settings) -> None:
    use(settings, LOCMEM, "small", OPTIONS={"MAX_ENTRIES": 30})
    key = stored_session(a=1).session_key
    for _ in range(100):
        assert SessionStore(key).get("a") == 1
        stored_session(b=2)


# The sharded client of django-redis warns about its own calls.
@pytest.mark.filterwarnings("ignore:.* on sharded client")
@pytest.mark.parametrize("client", ["ShardClient", "HerdClient"])
def test_special_clients_of_django_redis_are_used_as_generic_caches(
    settings: Settings, redis_url: str, client: str
) -> None:
    settings.CACHES = caches(f"{redis_url}/11")
    settings.CACHES["sessions"]["OPTIONS"] = {"CLIENT_CLASS": f"django_redis.client.{client}"}
    if client == "ShardClient":
        settings.CACHES["sessions"]["LOCATION"] = [f"{redis_url}/12", f"{redis_url}/13"]
    assert not adapter_for(connections["sessions"]).compares_and_swaps
    djangos = DjangoStore()
    djangos["a"] = 1
    djangos.save()
    session = SessionStore(djangos.session_key)
    session["b"] = 2
    session.save()
    again = SessionStore(session.session_key)
    again.cycle_key()
    again.save()
    assert dict(DjangoStore(again.session_key).items()) == {"a": 1, "b": 2}


def test_redis_behind_sentinel_is_labelled_by_its_service(
    settings: Settings, sentinel_url: str
) -> None:
    settings.CACHES = caches(f"{sentinel_url}/3")
    key = stored_session(a=1).session_key
    assert SessionStore(key)["a"] == 1
    assert adapter_for(connections["sessions"]).label == "Redis primary/4"


@pytest.fixture
def generic_cache(settings: Settings, tmp_path: Path) -> GenericCacheStore:
    """A cache of a kind that has no adapter."""
    return use(settings, "django.core.cache.backends.filebased.FileBasedCache", str(tmp_path))


def test_generic_cache_merges_writes_without_compare_and_swap(
    generic_cache: GenericCacheStore,
) -> None:
    assert not generic_cache.compares_and_swaps
    key = stored_session(a=1).session_key
    first, second = assert_concurrent_writes_are_kept(key)
    second.cycle_key()
    assert not SessionStore().exists(str(key))
    second.save()
    second.flush()
    with pytest.raises(UpdateError):
        first.save()
    assert first.locate() == []


def test_check_warns_of_a_generic_cache(
    generic_cache: GenericCacheStore, settings: Settings
) -> None:
    (warning,) = sessions_lose_no_write()
    assert warning.id == "engines.W002"
    assert "FileBasedCache" in warning.msg
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    assert sessions_lose_no_write() == []
    settings.SESSION_ENGINE = "cookieproj.engines.db"
    assert sessions_lose_no_write() == []
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    use(settings, LOCMEM)
    assert sessions_lose_no_write() == []


def test_generic_cache_cannot_be_listed(generic_cache: GenericCacheStore) -> None:
    with pytest.raises(NotListableError, match="FileBasedCache"):
        SessionStore.page()


class Full(DummyCache):
    """Stores nothing, without an error."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False


class Broken(DummyCache):
    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("out of order")


def test_save_raises_if_the_cache_stores_nothing(settings: Settings) -> None:
    use(settings, f"{__name__}.Full")
    with pytest.raises(StoreUnavailableError, match="5 new session keys"):
        stored_session(a=1)


def test_cache_error_does_not_end_the_session(settings: Settings) -> None:
    use(settings, f"{__name__}.Broken")
    session = SessionStore("k" * 32)
    with pytest.raises(StoreUnavailableError, match=r"Broken.*out of order"):
        session.load()
    assert not session.is_empty()


@pytest.mark.parametrize("ignore_exceptions", [True, False])
def test_unreachable_redis_raises_even_if_exceptions_are_ignored(
    settings: Settings, ignore_exceptions: bool
) -> None:
    settings.CACHES = caches("redis://user:password@127.0.0.1:1/0")
    settings.CACHES["sessions"]["OPTIONS"]["IGNORE_EXCEPTIONS"] = ignore_exceptions
    for act in (SessionStore("k" * 32).load, SessionStore().create, SessionStore("k" * 32).delete):
        with pytest.raises(StoreUnavailableError) as error:
            act()
        assert error.value.store == "Redis 127.0.0.1:1/1"
        assert "password" not in str(error.value)


def test_undecodable_payload_is_no_session(settings: Settings, redis_url: str) -> None:
    settings.CACHES = caches(f"{redis_url}/9")
    session = stored_session(a=1)
    cache: Any = connections["sessions"]
    client = cache.client.get_client()
    for payload in (b"\x80\x05broken", b"[1, 2]", b"12", b""):
        client.set(cache.make_key(session.cache_key), payload)
        again = SessionStore(session.session_key)
        assert again.load() == {}
        assert again.session_key is None
        session["b"] = 2
        with pytest.raises(UpdateError):
            session.save()


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "filebased.FileBasedCache"])
def test_set_in_another_order_is_no_change(
    settings: Settings, tmp_path: Path, backend: str
) -> None:
    """7 and 15 collide in the hash table of a set, so their order depends on their insertion."""
    use(settings, f"django.core.cache.backends.{backend}", str(tmp_path))
    key = stored_session(seen={7, 15}).session_key
    first, second = SessionStore(key), SessionStore(key)
    first["x"] = 1
    second["seen"] = {7, 15, 1000}
    second.save()
    first.save()
    again = SessionStore(key)
    assert dict(again.items()) == {"seen": {7, 15, 1000}, "x": 1}
    again.cycle_key()
    again.save()
    assert dict(SessionStore(again.session_key).items()) == {"seen": {7, 15, 1000}, "x": 1}
    assert SessionStore(key).load() == {}
