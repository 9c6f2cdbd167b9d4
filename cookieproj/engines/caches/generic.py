"""A cache of which nothing is known but Django's interface."""

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
    """Whole ones, so that a session never goes before its time."""
    return math.ceil(time_until(moment).total_seconds())


# The cache can hold nothing under that name; the warning is an error where a site makes it one.
INVALID_KEY = (InvalidCacheKey, CacheKeyWarning)

# What says nothing of the cache's health.
NOT_STORE_ERRORS = (CreateError, SynchronousOnlyOperation, *INVALID_KEY)

# Longer than any request that read something before it was buried.
TOMBSTONE_TTL = 300


def new_tombstone() -> tuple[bytes, int]:
    """What marks a place where a session was, unlike any other mark, and its seconds to live."""
    return TOMBSTONE_MARK + secrets.token_bytes(16), TOMBSTONE_TTL


def expiry_from_ttl(seconds_to_live: float | None) -> datetime | None:
    """When an entry goes that has so long to live; None for never."""
    if seconds_to_live is None:
        return None
    return as_django_stores(from_now(seconds_to_live))


def decode_session(decode: Callable[[bytes], Any], payload: bytes) -> Data | None:
    """The data of a stored session; None for a grave, and for what cannot be read."""
    return None if is_cache_tombstone(payload) else decode_valid(decode, payload)


def is_cache_tombstone(payload: bytes) -> bool:
    return payload.startswith(TOMBSTONE_MARK)


class GenericCacheStore(Store):
    """Sessions in a cache that cannot compare and swap.

    The stored value is compared just before it is replaced, so one of two saves at the very
    same moment can still be lost, whatever keys they change. With the subclasses none is.

    Under a name that the cache cannot have there is nothing, and nothing can be put.

    The name of an entry is the key after ``prefix``, or what ``name_of`` makes of it where a
    subclass has a say in that. A key that begins with ``others`` is no session of this store's.
    """

    compares_and_swaps = False

    # What the cache raises when its server is away: here, anything.
    errors: tuple[type[Exception], ...] = (Exception,)

    def __init__(
        self,
        cache: BaseCache,
        prefix: str = "",
        name_of: Callable[[str], str] | None = None,
        others: str = "",
    ) -> None:
        self.cache: Any = cache
        self.prefix = prefix
        self.name_of = name_of or prefix.__add__
        self.others = others

    @property
    def serialized_empty(self) -> bytes | None:
        """What the serializer makes of no data, where a site chooses one: tells two apart."""
        return None

    @property
    def default_id(self) -> str:
        """With how names begin there, with prefix and version as a rule."""
        return f"{self.kind} {self.cache.make_key(self.prefix)}"

    @property
    def label(self) -> str | Promise:
        """The server, as a rule."""
        return self.kind

    @property
    def kind(self) -> str:
        """What holds the entries, whichever client reaches it."""
        return f"{type(self.cache).__module__}.{type(self.cache).__qualname__}"

    @property
    def detour(self) -> str | Promise:
        """What works here, but by more round trips than it need: known once it was tried."""
        return ""

    def store_error(self, error: Exception) -> StoreError:
        """Which of the errors of a store this one of its client's is."""
        return StoreUnavailableError(self.label, error)

    def store_call(self) -> StoreCall:
        """What asks the cache stands inside this."""
        return StoreCall(self._failed)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, self.errors) and not isinstance(error, NOT_STORE_ERRORS):
            raise self.store_error(error) from error

    def name(self, key: str) -> str:
        """What the cache itself calls the entry. Raises one of NO_NAME where it can have none."""
        name: str = self.cache.make_and_validate_key(self.name_of(key))
        return name

    def can_hold(self, key: str) -> bool:
        return super().can_hold(key) and self.is_own(key)

    def is_own(self, key: str) -> bool:
        return not (self.others and key.startswith(self.others))

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        value = self._value(key)
        return None if value is None else self._stored(value)

    def _value(self, key: str) -> Any:
        with suppress(*INVALID_KEY), self.store_call():
            return self.cache.get(self.name_of(key))
        return None

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        with suppress(*INVALID_KEY), self.store_call():
            if self.cache.add(self.name_of(key), data, seconds_until(expires)):
                return self._stored(data)
        raise CreateError

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        if not stored_alike(self._value(key), old.token):
            return None
        with self.store_call():
            self.cache.set(self.name_of(key), data, seconds_until(expires))
        return self._stored(data)

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        with self.store_call():
            touched = self.cache.touch(self.name_of(key), seconds_until(expires))
        return old if touched else None

    def put(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        written = self._put(key, old, data, expires)
        # What is past already was gone as soon as it was there.
        is_gone = written is None and seconds_until(expires) <= 0 and self.read(key) is None
        return old if is_gone else written

    # Where the two of it are one step, that.
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
        """Leave there for a while what nobody takes for a session, and nobody else can replace.

        Where a cache cannot compare, it is deleted.
        """
        self.delete(key)

    def exists(self, key: str) -> bool:
        stored = self.read(key)
        return stored is not None and stored.data is not None

    def _stored(self, value: Any) -> Entry:
        mine = copy.deepcopy(value)
        return Entry(mine, partial(decode_valid, copy.deepcopy, mine))
