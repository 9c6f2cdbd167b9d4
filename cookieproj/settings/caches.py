"""CACHE_URL taken apart: the site's cache and, beside it, the cache that holds the sessions.

The two never share a store that one command empties, so clearing the site's
cache signs nobody out.
"""

from typing import Any
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlsplit

from django.core.exceptions import ImproperlyConfigured

Caches = dict[str, dict[str, Any]]

# It may hold a password, so nothing of it is repeated.
UNREADABLE = (
    'it cannot be read as a URL; in a user name or password "/" is written "%2F", "?" "%3F", '
    '"#" "%23", "@" "%40", "[" "%5B"'
)


def split(url: str) -> SplitResult:
    """Its parts; none of them is secret then, but what stands before the host.

    Raises ValueError, which repeats nothing, for what cannot be told apart.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(UNREADABLE) from None
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise ValueError(UNREADABLE)
    return parts


def caches(url: str) -> Caches:
    """CACHES for a URL.

    ``redis://host:6379/0`` (``rediss`` for TLS) keeps the site's cache in that
    database and the sessions in the next one. So does
    ``redis+sentinel://host:26379,host:26379/service/0``, always on the primary:
    a replica that lags would not know a session yet.
    ``memcached://host:11211,host:11211`` holds the sessions only, because one
    ``flush_all`` empties all of it. ``locmem://`` is this process's memory.

    Raises ImproperlyConfigured for anything else.
    """
    try:
        parts = split(url)
        match parts.scheme:
            case "redis" | "rediss":
                return _beside(_redis, parts, _database(parts.path))
            case "redis+sentinel":
                return _beside(_sentinel, parts, _database(parts.path[1:].partition("/")[2]))
            case "memcached":
                return {"default": _memory("default"), "sessions": _memcached(parts)}
            case "locmem":
                return {"default": _memory("default"), "sessions": _memory("sessions")}
            case _:
                problem = f"unknown scheme {parts.scheme!r}"
    except ValueError as error:
        problem = str(error)
    raise ImproperlyConfigured(
        f"CACHE_URL: {problem}. It takes redis://, rediss://, redis+sentinel://, "
        "memcached:// or locmem://."
    )


SERIALIZERS = {"json": "json.JSONSerializer", "pickle": "pickle.PickleSerializer"}


def former_cache(url: str) -> dict[str, Any]:
    """The cache in which a site kept its sessions before, read as it was written.

    ``redis://host:6379/1?key_prefix=shop&version=2&serializer=pickle``: the very database,
    and what the site had as KEY_PREFIX, VERSION and SERIALIZER. ``memcached://host:11211``
    takes the first two. Whoever can write to a Redis that is read with pickle can run code
    here, so that is never the default.

    Raises ImproperlyConfigured for anything else.
    """
    try:
        parts = split(url)
        options = dict(
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        )
        bare = parts._replace(query="")
        match parts.scheme:
            case "redis" | "rediss":
                cache = _redis(bare, _database(bare.path))
                cache["OPTIONS"]["SERIALIZER"] = _serializer(options.pop("serializer", "json"))
            case "memcached":
                cache = _memcached(bare)
            case _:
                raise ValueError(f"unknown scheme {parts.scheme!r}")
        cache["KEY_PREFIX"] = options.pop("key_prefix", "")
        cache["VERSION"] = _number("version", options.pop("version", "1"))
        if options:
            raise ValueError(f"unknown {', '.join(options)}")
    except ValueError as error:
        raise ImproperlyConfigured(
            f"SESSION_HANDOVER_CACHE: {error}. It takes redis://host:6379/0 or rediss:// with "
            "key_prefix, version and serializer (json or pickle), or memcached:// with the "
            "first two."
        ) from None
    return cache


def _serializer(name: str) -> str:
    if name not in SERIALIZERS:
        raise ValueError(f"the serializer is json or pickle, not {name!r}")
    return f"django_redis.serializers.{SERIALIZERS[name]}"


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{name} is a number, not {text!r}")
    return int(text)


def _database(text: str) -> int:
    text = text.strip("/")
    return _number("the Redis database", text or "0")


def _beside(make: Any, parts: SplitResult, database: int) -> Caches:
    if "db" in parse_qs(parts.query):
        # It would win over the path, and both were one.
        raise ValueError("the Redis database stands in the path, not in the query")
    return {"default": make(parts, database), "sessions": make(parts, database + 1)}


def _redis(parts: SplitResult, database: int) -> dict[str, Any]:
    _address(parts.netloc)
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": parts._replace(path=f"/{database}").geturl(),
        "OPTIONS": {
            # Not pickle: whoever can write to Redis must not be able to run code here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": 2,
            "SOCKET_TIMEOUT": 2,
        },
    }


def _sentinel(parts: SplitResult, database: int) -> dict[str, Any]:
    service = parts.path.strip("/").partition("/")[0]
    if not service:
        raise ValueError("a Sentinel URL names its service: redis+sentinel://host:26379/service/0")
    credentials, at, hosts = parts.netloc.rpartition("@")
    settings = _redis(SplitResult("redis", f"{credentials}{at}{service}", "", "", ""), database)
    settings["OPTIONS"] |= {
        "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
        "SENTINELS": [(host, port or 26379) for host, port in map(_address, hosts.split(","))],
    }
    return settings


def _address(text: str) -> tuple[str, int | None]:
    """Host and port, if one is named. Raises ValueError now, not in the first request."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("it names no host")
    try:
        port = parts.port
    except ValueError:
        # Not repeated: after a forgotten "@host" it is a password.
        port = 0
    if port == 0:
        raise ValueError("its port is no number from 1 to 65535")
    return parts.hostname, port


def _memcached(parts: SplitResult) -> dict[str, Any]:
    if "@" in parts.netloc:
        raise ValueError("memcached takes no user name and no password")
    hosts = parts.netloc.split(",")
    for host in hosts:
        _address(host)
    return {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": hosts,
        "OPTIONS": {"connect_timeout": 2, "timeout": 2},
    }


def _memory(name: str) -> dict[str, Any]:
    return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}
