"""The four questions where the store drops sessions to make room for others."""

import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches as connections
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings
from redis import Redis

from cookieproj.engines.benchmark.result_cache import memory
from cookieproj.engines.constants import OUR_ENGINES
from cookieproj.settings.caches import caches
from tests.browsers import again, browser
from tests.servers import StoppableRedis

PAGES = ["/session/", "/recipes/in-path/begin/"]


@pytest.fixture(autouse=True)
def no_probe_is_running() -> None:
    """Wait for the health checks that other tests of this process began: they store sessions."""
    for thread in threading.enumerate():
        if thread.name.startswith("health: "):
            thread.join(60)


@pytest.fixture(autouse=True)
def engine(settings: Settings, db: None) -> None:
    settings.DEBUG = True
    settings.SESSION_ENGINE = f"{OUR_ENGINES}cache"


def end_of_session(path: str = "/session/") -> list[str]:
    memory.clear()
    found: Any = browser().get(path).context["answers"]
    return [text for text in found.end if "full" in text or "MAX_ENTRIES" in text]


def visitors(number: int) -> list[Client]:
    clients = [browser() for _ in range(number)]
    for client in clients:
        client.post("/sessions/set-item/")
    return clients


def is_kept(client: Client) -> bool:
    return b"color is blue" in again(client).get("/sessions/get-item/").content


@pytest.mark.parametrize("path", PAGES)
def test_memory_of_the_process(path: str, settings: Settings) -> None:
    settings.CACHES = caches("locmem://")
    settings.CACHES["sessions"]["OPTIONS"] = {"MAX_ENTRIES": 7}
    [sentence] = end_of_session(path)
    assert sentence.startswith("Before that, when the cache has 7 entries (MAX_ENTRIES): it then")
    assert sentence.endswith("drops 2, those used least recently.")
    # Of other tests in this process.
    connections["sessions"].clear()
    clients = visitors(7)
    assert is_kept(clients[0])
    clients += visitors(1)
    assert [is_kept(client) for client in clients] == [True, False, False] + [True] * 5


@pytest.mark.parametrize("kind", ["db.DatabaseCache", "filebased.FileBasedCache"])
def test_other_caches_with_a_number_of_entries(
    kind: str, settings: Settings, tmp_path: Path
) -> None:
    settings.CACHES = caches("locmem://") | {
        "sessions": {
            "BACKEND": f"django.core.cache.backends.{kind}",
            "LOCATION": str(tmp_path / "a_cache"),
            "OPTIONS": {"MAX_ENTRIES": 7},
        }
    }
    if kind.startswith("db"):
        settings.CACHES["sessions"]["LOCATION"] = "cache_table"
        call_command("createcachetable", verbosity=0)
    [sentence] = end_of_session()
    assert sentence == ("Before that, when the cache has 7 entries (MAX_ENTRIES): it drops some.")
    assert not all(map(is_kept, visitors(9)))


@pytest.mark.parametrize("path", PAGES)
def test_redis_that_drops_entries(path: str, redis: StoppableRedis, settings: Settings) -> None:
    settings.CACHES = caches(f"{redis.url}/0")
    with Redis(port=redis.port) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert end_of_session(path) == []
        client.config_set("maxmemory", "1gb")
        sentence = "it drops entries (maxmemory-policy allkeys-lru)."
        assert end_of_session(path) == [f"Before that, when Redis is full: {sentence}"]
        [visitor] = visitors(1)
        assert is_kept(visitor)
        client.config_set("maxmemory", "1")
        assert not is_kept(visitor)
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "noeviction")
        assert end_of_session(path) == []


def test_redis_that_hides_its_configuration(redis: StoppableRedis, settings: Settings) -> None:
    settings.CACHES = caches(f"{redis.url}/0")
    with Redis(port=redis.port) as client:
        client.acl_setuser("default", enabled=True, nopass=True, commands=["-config"])
    assert end_of_session() == [
        "Perhaps before that, when Redis is full: it hides its configuration."
    ]


def test_memcached(memcached_url: str, settings: Settings) -> None:
    settings.CACHES = caches(memcached_url)
    assert end_of_session() == [
        "Before that, when memcached is full: it drops what was used least recently."
    ]


@pytest.mark.parametrize("engine_name", ["cached_db", "db", "signed_cookies"])
def test_engine_whose_sessions_a_cache_cannot_drop(engine_name: str, settings: Settings) -> None:
    settings.CACHES = caches("locmem://")
    settings.CACHES["sessions"]["OPTIONS"] = {"MAX_ENTRIES": 7}
    settings.SESSION_ENGINE = f"{OUR_ENGINES}{engine_name}"
    assert end_of_session() == []
    assert is_kept(visitors(8)[0])
