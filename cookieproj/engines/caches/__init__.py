"""What each cache offers beyond Django's interface: above all, compare and swap."""

import functools
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from .other import Cache, Naming

HERE = "cookieproj.engines.caches"
NO_CLIENT = "builtins.NoneType"

# By the cache's class and, of django-redis, the client's: each of those stores in its own way.
KNOWN = {
    ("django_redis.cache.RedisCache", "django_redis.client.default.DefaultClient"): (
        f"{HERE}.redis.DjangoRedis"
    ),
    ("django_redis.cache.RedisCache", "django_redis.client.sentinel.SentinelClient"): (
        f"{HERE}.redis.DjangoRedis"
    ),
    ("django.core.cache.backends.redis.RedisCache", NO_CLIENT): f"{HERE}.redis.Redis",
    (
        "django.core.cache.backends.memcached.PyMemcacheCache",
        NO_CLIENT,
    ): f"{HERE}.memcached.Memcached",
    ("django.core.cache.backends.locmem.LocMemCache", NO_CLIENT): f"{HERE}.memory.Memory",
}


# For whoever asks of the cache itself.
ANY_NAME = Naming("")


def adapter_for(cache: BaseCache, naming: Naming = ANY_NAME) -> Cache:
    """Sessions in that cache, under those names."""
    kinds: tuple[type, type] = type(cache), type(getattr(cache, "client", None))
    return adapter(*kinds)(cache, naming)


@functools.cache
def adapter(cache: type, client: type) -> type[Cache]:
    """By their classes. A subclass of a known cache may do anything: it is an unknown one."""
    known = KNOWN.get((path(cache), path(client)))
    found: type[Cache] = import_string(known) if known else Cache
    return found


def path(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
