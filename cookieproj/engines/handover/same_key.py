"""From server to server: the session stays under its key, and the cookie as it is."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from cookieproj.engines.base import Engine
from cookieproj.engines.caches.other import GRAVE_SECONDS
from cookieproj.engines.constants import COPY, ENDED
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.merge import Data
from cookieproj.engines.stored import Stored

from .carry import carry, end, end_former, is_own, refuse_event_loop
from .copies import unmarked

if TYPE_CHECKING:
    from cookieproj.engines.cached_db import SessionStore as CachedDBStore


class SameKey(Engine):
    """A session of the new engine, carried over from the old one if only that one has it."""

    _new: type[Engine]
    _old: type[Engine]

    def _load(self) -> Stored | None:
        return self._found(super()._load())

    def _find(self) -> Stored | None:
        """Where processes of both engines run, the session may have gone back meanwhile."""
        return self._found(super()._find())

    def _found(self, stored: Stored | None) -> Stored | None:
        if not is_own(stored, self._old):
            stored = carry(self._old, self._new, self._key, is_taken=stored is not None)
        return None if stored is None else without_mark(stored)

    def _take(self, base: Stored) -> bool:
        """In both stores; a tombstone takes its place, for requests that have read it.

        The old one only then: has a process of its engine carried it back, it goes on there.
        """
        refuse_event_loop(self._old)
        self._until = timezone.now() + timedelta(seconds=GRAVE_SECONDS)
        if self._swap(base, ENDED) is None:
            return False
        self._end_in_former(base.data)
        return True

    def _end_in_former(self, data: Data | None) -> None:
        end_former(self._old, self._new(self._key), self._key, data)

    def _remove(self, session_key: str) -> None:
        end(self._old, self._new, session_key)

    def exists(self, session_key: str) -> bool:
        if super().exists(session_key):
            return True
        former = self._old(session_key)
        is_there = bool(former.session_key and former.exists(session_key))
        return is_there and not is_ended(self._new(session_key))

    @classmethod
    def alive(cls, keys: Collection[str]) -> set[str]:
        found = super().alive(keys)
        former = cls._old.alive(set(keys) - found)
        return found | {key for key in former if not is_ended(cls._new(key))}


def without_mark(stored: Stored) -> Stored:
    """What tells it from a copy is nothing to a view."""
    if COPY not in (stored.data or {}):
        return stored
    return replace(stored, content=lambda: unmarked(stored.decode() or {}))


def is_ended(session: Engine) -> bool:
    stored = session._read() if session.session_key else None
    return stored is not None and stored.has_ended


class FromCachedRows(Engine):
    """db after cached_db: they keep the same rows, so there is nothing to carry.

    But copies in the cache would outlive what db changes or ends.
    """

    _old: type[Engine]

    def _swap(self, base: Stored, data: Data) -> Stored | None:
        stored = super()._swap(base, data)
        self._bury(self._key)
        return stored

    def _take(self, base: Stored) -> bool:
        taken = super()._take(base)
        if taken:
            self._bury(self._key)
        return taken

    def _remove(self, session_key: str) -> None:
        super()._remove(session_key)
        self._bury(session_key)

    def _end_in_former(self, data: Data | None) -> None:
        self._bury(self._key)

    def _bury(self, session_key: str) -> None:
        old: CachedDBStore = self._old(session_key)  # type: ignore[assignment]
        # What an outage has left; while it lasts, one more is noted.
        with suppress(StoreError):
            old._settle()
        old._bury_copy(old.cache_key_prefix + session_key)


class FromRows(Engine):
    """cached_db after db: a copy in the cache may be older than the row, so the row is read."""

    def _load(self) -> Stored | None:
        return self._read()
