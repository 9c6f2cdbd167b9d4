"""What stores do with sessions besides storing them: in a restart, and when they are full."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore as DjangoCacheEngine
from django.contrib.sessions.backends.db import SessionStore as DjangoDBEngine
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.db import connections, router
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from redis.exceptions import RedisClusterException, RedisError

from cookieproj.engines.caches import adapter_for
from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.caches.memcached import MemcachedStore
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.caches.redis import RedisStore
from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.mongodb import SessionStore as MongoDBEngine

# A policy of Redis that drops nothing: a full Redis refuses to store more.
NO_EVICTION = "noeviction"


class Fate(Enum):
    KEPT = auto()
    ENDED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Restart:
    """What a restart of the site, and one of its store, does to sessions.

    ``store`` names what restarts, with a condition if there is one. It is empty if the store is no
    server of its own. ``text`` is all of it in words.
    """

    of_site: Fate
    of_store: Fate
    store: str
    text: str


def restart(session_class: Any) -> Restart:
    if issubclass(session_class, CookieSession):
        return Restart(Fate.KEPT, Fate.KEPT, "", _("yes: the browser has them"))
    if not issubclass(session_class, DjangoCacheEngine):
        return Restart(
            Fate.KEPT, Fate.KEPT, server_name(session_class), pgettext("survives a restart", "yes")
        )
    match session_cache():
        case MemoryStore():
            text = _("no: they are in this process's memory")
            return Restart(Fate.ENDED, Fate.ENDED, "", text)
        case RedisStore() as redis:
            return restart_of_redis(redis)
    text = _("of the site: yes; of the cache: no")
    return Restart(Fate.KEPT, Fate.ENDED, _("the cache"), text)


def server_name(session_class: Any) -> str:
    """Return the name of the server that an engine without a cache alone stores sessions in."""
    if issubclass(session_class, MongoDBEngine):
        return "MongoDB"
    if not issubclass(session_class, DjangoDBEngine):
        return ""
    alias = router.db_for_write(session_class.get_model_class())
    return "" if connections[alias].vendor == "sqlite" else _("the database")


def session_cache() -> GenericCacheStore:
    return adapter_for(caches[settings.SESSION_CACHE_ALIAS])


def restart_of_redis(redis: RedisStore) -> Restart:
    """Return whether sessions survive a restart of this Redis, by its own configuration."""
    try:
        has_append_only_file = redis.client.config_get("appendonly")["appendonly"] == "yes"
        takes_snapshots = bool(redis.client.config_get("save")["save"])
    except (RedisError, RedisClusterException, KeyError):
        text = _("of the site: yes; of Redis: unknown, as it hides its configuration")
        return Restart(Fate.KEPT, Fate.UNKNOWN, _("Redis, which hides its configuration"), text)
    if has_append_only_file:
        text = _("yes: Redis keeps an append-only file")
        return Restart(Fate.KEPT, Fate.KEPT, "Redis", text)
    if takes_snapshots:
        text = _("of the site: yes; of Redis: up to its last snapshot")
        return Restart(Fate.KEPT, Fate.KEPT, _("Redis, as of its last snapshot"), text)
    text = _("of the site: yes; of Redis: no, as its persistence is off")
    return Restart(Fate.KEPT, Fate.ENDED, "Redis", text)


def ends_when_full(session_class: Any) -> Iterator[str]:
    """Yield a sentence if the store may drop a session before its end to make room for others."""
    if not issubclass(session_class, DjangoCacheEngine):
        return
    cache: Any = caches[settings.SESSION_CACHE_ALIAS]
    match session_cache():
        case RedisStore() as redis:
            yield from ends_when_redis_is_full(redis)
        case MemcachedStore():
            yield _("Before that, when memcached is full: it drops what was used least recently.")
        case MemoryStore():
            number = cache._max_entries
            text = _(
                "Before that, when the cache has %(number)d entries (MAX_ENTRIES): it then drops "
                "%(dropped)d, those used least recently."
            )
            yield text % {"number": number, "dropped": number // (cache._cull_frequency or 1)}
        case _ if isinstance(cache, DatabaseCache | FileBasedCache):
            text = _(
                "Before that, when the cache has %(number)d entries (MAX_ENTRIES): it drops some."
            )
            yield text % {"number": cache._max_entries}
        case _:
            yield _("Perhaps before that: many caches drop entries when they are full.")


def ends_when_redis_is_full(redis: RedisStore) -> Iterator[str]:
    try:
        has_limit = int(redis.client.config_get("maxmemory")["maxmemory"]) > 0
        policy = redis.client.config_get("maxmemory-policy")["maxmemory-policy"]
    except (RedisError, RedisClusterException, KeyError):
        yield _("Perhaps before that, when Redis is full: it hides its configuration.")
        return
    if has_limit and policy != NO_EVICTION:
        yield _(
            "Before that, when Redis is full: it drops entries (maxmemory-policy %(policy)s)."
        ) % {"policy": policy}
