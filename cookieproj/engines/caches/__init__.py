"""What each cache offers beyond Django's interface: above all, compare and swap."""

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from .other import Cache

HERE = "cookieproj.engines.caches"

KNOWN = {
    "django_redis.cache.RedisCache": f"{HERE}.redis.DjangoRedis",
    "django.core.cache.backends.redis.RedisCache": f"{HERE}.redis.Redis",
    "django.core.cache.backends.memcached.PyMemcacheCache": (f"{HERE}.memcached.Memcached"),
    "django.core.cache.backends.locmem.LocMemCache": f"{HERE}.memory.Memory",
}


def beyond(cache: BaseCache) -> Cache:
    """What sessions use of that cache. A subclass of a known one may do anything: it is unknown."""
    known = KNOWN.get(f"{type(cache).__module__}.{type(cache).__qualname__}")
    adapter: type[Cache] = import_string(known) if known else Cache
    return adapter(cache)
