"""What each cache offers beyond Django's interface: above all, compare and swap."""

import functools

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from .other import Cache

HERE = "cookieproj.engines.caches"

KNOWN = {
    "django_redis.cache.RedisCache": f"{HERE}.redis.DjangoRedis",
    "django.core.cache.backends.redis.RedisCache": f"{HERE}.redis.Redis",
    "django.core.cache.backends.memcached.PyMemcacheCache": f"{HERE}.memcached.Memcached",
    "django.core.cache.backends.locmem.LocMemCache": f"{HERE}.memory.Memory",
}


def beyond(cache: BaseCache) -> Cache:
    """What sessions use of that cache."""
    return adapter(f"{type(cache).__module__}.{type(cache).__qualname__}")(cache)


@functools.cache
def adapter(path: str) -> type[Cache]:
    """A subclass of a known cache may do anything: it is an unknown one."""
    return import_string(KNOWN[path]) if path in KNOWN else Cache
