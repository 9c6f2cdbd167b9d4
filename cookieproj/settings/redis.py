"""The django-redis cache for a URL: a Redis or Valkey, one behind Sentinels, or a Redis Cluster."""

from typing import Any
from urllib.parse import quote, unquote, urlencode

from .store_url import Converters, StoreURL, host_and_port
from .values import file, folder, number, one_of, seconds, switch

# By TCP and by TLS.
PROTOCOLS = ("redis", "rediss", "valkey", "valkeys")
TLS_PROTOCOLS = ("rediss", "valkeys")
SENTINEL, CLUSTER = "sentinel", "cluster"
SCHEMES = (
    *(f"{protocol}{suffix}" for suffix in ("", "+sentinel", "+cluster") for protocol in PROTOCOLS),
    "unix",
)
SCHEMES_IN_WORDS = (
    "redis://, rediss://, valkey:// or valkeys://, each also with +sentinel or +cluster, unix://"
)

# A Redis has 16 databases by default.
LAST_DATABASE = 15

# Seconds after which a silent server counts as unreachable, so that no worker waits longer.
DEFAULT_TIMEOUTS = {"socket_connect_timeout": 2, "socket_timeout": 2}

# The names are those of redis-py: see its Connection, SSLConnection and ConnectionPool.
CONNECTION_OPTIONS: Converters = {
    "client_name": str,
    "health_check_interval": number,
    "max_connections": number,
    "protocol": number,
    "retry_on_timeout": switch,
    "socket_connect_timeout": seconds,
    "socket_timeout": seconds,
}
TCP_OPTIONS: Converters = {"socket_keepalive": switch}
TLS_OPTIONS: Converters = {
    "ssl_ca_certs": file,
    "ssl_ca_path": folder,
    "ssl_cert_reqs": one_of("none", "optional", "required"),
    "ssl_certfile": file,
    "ssl_check_hostname": switch,
    "ssl_ciphers": str,
    "ssl_keyfile": file,
    "ssl_min_version": number,
    "ssl_password": str,
}
# The user and password of the Sentinels. Those of Redis stand before the host in the URL.
SENTINEL_OPTIONS: Converters = {"sentinel_password": str, "sentinel_username": str}
# Options that RedisCluster does not pass on to its connections.
NOT_FOR_CLUSTER = ("health_check_interval", "retry_on_timeout", "ssl_ciphers", "ssl_min_version")

CLUSTER_FACTORY = "cookieproj.engines.caches.redis_cluster.ClusterConnectionFactory"


def option_converters(scheme: str) -> Converters:
    """Return the options of a URL with that scheme. Raises ValueError for a scheme not of Redis."""
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}")
    if scheme == "unix":
        return {**CONNECTION_OPTIONS, "db": number}
    protocol, _, kind_of_server = scheme.partition("+")
    tls = TLS_OPTIONS if protocol in TLS_PROTOCOLS else {}
    sentinel = SENTINEL_OPTIONS if kind_of_server == SENTINEL else {}
    options = {**CONNECTION_OPTIONS, **TCP_OPTIONS, **tls, **sentinel}
    unknown = NOT_FOR_CLUSTER if kind_of_server == CLUSTER else ()
    return {name: convert for name, convert in options.items() if name not in unknown}


def kind(url: StoreURL) -> str:
    """Return what the servers are: SENTINEL, CLUSTER, or "" for one server."""
    return url.scheme.partition("+")[2]


def database_number(url: StoreURL, options: dict[str, Any]) -> int:
    """Return the number of the database: the path of the URL.

    For a socket it is the option ``db``, which is removed from ``options``.
    """
    if url.scheme == "unix":
        db: int = options.pop("db", 0)
        return db
    path = url.path.strip("/")
    try:
        database = number((path.partition("/")[2] if kind(url) == SENTINEL else path) or "0")
    except ValueError as error:
        raise ValueError(f"the Redis database: {error}") from None
    if database and kind(url) == CLUSTER:
        raise ValueError("a Redis Cluster has only the database 0")
    return database


def cache(url: StoreURL, database: int, options: dict[str, Any]) -> dict[str, Any]:
    timeouts = DEFAULT_TIMEOUTS | {
        name: options[name] for name in DEFAULT_TIMEOUTS if name in options
    }
    other_options = {name: value for name, value in options.items() if name not in DEFAULT_TIMEOUTS}
    match kind(url):
        case "sentinel":
            location, further = _sentinel_location(url, database, other_options, timeouts)
        case "cluster":
            location, further = _cluster_location(url, other_options)
        case _:
            location, further = _server_location(url, database, other_options), {}
    if url.scheme.startswith("valkey"):
        # The name that our store shows. django-redis only has schemes of Redis.
        further["SERVER_NAME"] = "Valkey"
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": location,
        "OPTIONS": {
            # Not pickle: a process that can write to Redis must not be able to run code here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            **{name.upper(): value for name, value in timeouts.items()},
            **further,
        },
    }


def _scheme(url: StoreURL) -> str:
    return "rediss" if url.scheme.partition("+")[0] in TLS_PROTOCOLS else "redis"


def _server_location(url: StoreURL, database: int, options: dict[str, Any]) -> str:
    credentials = _credentials(url)
    if url.scheme == "unix":
        if url.hosts or not url.path.strip("/"):
            raise ValueError("it names no socket: unix:///run/redis.sock")
        path = quote(unquote(url.path))
        return f"unix://{credentials}{path}{_query(options | {'db': database})}"
    if "," in url.hosts:
        raise ValueError("it names several hosts: redis+sentinel:// or redis+cluster:// takes them")
    host_and_port(url.hosts)
    return f"{_scheme(url)}://{credentials}{url.hosts}/{database}{_query(options)}"


def _sentinel_location(
    url: StoreURL, database: int, options: dict[str, Any], timeouts: dict[str, float]
) -> tuple[str, dict[str, Any]]:
    """Return the cache's LOCATION and the further OPTIONS for a Redis that Sentinels find."""
    service = unquote(url.path.strip("/").partition("/")[0])
    if not service:
        raise ValueError("a Sentinel URL names its service: redis+sentinel://host:26379/service/0")
    tls: dict[str, Any] = {"ssl": True} if _scheme(url) == "rediss" else {}
    tls_options = tls | {name: options[name] for name in TLS_OPTIONS if name in options}
    sentinel_options = {
        name.removeprefix("sentinel_"): options[name]
        for name in SENTINEL_OPTIONS
        if name in options
    }
    # The query names the service as well, because a host name loses its capital letters.
    redis_options = {name: value for name, value in options.items() if name not in SENTINEL_OPTIONS}
    query = _query(redis_options | tls | {"service_name": service})
    # django-redis keeps one connection pool per location, whichever Sentinels it asks. The hosts
    # after "#", which nothing else reads, separate two services of the same name.
    hosts = quote(url.hosts, safe="")
    return f"redis://{_credentials(url)}{quote(service, safe='')}/{database}{query}#{hosts}", {
        "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
        "SENTINELS": [
            (host, port or 26379) for host, port in map(host_and_port, url.hosts.split(","))
        ],
        "SENTINEL_KWARGS": timeouts | tls_options | sentinel_options,
    }


def _cluster_location(url: StoreURL, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the cache's LOCATION, the first node, and the further OPTIONS for a Redis Cluster."""
    first, *others = url.hosts.split(",")
    host_and_port(first)
    nodes = [(host, port or 6379) for host, port in map(host_and_port, others)]
    location = f"{_scheme(url)}://{_credentials(url)}{first}{_query(options)}"
    return location, {"CONNECTION_FACTORY": CLUSTER_FACTORY, "STARTUP_NODES": nodes}


def _credentials(url: StoreURL) -> str:
    """Return user name and password for a location; "" for none.

    A comma in them is encoded, because django-redis splits locations at commas.
    """
    if not url.credentials:
        return ""
    user, colon, password = url.credentials.partition(":")
    return f"{quote(unquote(user), safe='')}{colon}{quote(unquote(password), safe='')}@"


def _query(options: dict[str, Any]) -> str:
    return f"?{urlencode(options)}" if options else ""
