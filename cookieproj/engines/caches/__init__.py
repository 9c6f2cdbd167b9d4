"""What each cache offers beyond Django's interface: above all, compare and swap."""

import functools
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from cookieproj.engines.hooks import overrides

from .generic import Cache

# By the cache's class; and, of django-redis, the clients that store alike: others have ways of
# their own.
KNOWN = {
    "django_redis.cache.RedisCache": "redis.DjangoRedis",
    "django.core.cache.backends.redis.RedisCache": "redis.Redis",
    "django.core.cache.backends.memcached.PyMemcacheCache": "memcached.Memcached",
    "django.core.cache.backends.locmem.LocMemCache": "memory.Memory",
}
CLIENTS = {
    "builtins.NoneType",
    "django_redis.client.default.DefaultClient",
    "django_redis.client.sentinel.SentinelClient",
}


def entries_of(session: Any, others: str = "") -> Cache:
    """Where that session's engine has its cache, under the names that Django's hooks give."""
    engine: type = type(session)
    has_own_names = overrides(engine, "cache_key", "_get_or_create_session_key")
    name_of = (lambda key: session._at(key).cache_key) if has_own_names else None
    return adapter_for(session._cache, session.cache_key_prefix, name_of, others)


def adapter_for(cache: BaseCache, *naming: Any) -> Cache:
    """Sessions in that cache; see ``Cache`` for their names."""
    kinds: tuple[type, type] = type(cache), type(getattr(cache, "client", None))
    return adapter(*kinds)(cache, *naming)


@functools.cache
def adapter(cache: type, client: type) -> type[Cache]:
    """By their classes. A subclass of a known cache may do anything: it is an unknown one."""
    known = KNOWN.get(path(cache)) if path(client) in CLIENTS else None
    found: type[Cache] = import_string(f"{__name__}.{known}") if known else Cache
    return found


def path(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
