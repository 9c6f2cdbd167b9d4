"""Sessions in a cache."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.backends.cache import KEY_PREFIX
from django.contrib.sessions.backends.cache import SessionStore as DjangoStore
from django.contrib.sessions.backends.cached_db import KEY_PREFIX as CACHED_DB_PREFIX
from django.core.cache.backends.base import BaseCache
from django.utils.functional import Promise, cached_property

from .base import Engine
from .caches import beyond
from .caches.other import Cache
from .merge import Data
from .stored import Listed, Location, Page, Stored

# Names of cached_db's entries begin with all of the name of this engine's.
REST = CACHED_DB_PREFIX.removeprefix(KEY_PREFIX)


def is_own(session_key: str) -> bool:
    """Whether it names a session here, and not a copy, or a tombstone, of cached_db's."""
    return not session_key.startswith(REST)


def is_listed(entry: Listed) -> bool:
    return is_own(entry.key) and not entry.stored.is_tombstone


class SessionStore(Engine, DjangoStore):
    """Entries of the cache that SESSION_CACHE_ALIAS names, each with its own time to live.

    What the cache offers decides what can be promised: see the classes in ``caches``.
    """

    _cache: BaseCache

    def _takes(self, session_key: str) -> bool:
        return super()._takes(session_key) and is_own(session_key)

    def _read(self) -> Stored | None:
        return self._entries.get(self.cache_key)

    def _insert(self, data: Data) -> Stored:
        stored = self._entries.add(self.cache_key, data, self._age())
        if stored is None:
            raise CreateError
        return stored

    def _swap(self, base: Stored, data: Data) -> Stored | None:
        return self._entries.swap(self.cache_key, base, data, self._age())

    def _remove(self, session_key: str) -> None:
        self._entries.delete(self.cache_key_prefix + session_key)

    def _take(self, base: Stored) -> bool:
        return self._entries.take(self.cache_key, base)

    def _inspect(self) -> Stored | None:
        return self._entries.inspect(self.cache_key)

    def _form(self, data: Data) -> Data:
        return self._entries.form(data)

    def _put(self, base: Stored, data: Data) -> Stored | None:
        age = self._age()
        put = self._entries.put(self.cache_key, base, data, age)
        # What is past already was gone as soon as it was there.
        return put or (base if age <= 0 else None)

    def exists(self, session_key: Any) -> bool:
        name = f"{self.cache_key_prefix}{session_key}"
        return bool(session_key) and self._entries.exists(name)

    def _age(self) -> int:
        return int(self._half("get_expiry_age")())

    @cached_property
    def _entries(self) -> Cache:
        return beyond(self._cache)

    @classmethod
    def page(cls, position: str = "", size: int = 100) -> Page:
        page = cls()._entries.page(cls.cache_key_prefix, position, size)
        return replace(page, sessions=list(filter(is_listed, page.sessions)))

    @classmethod
    def _alive(cls, keys: Collection[str]) -> set[str]:
        names = {cls.cache_key_prefix + key: key for key in keys}
        return {names[name] for name in cls()._entries.alive(names)}

    @classmethod
    def count(cls) -> int:
        return cls()._entries.count(cls.cache_key_prefix, is_own)

    @classmethod
    def _clear(cls, batch_size: int) -> Iterator[int]:
        """A cache forgets by itself."""
        return iter(())

    @classmethod
    def count_expired(cls) -> int:
        return 0

    def locate(self) -> list[Location]:
        return self._entries.locate(self.cache_key) if self._session_key else []

    @classmethod
    def _place(cls) -> str | Promise:
        return cls()._entries.place

    @classmethod
    def _id(cls) -> str:
        """With how names begin there, with prefix and version as a rule."""
        entries = cls()._entries
        return f"{entries.kind} {entries.cache.make_key(cls.cache_key_prefix)}"
