"""DATABASE_URL, CACHE_URL and SESSION_HANDOVER_CACHE, with real servers."""

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
    """Not pytest's folder: the path of a socket may have only 107 characters."""
    with tempfile.TemporaryDirectory(prefix="cookieproj-") as name:
        yield Path(name)


@pytest.fixture
def server_stack() -> Iterator[ExitStack]:
    """The servers of a single test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def open_cache(settings: Settings) -> Callable[..., BaseCache]:
    """Opens the cache that a reader returned for a URL."""

    def open_cache(cache: dict[str, Any]) -> BaseCache:
        settings.CACHES = {"default": cache}
        return connections["default"]

    return open_cache


def works(cache: BaseCache) -> bool:
    cache.set("color", "blue")
    return bool(cache.get("color") == "blue")


@pytest.fixture
def tls(folder: Path) -> list[Issued]:
    """The files of a server and of a client."""
    return certificates.issue(folder, "server", "client")


def options_of(files: Issued) -> dict[str, str]:
    return {
        "ssl_ca_certs": str(files.authority),
        "ssl_certfile": str(files.certificate),
        "ssl_keyfile": str(files.key),
    }


USER = ("--user", "shop", "on", ">pa,ss", "~*", "&*", "+@all")


@pytest.mark.parametrize("read", READERS)
def test_redis_over_tls_needs_client_certificate(
    read: Any, folder: Path, server_stack: ExitStack, tls: list[Issued], open_cache: Any
) -> None:
    server, client = tls
    port = start(server_stack, servers.redis_over_tls(folder, server, *USER))
    address, options = f"rediss://shop:pa%2Css@127.0.0.1:{port}/3", options_of(client)
    assert works(open_cache(read(f"{address}?{urlencode(options)}")))
    without_certificate = {"ssl_ca_certs": options["ssl_ca_certs"]}
    with pytest.raises(RedisError):
        works(open_cache(read(f"{address}?{urlencode(without_certificate)}")))
    untrusted = {name: text for name, text in options.items() if name != "ssl_ca_certs"}
    with pytest.raises(RedisError, match="CERTIFICATE_VERIFY_FAILED"):
        works(open_cache(read(f"{address}?{urlencode(untrusted)}")))
    unchecked = urlencode(untrusted | {"ssl_cert_reqs": "none", "ssl_check_hostname": "off"})
    assert works(open_cache(read(f"{address}?{unchecked}")))


@pytest.mark.parametrize("read", READERS)
def test_sentinel_over_tls_names_redis_over_tls(
    read: Any,
    folder: Path,
    server_stack: ExitStack,
    tls: list[Issued],
    open_cache: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, client = tls
    redis = start(server_stack, servers.redis_over_tls(folder, server, *USER))
    lines = ("requirepass wa/tch",)
    sentinel = start(server_stack, servers.sentinel_over_tls(folder, server, redis, *lines))
    # The client retries ten times, and waits up to a second before each retry.
    monkeypatch.setattr("redis.retry.sleep", lambda seconds: None)
    address = f"rediss+sentinel://shop:pa,ss@127.0.0.1:{sentinel}/Primary"
    options = options_of(client) | {"sentinel_password": "wa/tch"}
    assert works(open_cache(read(f"{address}/3?{urlencode(options)}")))
    for missing in ("ssl_ca_certs", "ssl_certfile ssl_keyfile", "sentinel_password"):
        incomplete = {name: text for name, text in options.items() if name not in missing.split()}
        # Another database, since django-redis has a pool of open connections for each.
        with pytest.raises(RedisError):
            works(open_cache(read(f"{address}/5?{urlencode(incomplete)}")))


@pytest.mark.parametrize("protocol", ["redis", "valkey"])
@pytest.mark.parametrize("read", READERS)
def test_cluster_over_tls_needs_user_and_client_certificate(
    read: Any,
    protocol: str,
    folder: Path,
    server_stack: ExitStack,
    tls: list[Issued],
    open_cache: Any,
) -> None:
    """The client uses TLS for the node's announced address too."""
    server, client = tls
    cluster_options = ("--cluster-enabled", "yes", "--tls-cluster", "yes")
    port = start(server_stack, servers.redis_over_tls(folder, server, *USER, *cluster_options))
    options = options_of(client)
    tls_options: dict[str, Any] = {"ssl": True, **options}
    with Redis(port=port, username="shop", password="pa,ss", **tls_options) as node:
        node.execute_command("CLUSTER ADDSLOTS", *range(16_384))
        while node.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            pass
    address = f"{protocol}s+cluster://shop:pa,ss@127.0.0.1:{port}"
    assert works(open_cache(read(f"{address}?{urlencode(options)}")))
    without_certificate = urlencode({"ssl_ca_certs": options["ssl_ca_certs"]})
    other_user = address.replace("shop", "other")
    for refused in (f"{address}?{without_certificate}", f"{other_user}?{urlencode(options)}"):
        with pytest.raises((RedisError, RedisClusterException)):
            works(open_cache(read(refused)))


@pytest.mark.parametrize("read", READERS)
def test_valkey_url_becomes_redis_location(read: Any) -> None:
    """django-redis only has schemes of Redis."""
    for scheme, expected in (("valkey", "redis"), ("valkeys", "rediss")):
        cache = read(f"{scheme}://host/1")
        assert cache["LOCATION"].startswith(f"{expected}://host/")
        assert cache["OPTIONS"]["SERVER_NAME"] == "Valkey"
    assert "SERVER_NAME" not in read("redis://host/1")["OPTIONS"]
    assert read("valkeys+sentinel://host/primary/1")["LOCATION"].startswith("redis://primary/")


def test_cluster_stores_only_sessions() -> None:
    """It has one database, so clearing the site's cache would delete the sessions too."""
    settings = caches("redis+cluster://one:7000,two,[::1]:7002/0?key_prefix=shop")
    assert "locmem" in settings["default"]["BACKEND"]
    sessions = settings["sessions"]
    assert sessions["LOCATION"] == "redis://one:7000"
    assert sessions["OPTIONS"]["STARTUP_NODES"] == [("two", 6379), ("::1", 7002)]
    assert sessions["KEY_PREFIX"] == "shop"


def test_cluster_url_takes_all_options_of_redis_cluster() -> None:
    """RedisCluster silently ignores all others."""
    supported = {*REDIS_ALLOWED_KEYS} - {*KWARGS_DISABLED_KEYS, "retry_on_timeout"}
    assert option_converters("rediss+cluster").keys() == (
        option_converters("rediss").keys() & supported
    )


@pytest.mark.parametrize("read", READERS)
def test_redis_on_a_unix_socket(
    read: Any, folder: Path, server_stack: ExitStack, open_cache: Any
) -> None:
    socket = folder / "a,b.sock"
    start(server_stack, servers.redis(folder, "--unixsocket", str(socket), *USER))
    assert works(open_cache(read(f"unix://shop:pa,ss@{socket}?db=3&client_name=site")))
    with pytest.raises(RedisError):
        works(open_cache(read(f"unix://shop:other@{socket}?db=3")))


def test_sessions_of_unix_socket_are_in_the_next_database(
    folder: Path, server_stack: ExitStack
) -> None:
    socket = folder / "redis.sock"
    settings = caches(f"unix://{socket}?db=3")
    assert [settings[alias]["LOCATION"] for alias in ("default", "sessions")] == [
        f"unix://{socket}?db=3",
        f"unix://{socket}?db=4",
    ]


@pytest.mark.parametrize("read", READERS)
def test_services_with_one_name_at_two_sentinels_are_different(
    read: Any, folder: Path, server_stack: ExitStack, settings: Settings
) -> None:
    """A site may move from the Redis of one group of Sentinels to that of another."""
    urls = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        redis = start(server_stack, servers.redis(folder / name))
        urls.append(start(server_stack, servers.sentinel(folder / name, redis)))
    settings.CACHES = {
        name: read(f"{url}/1") for name, url in zip(("default", "two"), urls, strict=True)
    }
    connections["default"].set("color", "blue")
    assert connections["two"].get("color") is None


def test_redis_with_a_single_database_needs_sessions_db(
    folder: Path, server_stack: ExitStack, settings: Settings
) -> None:
    url = start(server_stack, servers.redis(folder, "--databases", "1"))
    settings.CACHES = caches(f"{url}/0")
    with pytest.raises(RedisError, match="DB index is out of range"):
        works(connections["sessions"])
    settings.CACHES = caches(f"{url}/0?sessions_db=0")
    assert works(connections["sessions"])
    assert works(connections["default"])
    connections["default"].clear()
    assert connections["sessions"].get("color") == "blue"


def test_last_database_needs_sessions_db(redis_url: str, settings: Settings) -> None:
    with pytest.raises(ImproperlyConfigured, match="sessions_db=14"):
        caches(f"{redis_url}/15")
    settings.CACHES = caches(f"{redis_url}/15?sessions_db=14")
    assert works(connections["sessions"])
    assert works(connections["default"])


@pytest.mark.parametrize(
    "address",
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
def test_key_prefix_and_version_are_options_of_every_scheme(read: Any, address: str) -> None:
    cache = read(f"{address}?key_prefix=shop&version=2")
    assert (cache["KEY_PREFIX"], cache["VERSION"]) == ("shop", 2)


@pytest.mark.parametrize(
    "address",
    [
        "redis://host/1",
        "redis+sentinel://host/primary/1",
        "redis+cluster://host",
        "unix:///run/redis.sock",
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_options_in_redis_url_override_default_timeouts(read: Any, address: str) -> None:
    options = read(address)["OPTIONS"]
    assert (options["SOCKET_CONNECT_TIMEOUT"], options["SOCKET_TIMEOUT"]) == (2, 2)
    options = read(f"{address}?socket_timeout=0.5")["OPTIONS"]
    assert (options["SOCKET_CONNECT_TIMEOUT"], options["SOCKET_TIMEOUT"]) == (2, 0.5)


def test_options_in_memcached_url_override_default_timeouts() -> None:
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


@pytest.mark.parametrize(("address", "option"), UNKNOWN)
@pytest.mark.parametrize("read", READERS)
def test_unknown_option_of_a_cache_is_refused(read: Any, address: str, option: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(ImproperlyConfigured, match=f"unknown option {name}"):
        read(f"{address}?{option}")


@pytest.mark.parametrize(
    ("url", "message"),
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
def test_invalid_cache_url_is_refused(read: Any, url: str, message: str) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        read(url)
    assert message in str(error.value)


@pytest.mark.parametrize("url", ["locmem://x", "locmem:///x", "locmem://?version=2"])
def test_locmem_url_takes_no_parameters(url: str) -> None:
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
        ("mariadb://host/name", {"ENGINE": "django.db.backends.mysql", "NAME": "name"}),
        ("sqlite:///file?conn_max_age=9", {"CONN_MAX_AGE": 9}),
        ("sqlite:///file?timeout=5", {}),
    ],
)
def test_options_in_database_url_override_defaults(url: str, expected: dict[str, Any]) -> None:
    settings = database(url)
    assert expected.items() <= settings.items()
    if url.startswith("sqlite"):
        assert settings["OPTIONS"]["timeout"] == (5 if "timeout" in url else 20)
        assert settings["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


@pytest.mark.parametrize(
    ("url", "message"),
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
def test_invalid_database_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        database(url)
    assert str(error.value).startswith("DATABASE_URL: ")
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)


def test_pool_without_its_package_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cookieproj.settings.databases.find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install 'psycopg\[pool\]'"):
        database("postgres://host/name?pool=true")


def test_mariadb_without_a_driver_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cookieproj.settings.databases.find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match="pip install PyMySQL"):
        database("mysql://host/name")
