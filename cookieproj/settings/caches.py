"""The setting CACHES from CACHE_URL: the site's cache, and the cache for the sessions.

The two never share a store that one command empties, so clearing the site's cache signs nobody
out.
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from . import redis
from .store_url import Converters, StoreURL, host_and_port, parse_url
from .values import number, one_of, seconds

Cache = dict[str, Any]
Caches = dict[str, Cache]

# Options of every cache: they decide the names of its entries.
NAMING_OPTIONS: Converters = {"key_prefix": str, "version": number}
MEMCACHED_OPTIONS: Converters = {"connect_timeout": seconds, "timeout": seconds}
SCHEMES = f"{redis.SCHEMES_IN_WORDS}, memcached://"


def caches(url: str) -> Caches:
    """Return CACHES for a URL.

    - ``redis://host:6379/0`` (``rediss`` for TLS) keeps the site's cache in that database, and
      the sessions in the next one or in the one that ``sessions_db`` names. If both are the same
      database, the site's cache is process memory.
    - ``redis+sentinel://host:26379,host:26379/service/0`` does the same on the primary that the
      Sentinels name (``rediss+sentinel`` for TLS to them and to Redis). It never reads from a
      replica: one that lags would not know a new session.
    - ``redis+cluster://host:6379,host:6379`` (``rediss+cluster`` for TLS) keeps the sessions only,
      because a Redis Cluster has one database. The hosts are some of its nodes.
    - ``valkey`` and ``valkeys`` stand for ``redis`` and ``rediss``, for Valkey.
    - ``unix:///run/redis.sock?db=0`` is a Redis on this machine.
    - ``memcached://host:11211,host:11211`` keeps the sessions only, because one ``flush_all``
      empties all of memcached.
    - ``locmem://`` is the memory of this process.

    Raises ImproperlyConfigured for anything else, and for an unknown option.
    """
    try:
        return _caches(parse_url(url))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"CACHE_URL: {error}. It takes {SCHEMES} or locmem://."
        ) from None


def _caches(url: StoreURL) -> Caches:
    match url.scheme:
        case "locmem":
            if url.hosts or url.path.strip("/") or url.credentials:
                raise ValueError("nothing stands after locmem://")
            url.convert_options({})
            return {"default": _memory("default"), "sessions": _memory("sessions")}
        case "memcached":
            return {"default": _memory("default"), "sessions": _memcached(url)}
        case _:
            return _redis_caches(url)


def _redis_caches(url: StoreURL) -> Caches:
    has_databases = redis.kind(url) != redis.CLUSTER
    sessions_db: Converters = {"sessions_db": number} if has_databases else {}
    options = url.convert_options(
        redis.option_converters(url.scheme) | NAMING_OPTIONS | sessions_db
    )
    database = redis.database_number(url, options)
    sessions = options.pop("sessions_db", None if has_databases else database)
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
    """Return the settings of the cache in which the old engine kept its sessions.

    ``redis://host:6379/1?key_prefix=shop&version=2&serializer=pickle``, or another URL that
    CACHE_URL accepts and that names a server. The database is that of the sessions. The options
    are the KEY_PREFIX, VERSION and SERIALIZER that the site had; memcached takes the first two.
    A process that can write to a Redis that is read with pickle can run code here, so pickle is
    never the default.

    Raises ImproperlyConfigured for anything else.
    """
    try:
        return _previous_cache(parse_url(url))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"SESSION_HANDOVER_CACHE: {error}. It takes {SCHEMES}."
        ) from None


def _previous_cache(url: StoreURL) -> Cache:
    if url.scheme == "memcached":
        return _memcached(url)
    serializers = {"serializer": one_of(*SERIALIZERS)}
    options = url.convert_options(
        redis.option_converters(url.scheme) | NAMING_OPTIONS | serializers
    )
    serializer = options.pop("serializer", "json")
    cache = _redis(url, redis.database_number(url, options), options)
    cache["OPTIONS"]["SERIALIZER"] = f"django_redis.serializers.{SERIALIZERS[serializer]}"
    return cache


def _redis(url: StoreURL, database: int, options: dict[str, Any]) -> Cache:
    connection = {name: value for name, value in options.items() if name not in NAMING_OPTIONS}
    return redis.cache(url, database, connection) | _naming_settings(options)


def _memcached(url: StoreURL) -> Cache:
    options = url.convert_options(MEMCACHED_OPTIONS | NAMING_OPTIONS)
    if url.credentials:
        raise ValueError("memcached takes no user name and no password")
    if url.path.strip("/"):
        raise ValueError("memcached has no databases, so nothing stands after its hosts")
    hosts = url.hosts.split(",")
    for host in hosts:
        host_and_port(host)
    timeouts = {name: options[name] for name in MEMCACHED_OPTIONS if name in options}
    return {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": hosts,
        "OPTIONS": {"connect_timeout": 2, "timeout": 2} | timeouts,
    } | _naming_settings(options)


def _naming_settings(options: dict[str, Any]) -> Cache:
    return {name.upper(): options[name] for name in NAMING_OPTIONS if name in options}


def _memory(name: str) -> Cache:
    return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}
