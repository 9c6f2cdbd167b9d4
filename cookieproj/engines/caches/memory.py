"""Sessions in the memory of one process (LocMemCache), under that cache's lock."""

import pickle
import time
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.entries import Entry, Location
from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.merge import Data
from cookieproj.engines.round_trips import round_trip
from cookieproj.engines.validation import decode_valid

from .generic import (
    INVALID_KEY,
    GenericCacheStore,
    expiry_from_ttl,
    is_cache_tombstone,
    new_tombstone,
    no_data,
    seconds_until,
)


class MemoryStore(GenericCacheStore):
    """The token is the pickle in the cache. Each write makes a new object, compared by identity."""

    compares_and_swaps = True
    errors = ()

    @property
    def label(self) -> str | Promise:
        return gettext_lazy("memory of this process")

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        try:
            name = self.name(key)
        except INVALID_KEY:
            return None
        with round_trip(), self.cache._lock:
            payload = self._payload(name)
            expiry = self.cache._expire_info.get(name)
            if payload is not None:
                # The cache evicts the least recently used entry.
                self.cache._cache.move_to_end(name, last=False)
        if payload is None:
            return None
        entry = self._entry(payload)
        return replace(entry, expires=expiry_from_ttl(expiry and expiry - time.time()))

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        entry = self._swap(key, None, data, expires)
        if entry is None:
            raise CreateError
        return entry

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        return self._swap(key, old.token, data, expires)

    def _swap(self, key: str, token: Any, data: Data, expires: datetime) -> Entry | None:
        name = self.name(key)
        payload = pickle.dumps(data, self.cache.pickle_protocol)
        with round_trip(), self.cache._lock:
            if self._payload(name) is not token:
                return None
            self.cache._set(name, payload, seconds_until(expires))
        return self._entry(payload)

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        name = self.name(key)
        with round_trip(), self.cache._lock:
            if self._payload(name) is not old.token:
                return None
            expiry = self.cache.get_backend_timeout(seconds_until(expires))
            self.cache._expire_info[name] = expiry
            return old

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        name = self.name(key)
        with round_trip(), self.cache._lock:
            return self._payload(name) is old.token and bool(self.cache._delete(name))

    def write_tombstone(self, key: str) -> None:
        name = self.name(key)
        with round_trip(), self.cache._lock:
            self.cache._set(name, *new_tombstone())

    def live_keys(self, keys: Collection[str]) -> set[str]:
        raise self.not_listable

    @property
    def not_listable(self) -> NotListableError:
        return NotListableError(
            _("Sessions in the memory of one process cannot be listed from another.")
        )

    def locate(self, key: str) -> list[Location]:
        entry = self.read(key, with_expiry=True)
        if entry is None:
            return []
        return [Location(self.label, self.name(key), entry.token, entry.expires)]

    def _payload(self, name: str) -> bytes | None:
        payload: bytes | None = self.cache._cache.get(name)
        return None if self.cache._has_expired(name) else payload

    def _entry(self, payload: bytes) -> Entry:
        if is_cache_tombstone(payload):
            return Entry(payload, no_data, is_cache_tombstone=True)
        # Unpickling is safe here: this very process has written the pickles.
        return Entry(payload, partial(decode_valid, pickle.loads, payload))
