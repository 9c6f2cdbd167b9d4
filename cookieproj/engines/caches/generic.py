"""Sessions in any cache, through Django's interface alone."""

import copy
import math
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from django.core.cache.backends.base import BaseCache, CacheKeyWarning, InvalidCacheKey
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.functional import Promise

from cookieproj.engines.clock import as_django_stores, from_now, time_until
from cookieproj.engines.constants import TOMBSTONE_MARK
from cookieproj.engines.entries import Entry
from cookieproj.engines.exceptions import StoreError, StoreUnavailableError
from cookieproj.engines.merge import Data, stored_alike
from cookieproj.engines.round_trips import StoreCall
from cookieproj.engines.store import Store
from cookieproj.engines.validation import decode_valid


def seconds_until(moment: datetime) -> int:
    """Return the time until then in whole seconds, rounded up, so that no session expires early."""
    return math.ceil(time_until(moment).total_seconds())


# The cache cannot have an entry of that name. The warning is an error if a site turns it into one.
INVALID_KEY = (InvalidCacheKey, CacheKeyWarning)

# Errors that do not mean that the cache has failed.
NOT_STORE_ERRORS = (CreateError, SynchronousOnlyOperation, *INVALID_KEY)

# Seconds. Longer than any request that has read the entry before the tombstone replaced it.
TOMBSTONE_TTL = 300


def new_tombstone() -> tuple[bytes, int]:
    """Return the bytes of a new tombstone, unlike those of any other, and its seconds to live."""
    return TOMBSTONE_MARK + secrets.token_bytes(16), TOMBSTONE_TTL


def expiry_from_ttl(seconds_to_live: float | None) -> datetime | None:
    """Return the moment at which an entry with so many seconds to live expires; None for never."""
    if seconds_to_live is None:
        return None
    return as_django_stores(from_now(seconds_to_live))


def no_data() -> None:
    """Return None, the data of a tombstone and of an entry that cannot be read."""


def is_cache_tombstone(payload: bytes) -> bool:
    return payload.startswith(TOMBSTONE_MARK)


class GenericCacheStore(Store):
    """Sessions in a cache that cannot compare and swap.

    It compares the stored value just before it replaces it, so one of two concurrent saves can
    still be lost, whatever keys they change. The subclasses lose none.

    An entry's name is the session key after ``prefix``, or what ``name_of`` returns for the key, if
    a subclass of the engine decides that. A key that begins with ``foreign_prefix`` is not a
    session of this store. For a name that the cache cannot have, nothing is ever stored.
    """

    compares_and_swaps = False

    # What the client raises if the server fails: of an unknown client, anything.
    errors: tuple[type[Exception], ...] = (Exception,)

    def __init__(
        self,
        cache: BaseCache,
        prefix: str = "",
        name_of: Callable[[str], str] | None = None,
        foreign_prefix: str = "",
    ) -> None:
        self.cache: Any = cache
        self.prefix = prefix
        self.name_of = name_of or prefix.__add__
        self.foreign_prefix = foreign_prefix

    @property
    def serialized_empty(self) -> bytes | None:
        """The stored form of no data, which identifies a serializer; None if there is no choice."""
        return None

    @property
    def default_id(self) -> str:
        """The kind of cache and the start of its names, as a rule prefix and version."""
        return f"{self.kind} {self.cache.make_key(self.prefix)}"

    @property
    def label(self) -> str | Promise:
        """As a rule, the server."""
        return self.kind

    @property
    def kind(self) -> str:
        """The kind of cache, the same for all clients of one server."""
        return f"{type(self.cache).__module__}.{type(self.cache).__qualname__}"

    @property
    def detour(self) -> str | Promise:
        """Why this cache takes more round trips than necessary, once that is known; else empty."""
        return ""

    def store_error(self, error: Exception) -> StoreError:
        """Return the StoreError that this error of the client means."""
        return StoreUnavailableError(self.label, error)

    def store_call(self) -> StoreCall:
        """Return the context manager for one call of the cache."""
        return StoreCall(self._raise_store_error)

    def _raise_store_error(self, error: BaseException) -> None:
        if isinstance(error, self.errors) and not isinstance(error, NOT_STORE_ERRORS):
            raise self.store_error(error) from error

    def name(self, key: str) -> str:
        """Return the cache's own name for the entry. Raises one of INVALID_KEY if not allowed."""
        name: str = self.cache.make_and_validate_key(self.name_of(key))
        return name

    def can_hold(self, key: str) -> bool:
        return super().can_hold(key) and self.is_own(key)

    def is_own(self, key: str) -> bool:
        return not (self.foreign_prefix and key.startswith(self.foreign_prefix))

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        value = self._value(key)
        return None if value is None else self._entry(value)

    def _value(self, key: str) -> Any:
        with suppress(*INVALID_KEY), self.store_call():
            return self.cache.get(self.name_of(key))
        return None

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        with suppress(*INVALID_KEY), self.store_call():
            if self.cache.add(self.name_of(key), data, seconds_until(expires)):
                return self._entry(data)
        raise CreateError

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        if not stored_alike(self._value(key), old.token):
            return None
        with self.store_call():
            self.cache.set(self.name_of(key), data, seconds_until(expires))
        return self._entry(data)

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        with self.store_call():
            touched = self.cache.touch(self.name_of(key), seconds_until(expires))
        return old if touched else None

    def put(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        new_entry = self._put(key, old, data, expires)
        # An entry whose expiry is past already disappears as soon as it is written.
        is_gone = new_entry is None and seconds_until(expires) <= 0 and self.read(key) is None
        return old if is_gone else new_entry

    # Overridden if the cache can do it in one step.
    _put = Store.put

    def delete(self, key: str) -> None:
        with suppress(*INVALID_KEY), self.store_call():
            self.cache.delete(self.name_of(key))

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        if not stored_alike(self._value(key), old.token):
            return False
        with self.store_call():
            return bool(self.cache.delete(self.name_of(key)))

    def write_tombstone(self, key: str) -> None:
        """Replace the entry for a while by a tombstone: no session, and nobody else can replace it.

        A cache that cannot compare deletes the entry instead.
        """
        self.delete(key)

    def exists(self, key: str) -> bool:
        stored = self.read(key)
        return stored is not None and stored.data is not None

    def _entry(self, value: Any) -> Entry:
        # Copied, as the caller may change the value.
        own_value = copy.deepcopy(value)
        return Entry(own_value, partial(decode_valid, copy.deepcopy, own_value))
