"""What each cache offers beyond Django's interface: above all, compare and swap."""

import functools
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from .other import Cache, Naming

HERE = "cookieproj.engines.caches"

# By the cache's class and, of django-redis, the client's: each of those stores in its own way.
KNOWN = {
    ("django_redis.cache.RedisCache", "django_redis.client.default.DefaultClient"): (
        f"{HERE}.redis.DjangoRedis"
    ),
    ("django_redis.cache.RedisCache", "django_redis.client.sentinel.SentinelClient"): (
        f"{HERE}.redis.DjangoRedis"
    ),
    ("django.core.cache.backends.redis.RedisCache", ""): f"{HERE}.redis.Redis",
    ("django.core.cache.backends.memcached.PyMemcacheCache", ""): f"{HERE}.memcached.Memcached",
    ("django.core.cache.backends.locmem.LocMemCache", ""): f"{HERE}.memory.Memory",
}


# For whoever asks of the cache itself.
ANY_NAME = Naming("")


def adapter_for(cache: BaseCache, naming: Naming = ANY_NAME) -> Cache:
    """Sessions in that cache, under those names."""
    client = getattr(cache, "client", None)
    return adapter(path(cache), path(client) if client else "")(cache, naming)


@functools.cache
def adapter(cache: str, client: str) -> type[Cache]:
    """A subclass of a known cache may do anything: it is an unknown one."""
    known = KNOWN.get((cache, client))
    found: type[Cache] = import_string(known) if known else Cache
    return found


def path(instance: Any) -> str:
    return f"{type(instance).__module__}.{type(instance).__qualname__}"
