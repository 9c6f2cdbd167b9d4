"""A cache of which nothing is known but Django's interface."""

import copy
import secrets
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from django.core.cache.backends.base import BaseCache, CacheKeyWarning, InvalidCacheKey
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from cookieproj.engines.clock import local
from cookieproj.engines.constants import GRAVE_MARK
from cookieproj.engines.exceptions import NotListableError, StoreError, StoreUnavailableError
from cookieproj.engines.merge import Data, same, unchanged
from cookieproj.engines.sound import checked
from cookieproj.engines.stored import Location, Page, Stored
from cookieproj.engines.trips import Reaching

# The cache can hold nothing under that key; the warning is an error where a site makes it one.
NO_KEY = (InvalidCacheKey, CacheKeyWarning)

# What says nothing of the cache's health.
NOT_THE_STORES = (CreateError, SynchronousOnlyOperation, *NO_KEY)

# Longer than any request that read something before it was buried.
GRAVE_SECONDS = 300


def grave() -> tuple[bytes, int]:
    """What marks a place where a session was, unlike any other mark, and its seconds to live."""
    return GRAVE_MARK + secrets.token_bytes(16), GRAVE_SECONDS


def expiry(seconds_to_live: float | None) -> datetime | None:
    """When an entry goes that has so long to live; None for never."""
    if seconds_to_live is None:
        return None
    return local(datetime.now(UTC) + timedelta(seconds=seconds_to_live))


def session_in(decode: Callable[[bytes], Any], payload: bytes) -> Data | None:
    """The data of a stored session; None for a grave, and for what cannot be read."""
    return None if is_grave(payload) else checked(decode, payload)


def is_grave(payload: bytes) -> bool:
    return payload.startswith(GRAVE_MARK)


class Reached(Reaching):
    """A trip to the cache."""

    def __init__(self, cache: "Cache") -> None:
        self.cache = cache

    def failed(self, error: BaseException) -> None:
        if isinstance(error, self.cache.errors) and not isinstance(error, NOT_THE_STORES):
            raise self.cache.store_error(error) from error


class Cache:
    """Sessions in a cache that cannot compare and swap.

    The stored value is compared just before it is replaced, so one of two saves at the very
    same moment can still be lost, whatever keys they change. With the subclasses none is.

    Every method raises StoreError when the cache does not answer. Keys are
    those of Django's interface, before version and prefix; times are seconds.
    Under one that the cache cannot have there is nothing, and nothing can be put.
    """

    compares_and_swaps = False

    # What the cache raises when its server is away: here, anything.
    errors: tuple[type[Exception], ...] = (Exception,)

    def __init__(self, cache: BaseCache) -> None:
        self.cache: Any = cache

    @property
    def place(self) -> str | Promise:
        """What people call this cache: its server, without a password."""
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
        return StoreUnavailableError(self.place, error)

    def reached(self) -> Reached:
        """What asks the cache stands inside this."""
        return Reached(self)

    def form(self, data: Data) -> Data:
        """The data as it would be read after it was put here: most caches pickle."""
        return data

    def get(self, key: str) -> Stored | None:
        """What is there, a grave too: that one decodes to None."""
        value = self._value(key)
        return None if value is None else self._stored(value)

    def _value(self, key: str) -> Any:
        with suppress(*NO_KEY), self.reached():
            return self.cache.get(key)
        return None

    def add(self, key: str, data: Data, seconds: int) -> Stored | None:
        """Put the data where nothing is; None if something is there."""
        with suppress(*NO_KEY), self.reached():
            return self._stored(data) if self.cache.add(key, data, seconds) else None
        return None

    def swap(self, key: str, base: Stored | None, data: Data, seconds: int) -> Stored | None:
        """Put the data in the place of ``base``, or of nothing; None if something else is there."""
        if not same(self._value(key), base and base.token):
            return None
        with self.reached():
            self.cache.set(key, data, seconds)
        return self._stored(data)

    def put(self, key: str, base: Stored, data: Data, seconds: int) -> Stored | None:
        """As ``swap``; data that is there already is not written again, only its time moved."""
        if unchanged(base.data or {}, self.form(data)):
            return base if self.touch(key, base, seconds) else None
        return self.swap(key, base, data, seconds)

    def touch(self, key: str, base: Stored, seconds: int) -> bool:
        with self.reached():
            return bool(self.cache.touch(key, seconds))

    def delete(self, key: str) -> None:
        with suppress(*NO_KEY), self.reached():
            self.cache.delete(key)

    def take(self, key: str, base: Stored) -> bool:
        """Delete it if it is still ``base``."""
        if not same(self._value(key), base.token):
            return False
        with self.reached():
            return bool(self.cache.delete(key))

    def inspect(self, key: str) -> Stored | None:
        """As ``get``, with the expiry too, where the cache tells it."""
        return self.get(key)

    def bury(self, key: str) -> None:
        """Leave there for a while what nobody takes for a session, and nobody else can replace."""
        self.delete(key)

    def exists(self, key: str) -> bool:
        stored = self.get(key)
        return stored is not None and stored.data is not None

    def alive(self, keys: Collection[str]) -> set[str]:
        """Those under which there is a session."""
        return set(filter(self.exists, keys))

    def page(self, prefix: str, position: str, size: int) -> Page:
        raise self.not_listable

    def count(self, prefix: str, counts: Callable[[str], bool]) -> int:
        """How many keys begin with the prefix and go on with what counts; see ``Listable``."""
        raise self.not_listable

    @property
    def not_listable(self) -> NotListableError:
        return NotListableError(
            _("Sessions in %(cache)s cannot be listed: it does not tell its keys.")
            % {"cache": self.place}
        )

    def locate(self, key: str) -> list[Location]:
        return []

    def _stored(self, value: Any) -> Stored:
        mine = copy.deepcopy(value)
        return Stored(mine, partial(checked, copy.deepcopy, mine))
