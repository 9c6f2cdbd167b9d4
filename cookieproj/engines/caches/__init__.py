"""What each cache offers beyond Django's interface: above all, compare and swap."""

import functools
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from cookieproj.engines.subclass_hooks import overrides

from .generic import GenericCacheStore

# By the cache's class; and, of django-redis, the clients that store alike: others have ways of
# their own.
ADAPTERS = {
    "django_redis.cache.RedisCache": "redis.DjangoRedisStore",
    "django.core.cache.backends.redis.RedisCache": "redis.RedisStore",
    "django.core.cache.backends.memcached.PyMemcacheCache": "memcached.MemcachedStore",
    "django.core.cache.backends.locmem.LocMemCache": "memory.MemoryStore",
}
KNOWN_CLIENTS = {
    "builtins.NoneType",
    "django_redis.client.default.DefaultClient",
    "django_redis.client.sentinel.SentinelClient",
}


def cache_store(session: Any, others: str = "") -> GenericCacheStore:
    """Where that session's engine has its cache, under the names that Django's hooks give."""
    engine: type = type(session)
    has_own_names = overrides(engine, "cache_key", "_get_or_create_session_key")
    name_of = (lambda key: session._session_with_key(key).cache_key) if has_own_names else None
    return adapter_for(session._cache, session.cache_key_prefix, name_of, others)


def adapter_for(cache: BaseCache, *naming: Any) -> GenericCacheStore:
    """Sessions in that cache; see ``GenericCacheStore`` for their names."""
    kinds: tuple[type, type] = type(cache), type(getattr(cache, "client", None))
    return adapter_class(*kinds)(cache, *naming)


@functools.cache
def adapter_class(cache: type, client: type) -> type[GenericCacheStore]:
    """By their classes. A subclass of a known cache may do anything: it is an unknown one."""
    known = ADAPTERS.get(dotted_path(cache)) if dotted_path(client) in KNOWN_CLIENTS else None
    found: type[GenericCacheStore] = (
        import_string(f"{__name__}.{known}") if known else GenericCacheStore
    )
    return found


def dotted_path(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
