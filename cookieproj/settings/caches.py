"""CACHE_URL taken apart: the site's cache and, beside it, the cache that holds the sessions.

The two never share a store that one command empties, so clearing the site's
cache signs nobody out.
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from . import redis
from .store_url import Known, StoreURL, address, read
from .values import number, one_of, seconds

Cache = dict[str, Any]
Caches = dict[str, Cache]

# What each of our caches takes, whatever holds it.
NAMES: Known = {"key_prefix": str, "version": number}
MEMCACHED: Known = {"connect_timeout": seconds, "timeout": seconds}
SCHEMES = f"{', '.join(f'{scheme}://' for scheme in redis.SCHEMES)}, memcached://"


def caches(url: str) -> Caches:
    """CACHES for a URL.

    ``redis://host:6379/0`` (``rediss`` for TLS) keeps the site's cache in that
    database and the sessions in the next one, or in the one that ``sessions_db`` names;
    is that the same, the site's cache is process memory. So does
    ``redis+sentinel://host:26379,host:26379/service/0`` (``rediss+sentinel`` for TLS to
    the Sentinels and to Redis), always on the primary: a replica that lags would not know
    a session yet. ``unix:///run/redis.sock?db=0`` is a Redis on this machine.
    ``memcached://host:11211,host:11211`` holds the sessions only, because one
    ``flush_all`` empties all of it. ``locmem://`` is this process's memory.

    Raises ImproperlyConfigured for anything else, and for an option that it does not know.
    """
    try:
        return _caches(read(url))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"CACHE_URL: {error}. It takes {SCHEMES} or locmem://."
        ) from None


def _caches(url: StoreURL) -> Caches:
    match url.scheme:
        case "locmem":
            if url.hosts or url.path.strip("/") or url.credentials:
                raise ValueError("nothing stands after locmem://")
            url.choose({})
            return {"default": _memory("default"), "sessions": _memory("sessions")}
        case "memcached":
            return {"default": _memory("default"), "sessions": _memcached(url)}
        case _:
            return _beside(url)


def _beside(url: StoreURL) -> Caches:
    options = url.choose(redis.known(url.scheme) | NAMES | {"sessions_db": number})
    database = redis.database(url, options)
    sessions = options.pop("sessions_db", None)
    if sessions is None and database == redis.LAST_DATABASE:
        raise ValueError(
            f"a Redis that is not set up otherwise has no database after {database}; name that "
            "of the sessions: sessions_db=14"
        )
    if sessions is None:
        sessions = database + 1
    site = _memory("default") if sessions == database else _redis(url, database, options)
    return {"default": site, "sessions": _redis(url, sessions, options)}


SERIALIZERS = {"json": "json.JSONSerializer", "pickle": "pickle.PickleSerializer"}


def previous_cache(url: str) -> Cache:
    """The cache in which a site kept its sessions before, read as it was written.

    ``redis://host:6379/1?key_prefix=shop&version=2&serializer=pickle``, or any other URL of
    CACHE_URL that names a server: the very database, and what the site had as KEY_PREFIX,
    VERSION and SERIALIZER. ``memcached://host:11211`` takes the first two. Whoever can
    write to a Redis that is read with pickle can run code here, so that is never the default.

    Raises ImproperlyConfigured for anything else.
    """
    try:
        return _former_cache(read(url))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"SESSION_HANDOVER_CACHE: {error}. It takes {SCHEMES}."
        ) from None


def _former_cache(url: StoreURL) -> Cache:
    if url.scheme == "memcached":
        return _memcached(url)
    serializers = {"serializer": one_of(*SERIALIZERS)}
    options = url.choose(redis.known(url.scheme) | NAMES | serializers)
    serializer = options.pop("serializer", "json")
    cache = _redis(url, redis.database(url, options), options)
    cache["OPTIONS"]["SERIALIZER"] = f"django_redis.serializers.{SERIALIZERS[serializer]}"
    return cache


def _redis(url: StoreURL, database: int, options: dict[str, Any]) -> Cache:
    connection = {name: value for name, value in options.items() if name not in NAMES}
    return redis.cache(url, database, connection) | _named(options)


def _memcached(url: StoreURL) -> Cache:
    options = url.choose(MEMCACHED | NAMES)
    if url.credentials:
        raise ValueError("memcached takes no user name and no password")
    if url.path.strip("/"):
        raise ValueError("memcached has no databases, so nothing stands after its hosts")
    hosts = url.hosts.split(",")
    for host in hosts:
        address(host)
    timeouts = {name: options[name] for name in MEMCACHED if name in options}
    return {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": hosts,
        "OPTIONS": {"connect_timeout": 2, "timeout": 2} | timeouts,
    } | _named(options)


def _named(options: dict[str, Any]) -> Cache:
    return {name.upper(): options[name] for name in NAMES if name in options}


def _memory(name: str) -> Cache:
    return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}
