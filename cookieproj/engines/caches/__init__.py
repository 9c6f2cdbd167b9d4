"""One store class for each kind of cache, to use its compare and swap, which Django's API lacks."""

import functools
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from cookieproj.engines.subclass_hooks import overrides

from .generic import GenericCacheStore

# The store class for each cache class.
ADAPTERS = {
    "django_redis.cache.RedisCache": "redis.DjangoRedisStore",
    "django.core.cache.backends.redis.RedisCache": "redis.RedisStore",
    "django.core.cache.backends.memcached.PyMemcacheCache": "memcached.MemcachedStore",
    "django.core.cache.backends.locmem.LocMemCache": "memory.MemoryStore",
}
# The clients of a cache (django-redis has several) that store as the classes above expect.
KNOWN_CLIENTS = {
    "builtins.NoneType",
    "django_redis.client.default.DefaultClient",
    "django_redis.client.sentinel.SentinelClient",
}


# The connection factory of a Redis Cluster. The cache and its client are those of one server.
CLUSTER_FACTORY = f"{__name__}.redis_cluster.ClusterConnectionFactory"


def cache_store(session: Any, foreign_prefix: str = "") -> GenericCacheStore:
    """Return the store for that session's engine, in its cache, with the names of its entries.

    ``foreign_prefix`` is the start of keys whose entries belong to another engine.
    """
    engine: type = type(session)
    overrides_names = overrides(engine, "cache_key", "_get_or_create_session_key")
    name_of = (lambda key: session._session_with_key(key).cache_key) if overrides_names else None
    return adapter_for(session._cache, session.cache_key_prefix, name_of, foreign_prefix)


def adapter_for(cache: BaseCache, *naming: Any) -> GenericCacheStore:
    """Return the store for that cache; ``naming`` is passed on to ``GenericCacheStore``."""
    client = getattr(cache, "client", None)
    factory = getattr(client, "connection_factory", None)
    classes: tuple[type, type, type] = type(cache), type(client), type(factory)
    return adapter_class(*classes)(cache, *naming)


@functools.cache
def adapter_class(cache: type, client: type, factory: type) -> type[GenericCacheStore]:
    """Return the store class for those classes of a cache, its client and connection factory.

    A subclass of a known cache may do anything, so it counts as an unknown one.
    """
    adapter = ADAPTERS.get(dotted_path(cache)) if dotted_path(client) in KNOWN_CLIENTS else None
    if adapter and CLUSTER_FACTORY in map(dotted_path, factory.__mro__):
        adapter = "redis_cluster.RedisClusterStore"
    store_class: type[GenericCacheStore] = (
        import_string(f"{__name__}.{adapter}") if adapter else GenericCacheStore
    )
    return store_class


def dotted_path(class_: type[Any]) -> str:
    return f"{class_.__module__}.{class_.__qualname__}"
