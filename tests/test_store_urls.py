"""DATABASE_URL, CACHE_URL and SESSION_HANDOVER_CACHE: one grammar, on real servers."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.cache import BaseCache
from django.core.cache import caches as connections
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings
from redis import Redis
from redis.cluster import KWARGS_DISABLED_KEYS, REDIS_ALLOWED_KEYS
from redis.exceptions import RedisClusterException, RedisError

from cookieproj.settings.caches import caches, previous_cache
from cookieproj.settings.databases import database
from cookieproj.settings.redis import option_converters

from . import certificates, servers
from .certificates import Issued
from .conftest import start

READERS = [pytest.param(lambda url: caches(url)["sessions"], id="CACHE_URL"), previous_cache]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: the path of a socket may have 107 letters."""
    with tempfile.TemporaryDirectory(prefix="cookieproj-") as name:
        yield Path(name)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Servers of one test alone."""
    with ExitStack() as running:
        yield running


@pytest.fixture
def opened(settings: Settings) -> Callable[..., BaseCache]:
    """The cache that a reader makes of a URL."""

    def opened(cache: dict[str, Any]) -> BaseCache:
        settings.CACHES = {"default": cache}
        return connections["default"]

    return opened


def keeps(cache: BaseCache) -> bool:
    cache.set("color", "blue")
    return bool(cache.get("color") == "blue")


@pytest.fixture
def tls(folder: Path) -> list[Issued]:
    """Of a server and of a client."""
    return certificates.issue(folder, "server", "client")


def of_client(files: Issued) -> dict[str, str]:
    return {
        "ssl_ca_certs": str(files.authority),
        "ssl_certfile": str(files.certificate),
        "ssl_keyfile": str(files.key),
    }


USER = ("--user", "shop", "on", ">pa,ss", "~*", "&*", "+@all")


@pytest.mark.parametrize("read", READERS)
def test_a_client_certificate_opens_a_redis(
    read: Any, folder: Path, running: ExitStack, tls: list[Issued], opened: Any
) -> None:
    server, client = tls
    port = start(running, servers.redis_over_tls(folder, server, *USER))
    place, options = f"rediss://shop:pa%2Css@127.0.0.1:{port}/3", of_client(client)
    assert keeps(opened(read(f"{place}?{urlencode(options)}")))
    bare = {"ssl_ca_certs": options["ssl_ca_certs"]}
    with pytest.raises(RedisError):
        keeps(opened(read(f"{place}?{urlencode(bare)}")))
    untrusted = {name: text for name, text in options.items() if name != "ssl_ca_certs"}
    with pytest.raises(RedisError, match="CERTIFICATE_VERIFY_FAILED"):
        keeps(opened(read(f"{place}?{urlencode(untrusted)}")))
    unchecked = urlencode(untrusted | {"ssl_cert_reqs": "none", "ssl_check_hostname": "off"})
    assert keeps(opened(read(f"{place}?{unchecked}")))


@pytest.mark.parametrize("read", READERS)
def test_sentinels_over_tls_lead_to_a_redis_over_tls(
    read: Any,
    folder: Path,
    running: ExitStack,
    tls: list[Issued],
    opened: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, client = tls
    redis = start(running, servers.redis_over_tls(folder, server, *USER))
    lines = ("requirepass wa/tch",)
    sentinel = start(running, servers.sentinel_over_tls(folder, server, redis, *lines))
    # The client asks a Sentinel again ten times, and waits up to a second before each.
    monkeypatch.setattr("redis.retry.sleep", lambda seconds: None)
    place = f"rediss+sentinel://shop:pa,ss@127.0.0.1:{sentinel}/Primary"
    options = of_client(client) | {"sentinel_password": "wa/tch"}
    assert keeps(opened(read(f"{place}/3?{urlencode(options)}")))
    for dropped in ("ssl_ca_certs", "ssl_certfile ssl_keyfile", "sentinel_password"):
        less = {name: text for name, text in options.items() if name not in dropped.split()}
        # Another database, since django-redis has one pool of connections for each.
        with pytest.raises(RedisError):
            keeps(opened(read(f"{place}/5?{urlencode(less)}")))


@pytest.mark.parametrize("protocol", ["redis", "valkey"])
@pytest.mark.parametrize("read", READERS)
def test_a_cluster_over_tls(
    read: Any, protocol: str, folder: Path, running: ExitStack, tls: list[Issued], opened: Any
) -> None:
    """Of one node, which tells its own address: with a password, and to clients it knows."""
    server, client = tls
    in_cluster = ("--cluster-enabled", "yes", "--tls-cluster", "yes")
    port = start(running, servers.redis_over_tls(folder, server, *USER, *in_cluster))
    certified: dict[str, Any] = {"ssl": True, **of_client(client)}
    with Redis(port=port, username="shop", password="pa,ss", **certified) as node:
        node.execute_command("CLUSTER ADDSLOTS", *range(16_384))
        while node.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            pass
    place, options = f"{protocol}s+cluster://shop:pa,ss@127.0.0.1:{port}", of_client(client)
    assert keeps(opened(read(f"{place}?{urlencode(options)}")))
    bare = urlencode({"ssl_ca_certs": options["ssl_ca_certs"]})
    other_user = place.replace("shop", "other")
    for wrong in (f"{place}?{bare}", f"{other_user}?{urlencode(options)}"):
        with pytest.raises((RedisError, RedisClusterException)):
            keeps(opened(read(wrong)))


@pytest.mark.parametrize("read", READERS)
def test_valkey_is_named_so(read: Any) -> None:
    """django-redis knows the schemes of Redis alone."""
    for scheme, expected in (("valkey", "redis"), ("valkeys", "rediss")):
        cache = read(f"{scheme}://host/1")
        assert cache["LOCATION"].startswith(f"{expected}://host/")
        assert cache["OPTIONS"]["SERVER_NAME"] == "Valkey"
    assert "SERVER_NAME" not in read("redis://host/1")["OPTIONS"]
    assert read("valkeys+sentinel://host/primary/1")["LOCATION"].startswith("redis://primary/")


def test_a_cluster_keeps_the_sessions_alone() -> None:
    """It has one database, which one command empties."""
    made = caches("redis+cluster://one:7000,two,[::1]:7002/0?key_prefix=shop")
    assert "locmem" in made["default"]["BACKEND"]
    sessions = made["sessions"]
    assert sessions["LOCATION"] == "redis://one:7000"
    assert sessions["OPTIONS"]["STARTUP_NODES"] == [("two", 6379), ("::1", 7002)]
    assert sessions["KEY_PREFIX"] == "shop"


def test_no_option_of_a_cluster_is_dropped() -> None:
    """RedisCluster passes on those that it knows, and says nothing of others."""
    known = {*REDIS_ALLOWED_KEYS} - {*KWARGS_DISABLED_KEYS, "retry_on_timeout"}
    assert option_converters("rediss+cluster").keys() == (
        option_converters("rediss").keys() & known
    )


@pytest.mark.parametrize("read", READERS)
def test_a_redis_on_a_socket(read: Any, folder: Path, running: ExitStack, opened: Any) -> None:
    socket = folder / "a,b.sock"
    start(running, servers.redis(folder, "--unixsocket", str(socket), *USER))
    assert keeps(opened(read(f"unix://shop:pa,ss@{socket}?db=3&client_name=site")))
    with pytest.raises(RedisError):
        keeps(opened(read(f"unix://shop:other@{socket}?db=3")))


def test_the_sessions_of_a_socket_have_the_next_database(folder: Path, running: ExitStack) -> None:
    socket = folder / "redis.sock"
    made = caches(f"unix://{socket}?db=3")
    assert [made[alias]["LOCATION"] for alias in ("default", "sessions")] == [
        f"unix://{socket}?db=3",
        f"unix://{socket}?db=4",
    ]


@pytest.mark.parametrize("read", READERS)
def test_two_services_of_one_name_are_two(
    read: Any, folder: Path, running: ExitStack, settings: Settings
) -> None:
    """A site may move from the Redis of one group of Sentinels to that of another."""
    urls = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        redis = start(running, servers.redis(folder / name))
        urls.append(start(running, servers.sentinel(folder / name, redis)))
    settings.CACHES = {
        name: read(f"{url}/1") for name, url in zip(("default", "two"), urls, strict=True)
    }
    connections["default"].set("color", "blue")
    assert connections["two"].get("color") is None


def test_a_redis_with_one_database(folder: Path, running: ExitStack, settings: Settings) -> None:
    url = start(running, servers.redis(folder, "--databases", "1"))
    settings.CACHES = caches(f"{url}/0")
    with pytest.raises(RedisError, match="DB index is out of range"):
        keeps(connections["sessions"])
    settings.CACHES = caches(f"{url}/0?sessions_db=0")
    assert keeps(connections["sessions"])
    assert keeps(connections["default"])
    connections["default"].clear()
    assert connections["sessions"].get("color") == "blue"


def test_after_the_last_database_there_is_none(redis_url: str, settings: Settings) -> None:
    with pytest.raises(ImproperlyConfigured, match="sessions_db=14"):
        caches(f"{redis_url}/15")
    settings.CACHES = caches(f"{redis_url}/15?sessions_db=14")
    assert keeps(connections["sessions"])
    assert keeps(connections["default"])


@pytest.mark.parametrize(
    "place",
    [
        "redis://host/1",
        "rediss://host/1",
        "redis+sentinel://host/primary/1",
        "rediss+sentinel://host/primary/1",
        "redis+cluster://host,other",
        "rediss+cluster://host",
        "valkey://host/1",
        "valkeys://host/1",
        "valkey+cluster://host",
        "unix:///run/redis.sock",
        "memcached://host",
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_names_of_a_cache_are_read_everywhere(read: Any, place: str) -> None:
    cache = read(f"{place}?key_prefix=shop&version=2")
    assert (cache["KEY_PREFIX"], cache["VERSION"]) == ("shop", 2)


@pytest.mark.parametrize(
    "place",
    [
        "redis://host/1",
        "redis+sentinel://host/primary/1",
        "redis+cluster://host",
        "unix:///run/redis.sock",
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_a_default_lies_under_what_is_written(read: Any, place: str) -> None:
    options = read(place)["OPTIONS"]
    assert (options["SOCKET_CONNECT_TIMEOUT"], options["SOCKET_TIMEOUT"]) == (2, 2)
    options = read(f"{place}?socket_timeout=0.5")["OPTIONS"]
    assert (options["SOCKET_CONNECT_TIMEOUT"], options["SOCKET_TIMEOUT"]) == (2, 0.5)


def test_so_do_those_of_memcached() -> None:
    cache = caches("memcached://host?timeout=9")["sessions"]
    assert cache["OPTIONS"] == {"connect_timeout": 2, "timeout": 9}


UNKNOWN = [
    ("redis://host/0", "ssl_certfile=x"),
    ("redis://host/0", "ssl=1"),
    ("redis://host/0", "db=1"),
    ("redis://host/0", "sentinel_password=x"),
    ("rediss://host/0", "ssl_cert_file=x"),
    ("redis+sentinel://host/primary/0", "colour=blue"),
    ("redis+sentinel://host/primary/0", "ssl_certfile=x"),
    ("rediss+sentinel://host/primary/0", "is_master=0"),
    ("redis+cluster://host", "sessions_db=1"),
    ("redis+cluster://host", "health_check_interval=1"),
    ("redis+cluster://host", "ssl_certfile=x"),
    ("rediss+cluster://host", "ssl_ciphers=x"),
    ("valkey://host/0", "ssl_certfile=x"),
    ("unix:///run/redis.sock", "socket_keepalive=on"),
    ("memcached://host", "socket_timeout=2"),
]


@pytest.mark.parametrize(("place", "option"), UNKNOWN)
@pytest.mark.parametrize("read", READERS)
def test_an_option_that_is_not_known_is_refused(read: Any, place: str, option: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(ImproperlyConfigured, match=f"unknown option {name}"):
        read(f"{place}?{option}")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://host/0?socket_timeout=0", "socket_timeout: it takes a number of seconds"),
        ("redis://host/0?socket_timeout=nan", "socket_timeout: it takes a number of seconds"),
        ("redis://host/0?retry_on_timeout=maybe", "retry_on_timeout: 'maybe' is neither"),
        ("redis://host/0?version=1&version=2", "an option stands there twice"),
        ("redis://host/0?version", "options are written name=value"),
        ("redis://host,other/0", "it names several hosts"),
        ("redis+cluster://host,other/1", "a Redis Cluster has only the database 0"),
        ("redis+cluster://host,:7000", "it names no host"),
        ("redis+cluster://host,other:x", "its port is no number"),
        ("redis+cluster://", "it names no host"),
        ("redis://host/0#1", '"#" "%23"'),
        ("rediss://host/0?ssl_cert_reqs=maybe", "ssl_cert_reqs: it takes none, optional or"),
        ("rediss://host/0?ssl_certfile=/nowhere.pem", "ssl_certfile: there is no file"),
        ("rediss://host/0?ssl_ca_path=/nowhere", "ssl_ca_path: there is no folder"),
        ("unix://host/run/redis.sock", "it names no socket"),
        ("unix://", "it names no socket"),
        ("memcached://host/1", "memcached has no databases"),
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_a_value_that_is_none_is_refused(read: Any, url: str, why: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read(url)
    assert why in str(caught.value)


@pytest.mark.parametrize("url", ["locmem://x", "locmem:///x", "locmem://?version=2"])
def test_process_memory_takes_nothing(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="CACHE_URL: "):
        caches(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://host/name", {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}),
        ("postgres://host/name?conn_max_age=0", {"CONN_MAX_AGE": 0}),
        ("postgres://host/name?conn_max_age=None", {"CONN_MAX_AGE": None}),
        ("postgres://host/name?conn_health_checks=false", {"CONN_HEALTH_CHECKS": False}),
        ("mysql://host/name?conn_max_age=0", {"CONN_MAX_AGE": 0}),
        ("sqlite:///file?conn_max_age=9", {"CONN_MAX_AGE": 9}),
        ("sqlite:///file?timeout=5", {}),
    ],
)
def test_what_is_written_of_a_database_wins(url: str, expected: dict[str, Any]) -> None:
    made = database(url)
    assert expected.items() <= made.items()
    if url.startswith("sqlite"):
        assert made["OPTIONS"]["timeout"] == (5 if "timeout" in url else 20)
        assert made["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgres://host/name?colour=blue", "unknown option colour"),
        ("mysql://host/name?sslmode=require", "unknown option sslmode, is it ssl_mode?"),
        ("mysql://host/name?pool=true", "unknown option pool"),
        ("sqlite:///file?colour=blue", "unknown option colour"),
        ("sqlite:///file?transaction_mode=LATER", "transaction_mode: it takes DEFERRED"),
        ("postgres://host/name?conn_max_age=soon", "conn_max_age: it takes a whole number"),
        ("postgres://host/name?pool=some", "pool: 'some' is neither on nor off"),
        ("postgres://host/name?pool=true&conn_max_age=60", "takes no conn_max_age but 0"),
        ("postgres://user:hunter2", '"@" "%40"'),
    ],
)
def test_a_wrong_option_of_a_database_is_refused(url: str, why: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        database(url)
    assert str(caught.value).startswith("DATABASE_URL: ")
    assert why in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_pool_without_its_package_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cookieproj.settings.databases.find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install 'psycopg\[pool\]'"):
        database("postgres://host/name?pool=true")
