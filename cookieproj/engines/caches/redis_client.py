"""The client of Django's Redis cache, which is kept."""

from typing import Any
from weakref import WeakKeyDictionary

from django.core.cache.backends.redis import RedisCacheClient
from redis import ConnectionPool, Redis

from cookieproj.engines.subclass_hooks import is_djangos_own

METHODS = ("get_client", "_get_connection_pool")
# None stands for what was replaced before this was imported.
DJANGOS_OWN = [
    own if is_djangos_own(own := getattr(RedisCacheClient, name)) else None for name in METHODS
]

# By Django's client of a cache, of which each thread has one.
_kept: WeakKeyDictionary[RedisCacheClient, Redis] = WeakKeyDictionary()


def client_of(cache: Any) -> Any:
    """Return the client of that cache for writing, as ``get_client`` does.

    Django's creates a new one for each command, which takes longer than sending it. A client of
    redis-py holds no connection: it takes one from its pool for each command. So one is kept for
    each thread and pool, unless a subclass or a patch has replaced Django's method.
    """
    cache_client = cache._cache
    if not creates_like_django(cache_client):
        return cache_client.get_client(write=True)
    pool: ConnectionPool = cache_client._get_connection_pool(write=True)
    kept = _kept.get(cache_client)
    if kept is None or kept.connection_pool is not pool or type(kept) is not cache_client._client:
        kept = _kept[cache_client] = cache_client.get_client(write=True)
    return kept


def creates_like_django(cache_client: Any) -> bool:
    """Whether nothing has replaced the methods with which Django creates its client."""
    class_, replaced = type(cache_client), vars(cache_client)
    return all(
        getattr(class_, name) is own and name not in replaced
        for name, own in zip(METHODS, DJANGOS_OWN, strict=True)
    )
