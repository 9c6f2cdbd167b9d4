"""What each cache offers, and what is said of one that offers nothing."""

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


def stored(**data: Any) -> SessionStore:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


def two_writes_are_kept(key: str | None) -> tuple[SessionStore, SessionStore]:
    """Of two requests that have both read before either saves; gives the two."""
    one, two = SessionStore(key), SessionStore(key)
    one["b"], two["c"] = 2, 3
    one.save()
    two.save()
    assert dict(SessionStore(key).items()) == {"a": 1, "b": 2, "c": 3}
    return one, two


def test_djangos_own_cache_for_redis_loses_no_write_either(
    settings: Settings, redis_url: str
) -> None:
    cache = use(settings, "django.core.cache.backends.redis.RedisCache", f"{redis_url}/7")
    assert cache.compares_and_swaps
    assert cache.label == f"Redis {redis_url.removeprefix('redis://')}/7"
    key = stored(a=1).session_key
    two_writes_are_kept(key)
    assert key in {listed.key for listed in SessionStore.walk()}


@pytest.mark.parametrize("name", ["cache", "cached_db"])
def test_what_memcached_has_no_room_for(
    settings: Settings, memcached_url: str, db: None, name: str
) -> None:
    """On ``cache`` it is an error, and what was there stays; ``cached_db`` keeps it in its row."""
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


def test_pymemcache_does_not_answer_for_a_server_that_failed(
    settings: Settings, memcached_url: str
) -> None:
    """After a failure it says for a second that nothing is stored, and that all is deleted."""
    settings.CACHES = caches(memcached_url)
    session = stored(a=1)
    clients: Any = connections["sessions"]
    clients = clients._cache
    for client in clients.clients.values():
        clients._mark_failed_server(client.server)
    assert SessionStore(session.session_key)["a"] == 1
    key = str(session.session_key)
    session.flush()
    assert not SessionStore().exists(key)
    # It closes none that it takes for failed.
    for client in clients.clients.values():
        client.close()


def test_a_memcached_that_is_away_is_an_error_each_time(
    settings: Settings, memcached_url: str
) -> None:
    """And no other server is taken for it."""
    settings.CACHES = caches(f"{memcached_url},127.0.0.1:1")
    keys = [f"{number:032}" for number in range(20)]
    seen = []
    for _ in range(4):
        away = 0
        for key in keys:
            try:
                SessionStore(key).load()
            except StoreUnavailableError:
                away += 1
        seen.append(away)
    assert 0 < seen[0] < len(keys)
    assert len(set(seen)) == 1


@pytest.mark.parametrize("url", ["redis_url", "memcached_url"])
def test_ages_need_not_be_whole(
    settings: Settings, url: str, request: pytest.FixtureRequest
) -> None:
    settings.CACHES = caches(request.getfixturevalue(url))
    settings.SESSION_COOKIE_AGE = timedelta(days=7).total_seconds()
    key = stored(a=1).session_key
    session = SessionStore(key)
    session["b"] = 2
    session.save()
    session.save()
    assert dict(SessionStore(key).items()) == {"a": 1, "b": 2}


def test_memory_evicts_last_what_was_read_last(settings: Settings) -> None:
    use(settings, LOCMEM, "small", OPTIONS={"MAX_ENTRIES": 30})
    key = stored(a=1).session_key
    for _ in range(100):
        assert SessionStore(key).get("a") == 1
        stored(b=2)


# django-redis's own: its sharded client warns of what it does itself.
@pytest.mark.filterwarnings("ignore:.* on sharded client")
@pytest.mark.parametrize("client", ["ShardClient", "HerdClient"])
def test_clients_of_django_redis_with_ways_of_their_own_are_left_their_ways(
    settings: Settings, redis_url: str, client: str
) -> None:
    settings.CACHES = caches(f"{redis_url}/11")
    settings.CACHES["sessions"]["OPTIONS"] = {"CLIENT_CLASS": f"django_redis.client.{client}"}
    if client == "ShardClient":
        settings.CACHES["sessions"]["LOCATION"] = [f"{redis_url}/12", f"{redis_url}/13"]
    assert not adapter_for(connections["sessions"]).compares_and_swaps
    theirs = DjangoStore()
    theirs["a"] = 1
    theirs.save()
    session = SessionStore(theirs.session_key)
    session["b"] = 2
    session.save()
    again = SessionStore(session.session_key)
    again.cycle_key()
    again.save()
    assert dict(DjangoStore(again.session_key).items()) == {"a": 1, "b": 2}


def test_redis_behind_sentinel_is_named_by_its_service(
    settings: Settings, sentinel_url: str
) -> None:
    settings.CACHES = caches(f"{sentinel_url}/3")
    key = stored(a=1).session_key
    assert SessionStore(key)["a"] == 1
    assert adapter_for(connections["sessions"]).label == "Redis primary/4"


@pytest.fixture
def other(settings: Settings, tmp_path: Path) -> GenericCacheStore:
    """A cache of which nothing is known."""
    return use(settings, "django.core.cache.backends.filebased.FileBasedCache", str(tmp_path))


def test_another_cache_merges_as_well_as_it_can(other: GenericCacheStore) -> None:
    assert not other.compares_and_swaps
    key = stored(a=1).session_key
    one, two = two_writes_are_kept(key)
    two.cycle_key()
    assert not SessionStore().exists(str(key))
    two.save()
    two.flush()
    with pytest.raises(UpdateError):
        one.save()
    assert one.locate() == []


def test_and_a_check_says_so(other: GenericCacheStore, settings: Settings) -> None:
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


def test_another_cache_cannot_be_listed(other: GenericCacheStore) -> None:
    with pytest.raises(NotListableError, match="FileBasedCache"):
        SessionStore.page()


class Full(DummyCache):
    """Takes nothing, and says nothing."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False


class Broken(DummyCache):
    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("out of order")


def test_a_cache_that_takes_nothing_is_found_out_at_once(settings: Settings) -> None:
    use(settings, f"{__name__}.Full")
    with pytest.raises(StoreUnavailableError, match="5 new session keys"):
        stored(a=1)


def test_a_cache_that_is_out_of_order_is_no_session_that_ended(settings: Settings) -> None:
    use(settings, f"{__name__}.Broken")
    session = SessionStore("k" * 32)
    with pytest.raises(StoreUnavailableError, match=r"Broken.*out of order"):
        session.load()
    assert not session.is_empty()


@pytest.mark.parametrize("ignore", [True, False])
def test_a_redis_that_is_away_is_named_and_its_errors_are_not_ignored(
    settings: Settings, ignore: bool
) -> None:
    settings.CACHES = caches("redis://user:password@127.0.0.1:1/0")
    settings.CACHES["sessions"]["OPTIONS"]["IGNORE_EXCEPTIONS"] = ignore
    for act in (SessionStore("k" * 32).load, SessionStore().create, SessionStore("k" * 32).delete):
        with pytest.raises(StoreUnavailableError) as error:
            act()
        assert error.value.store == "Redis 127.0.0.1:1/1"
        assert "password" not in str(error.value)


def test_what_cannot_be_read_is_no_session(settings: Settings, redis_url: str) -> None:
    settings.CACHES = caches(f"{redis_url}/9")
    session = stored(a=1)
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
def test_a_set_is_the_same_in_any_order(settings: Settings, tmp_path: Path, backend: str) -> None:
    """7 and 15 meet in a set's table: whichever came first stands first, in a copy too."""
    use(settings, f"django.core.cache.backends.{backend}", str(tmp_path))
    key = stored(seen={7, 15}).session_key
    one, two = SessionStore(key), SessionStore(key)
    one["x"] = 1
    two["seen"] = {7, 15, 1000}
    two.save()
    one.save()
    again = SessionStore(key)
    assert dict(again.items()) == {"seen": {7, 15, 1000}, "x": 1}
    again.cycle_key()
    again.save()
    assert dict(SessionStore(again.session_key).items()) == {"seen": {7, 15, 1000}, "x": 1}
    assert SessionStore(key).load() == {}
