"""From server to server: the session stays under its key, and the cookie as it is."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from cookieproj.engines.base import Engine
from cookieproj.engines.merge import Data
from cookieproj.engines.stored import Stored

from .carry import carry, end, has_ended, is_copy

if TYPE_CHECKING:
    from cookieproj.engines.cached_db import SessionStore as CachedDBStore


class SameKey(Engine):
    """A session of the new engine, carried over from the old one if only that one has it."""

    _new: type[Engine]
    _old: type[Engine]

    def _load(self) -> Stored | None:
        return self._carried(super()._load())

    def _find(self) -> Stored | None:
        """Where processes of both engines run, the session may have gone back meanwhile."""
        return self._carried(super()._find())

    def _carried(self, stored: Stored | None) -> Stored | None:
        if stored is None or is_copy(stored):
            stored = carry(self._old, self._new, self._key, is_copied=stored is not None)
        return None if stored and has_ended(stored) else stored

    def _rename(self, new_key: str) -> Stored | None:
        key = self._key
        stored = super()._rename(new_key)
        end(self._old, self._new, key)
        if stored and has_ended(stored):
            super()._remove(new_key)
            return None
        return stored

    def _remove(self, session_key: str) -> None:
        end(self._old, self._new, session_key)

    def exists(self, session_key: str) -> bool:
        if super().exists(session_key):
            return not is_ended(self._new(session_key))
        former = self._old(session_key)
        return bool(former.session_key and former.exists(session_key))

    @classmethod
    def alive(cls, keys: Collection[str]) -> set[str]:
        found = super().alive(keys)
        ended = {key for key in found if is_ended(cls._new(key))}
        return (found - ended) | cls._old.alive(set(keys) - found)


def is_ended(session: Engine) -> bool:
    stored = session._read() if session.session_key else None
    return stored is not None and has_ended(stored)


class SameRows(Engine):
    """db and cached_db keep the same rows, so there is nothing to carry.

    But copies in the cache of cached_db would outlive what db changes or ends.
    """

    _new: type[Engine]
    _old: type[Engine]

    def _swap(self, base: Stored, data: Data) -> Stored | None:
        stored = super()._swap(base, data)
        self._bury(self._key)
        return stored

    def _rename(self, new_key: str) -> Stored | None:
        stored = super()._rename(new_key)
        self._bury(self._key)
        return stored

    def _remove(self, session_key: str) -> None:
        super()._remove(session_key)
        self._bury(session_key)

    def _take(self, base: Stored) -> bool:
        taken = super()._take(base)
        self._bury(self._key)
        return taken

    def _bury(self, session_key: str) -> None:
        old: CachedDBStore = self._old(session_key)  # type: ignore[assignment]
        old._bury_copy(old.cache_key_prefix + session_key)
