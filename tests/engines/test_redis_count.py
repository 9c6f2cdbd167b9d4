"""Counting sessions in Redis, and a KEY_FUNCTION that hides the session keys."""

from hashlib import sha256
from typing import Any

import pytest
from django.core.cache import caches as connections
from django.core.management import CommandError, call_command
from pytest_django import Settings

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.cached_db import SessionStore as CachedDBStore
from cookieproj.engines.caches import adapter_for, redis_listing
from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.listing import Estimate

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
CLIENTS = ["django_redis.cache.RedisCache", "django.core.cache.backends.redis.RedisCache"]


def hashed(key: str, prefix: str, version: int) -> str:
    return sha256(f"{prefix}:{version}:{key}".encode()).hexdigest()


def version_last(key: str, prefix: str, version: int) -> str:
    return f"[{prefix}]*:{key}:v{version}"


def hash_first(key: str, prefix: str, version: int) -> str:
    """The name contains the key, but no prefix is common to all names."""
    return f"{hashed(key, prefix, version)[:8]}:{key}"


@pytest.fixture(params=CLIENTS)
def use(request: pytest.FixtureRequest, settings: Settings, redis_url: str) -> Any:
    """Return a function that configures an empty sessions cache with this client."""

    def use(**options: Any) -> None:
        cache = {"BACKEND": request.param, "LOCATION": f"{redis_url}/6", **options}
        settings.CACHES = {"default": LOCMEM, "sessions": cache}
        settings.SESSION_CACHE_ALIAS = "sessions"
        settings.SESSION_ENGINE = "cookieproj.engines.cache"
        connections["sessions"].clear()

    return use


def stored(number: int) -> set[str]:
    keys = set()
    for _ in range(number):
        session = SessionStore()
        session["color"] = "blue"
        session.save()
        keys.add(session.session_key or "")
    return keys


@pytest.mark.parametrize("options", [{}, {"KEY_FUNCTION": version_last}, {"KEY_PREFIX": "a*[b]"}])
def test_count_and_walk_include_own_sessions_only(
    use: Any, db: None, options: dict[str, Any]
) -> None:
    """They leave out copies and tombstones of cached_db, and other cache entries of the site."""
    use(**options)
    keys = stored(3)
    for _ in range(2):
        session = CachedDBStore()
        session["color"] = "red"
        session.save()
    session.delete()
    connections["sessions"].set("page", "html")
    assert SessionStore.count() == 3
    assert not isinstance(SessionStore.count(), Estimate)
    assert {listed.key for listed in SessionStore.walk()} == keys
    assert all(SessionStore(listed.key)["color"] == "blue" for listed in SessionStore.walk())


def test_count_of_many_entries_is_an_estimate(use: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use()
    client = adapter_for(connections["sessions"]).client  # type: ignore[attr-defined]
    name = connections["sessions"].make_key(SessionStore.cache_key_prefix)
    client.mset({f"{name}{number}": "{}" for number in range(4500)})
    client.mset({f"other:{number}": "1" for number in range(1500)})
    assert SessionStore.count() == 4500
    monkeypatch.setattr(redis_listing, "COUNT_SAMPLE_SIZE", 2000)
    commands = client.info("commandstats")
    number = SessionStore.count()
    assert isinstance(number, Estimate)
    # The tolerance is eight standard deviations of such a sample.
    assert abs(number - 4500) < 400
    scans = client.info("commandstats")["cmdstat_scan"]["calls"]
    assert scans - commands["cmdstat_scan"]["calls"] <= 3


@pytest.mark.parametrize("function", [hashed, hash_first])
def test_listing_fails_if_key_function_hides_keys(use: Any, function: Any) -> None:
    use(KEY_FUNCTION=function)
    (key,) = stored(1)
    assert SessionStore(key)["color"] == "blue"
    for listing in (SessionStore.page, SessionStore.count, lambda: list(SessionStore.walk())):
        with pytest.raises(NotListableError, match="KEY_FUNCTION") as error:
            listing()
        assert str(error.value).startswith("Sessions in Redis 127.0.0.1")
    assert SessionStore.alive([key, "0" * 32]) == {key}


def test_movesessions_fails_if_key_function_hides_keys(use: Any, db: None) -> None:
    use(KEY_FUNCTION=hashed)
    (key,) = stored(1)
    with pytest.raises(CommandError, match=r"KEY_FUNCTION.*SESSION_HANDOVER_FROM=cache"):
        call_command("movesessions", "--from=cache", "--to=db")
    assert SessionStore(key)["color"] == "blue"
