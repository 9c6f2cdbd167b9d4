"""Sessions in the memory of one process, under the lock that Django's cache has for it."""

import pickle
import time
from collections.abc import Collection
from dataclasses import replace
from functools import partial

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.merge import Data
from cookieproj.engines.stored import Location, Stored
from cookieproj.engines.trips import trip

from .other import NO_KEY, Cache, expiry, grave, is_grave, session_in


class Memory(Cache):
    """The cache keeps pickles; each write is another object, so one is compared by identity."""

    compares_and_swaps = True
    errors = ()

    @property
    def place(self) -> str | Promise:
        return gettext_lazy("memory of this process")

    def get(self, key: str) -> Stored | None:
        try:
            name = self.cache.make_and_validate_key(key)
        except NO_KEY:
            return None
        with trip(), self.cache._lock:
            payload = self._held(name)
            if payload is not None:
                # Read last, evicted last.
                self.cache._cache.move_to_end(name, last=False)
        return None if payload is None else self._stored(payload)

    def add(self, key: str, data: Data, seconds: int) -> Stored | None:
        return self.swap(key, None, data, seconds)

    def swap(self, key: str, base: Stored | None, data: Data, seconds: int) -> Stored | None:
        name = self.cache.make_and_validate_key(key)
        payload = pickle.dumps(data, self.cache.pickle_protocol)
        with trip(), self.cache._lock:
            if self._held(name) is not (base and base.token):
                return None
            self.cache._set(name, payload, seconds)
        return self._stored(payload)

    def touch(self, key: str, base: Stored, seconds: int) -> bool:
        name = self.cache.make_and_validate_key(key)
        with trip(), self.cache._lock:
            if self._held(name) is not base.token:
                return False
            self.cache._expire_info[name] = self.cache.get_backend_timeout(seconds)
            return True

    def take(self, key: str, base: Stored) -> bool:
        name = self.cache.make_and_validate_key(key)
        with trip(), self.cache._lock:
            return self._held(name) is base.token and bool(self.cache._delete(name))

    def inspect(self, key: str) -> Stored | None:
        name = self.cache.make_and_validate_key(key)
        with trip(), self.cache._lock:
            payload = self._held(name)
            moment = self.cache._expire_info.get(name)
        if payload is None:
            return None
        return replace(self._stored(payload), expires=expiry(moment and moment - time.time()))

    def bury(self, key: str) -> None:
        name = self.cache.make_and_validate_key(key)
        with trip(), self.cache._lock:
            self.cache._set(name, *grave())

    def alive(self, keys: Collection[str]) -> set[str]:
        raise self.not_listable

    @property
    def not_listable(self) -> NotListableError:
        return NotListableError(
            _("Sessions in the memory of one process cannot be listed from another.")
        )

    def locate(self, key: str) -> list[Location]:
        name = self.cache.make_and_validate_key(key)
        with trip(), self.cache._lock:
            payload = self._held(name)
            moment = self.cache._expire_info.get(name)
        if payload is None:
            return []
        return [Location(self.place, name, payload, expiry(moment and moment - time.time()))]

    def _held(self, name: str) -> bytes | None:
        payload: bytes | None = self.cache._cache.get(name)
        return None if self.cache._has_expired(name) else payload

    def _stored(self, payload: bytes) -> Stored:
        # Pickles of this very process.
        decode = partial(session_in, pickle.loads, payload)
        return Stored(payload, decode, is_grave=is_grave(payload))
