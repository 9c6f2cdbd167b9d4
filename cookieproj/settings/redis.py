"""A cache of django-redis for a URL: one Redis, over TLS, a socket, or found by Sentinels."""

from typing import Any
from urllib.parse import quote, unquote, urlencode

from .store_url import Known, StoreURL, address
from .values import file, folder, number, one_of, seconds, switch

SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix")

# Of 16, as many as a Redis has that is not set up otherwise.
LAST_DATABASE = 15

# A silent server is away, and keeps no worker waiting for more than these seconds.
TIMEOUTS = {"socket_connect_timeout": 2, "socket_timeout": 2}

# By the names that redis-py has for them: see its Connection, SSLConnection and ConnectionPool.
CONNECTION: Known = {
    "client_name": str,
    "health_check_interval": number,
    "max_connections": number,
    "protocol": number,
    "retry_on_timeout": switch,
    "socket_connect_timeout": seconds,
    "socket_timeout": seconds,
}
TCP: Known = {"socket_keepalive": switch}
TLS: Known = {
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
# Sentinels have users of their own; those of the URL are Redis's.
SENTINEL: Known = {"sentinel_password": str, "sentinel_username": str}


def known(scheme: str) -> Known:
    """The options of a URL with that scheme. Raises ValueError if it is none of Redis."""
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}")
    if scheme == "unix":
        return {**CONNECTION, "db": number}
    tls = TLS if scheme.startswith("rediss") else {}
    return {**CONNECTION, **TCP, **tls, **(SENTINEL if is_sentinel(scheme) else {})}


def is_sentinel(scheme: str) -> bool:
    return scheme.endswith("+sentinel")


def database(url: StoreURL, options: dict[str, Any]) -> int:
    """Its number: from the path or, where that is a socket's, ``db``, taken out of the options."""
    if url.scheme == "unix":
        found: int = options.pop("db", 0)
        return found
    path = url.path.strip("/")
    try:
        return number((path.partition("/")[2] if is_sentinel(url.scheme) else path) or "0")
    except ValueError as error:
        raise ValueError(f"the Redis database: {error}") from None


def cache(url: StoreURL, database: int, options: dict[str, Any]) -> dict[str, Any]:
    timeouts = TIMEOUTS | {name: options[name] for name in TIMEOUTS if name in options}
    rest = {name: value for name, value in options.items() if name not in TIMEOUTS}
    if is_sentinel(url.scheme):
        location, more = _sentinels(url, database, rest, timeouts)
    else:
        location, more = _server(url, database, rest), {}
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": location,
        "OPTIONS": {
            # Not pickle: whoever can write to Redis must not be able to run code here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            **{name.upper(): value for name, value in timeouts.items()},
            **more,
        },
    }


def _server(url: StoreURL, database: int, options: dict[str, Any]) -> str:
    user = _user(url)
    if url.scheme == "unix":
        if url.hosts or not url.path.strip("/"):
            raise ValueError("it names no socket: unix:///run/redis.sock")
        path = quote(unquote(url.path))
        return f"unix://{user}{path}{_query(options | {'db': database})}"
    if "," in url.hosts:
        raise ValueError("it names several hosts, which only Sentinels and memcached have")
    address(url.hosts)
    return f"{url.scheme}://{user}{url.hosts}/{database}{_query(options)}"


def _sentinels(
    url: StoreURL, database: int, options: dict[str, Any], timeouts: dict[str, float]
) -> tuple[str, dict[str, Any]]:
    service = unquote(url.path.strip("/").partition("/")[0])
    if not service:
        raise ValueError("a Sentinel URL names its service: redis+sentinel://host:26379/service/0")
    tls: dict[str, Any] = {"ssl": True} if url.scheme.startswith("rediss") else {}
    of_both = tls | {name: options[name] for name in TLS if name in options}
    of_sentinels = {
        name.removeprefix("sentinel_"): options[name] for name in SENTINEL if name in options
    }
    # By its name in the query too: as a host's it would be in small letters.
    of_redis = {name: value for name, value in options.items() if name not in SENTINEL}
    query = _query(of_redis | tls | {"service_name": service})
    # django-redis has one pool for each location, whichever Sentinels it asks: by what stands
    # after "#", which nothing else reads, it tells two services of one name apart.
    hosts = quote(url.hosts, safe="")
    return f"redis://{_user(url)}{quote(service, safe='')}/{database}{query}#{hosts}", {
        "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
        "SENTINELS": [(host, port or 26379) for host, port in map(address, url.hosts.split(","))],
        "SENTINEL_KWARGS": timeouts | of_both | of_sentinels,
    }


def _user(url: StoreURL) -> str:
    """User name and password, written so that django-redis does not split them at a comma."""
    if not url.credentials:
        return ""
    parts = url.credentials.partition(":")
    return f"{quote(unquote(parts[0]), safe='')}{parts[1]}{quote(unquote(parts[2]), safe='')}@"


def _query(options: dict[str, Any]) -> str:
    return f"?{urlencode(options)}" if options else ""
