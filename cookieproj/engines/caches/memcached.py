"""Sessions in memcached, by its own compare and swap."""

import copy
import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.core.cache.backends.base import MEMCACHE_MAX_KEY_LENGTH, InvalidCacheKey
from django.utils.translation import gettext as _
from pymemcache import HashClient
from pymemcache.exceptions import MemcacheError, MemcacheUnknownCommandError

from cookieproj.engines.exceptions import (
    NotListableError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from cookieproj.engines.merge import Data, same
from cookieproj.engines.sound import checked
from cookieproj.engines.stored import Location, Stored

from .other import GRAVE_SECONDS, NO_KEY, Cache, expiry


class Memcached(Cache):
    """Through pymemcache. memcached numbers its writes; that number is the token.

    It does not tell the number of a write to whoever wrote, so after a save the token
    is None, and the next one compares the data. Nor can it compare and move an expiry
    in one: of two that do so at the very same moment the last wins.
    """

    compares_and_swaps = True
    errors = (MemcacheError, OSError)

    @property
    def place(self) -> str:
        return f"{self.kind} {', '.join(map(str, self.cache.client_servers))}"

    @property
    def kind(self) -> str:
        return "memcached"

    def store_error(self, error: Exception) -> StoreError:
        """It forgets what is old to make room, so what finds none is too large by itself."""
        said = error.args[0] if error.args else ""
        reason = said.decode(errors="replace") if isinstance(said, bytes) else error
        if "object too large" in str(reason) or "out of memory" in str(reason):
            return StoreFullError(
                self.place,
                reason,
                _("Store less in the session, or start memcached with a larger -I."),
            )
        return StoreUnavailableError(self.place, reason)

    def get(self, key: str) -> Stored | None:
        with suppress(*NO_KEY), self.reached():
            value, number = self._server_of(key).gets(self._name(key))
            return None if number is None else self._stored(value, number)
        return None

    def swap(self, key: str, base: Stored | None, data: Data, seconds: int) -> Stored | None:
        if base and base.token is None:
            base = self._unchanged(key, base)
            if base is None:
                return None
        if base is None:
            return self.add(key, data, seconds)
        timeout = self.cache.get_backend_timeout(seconds)
        with self.reached():
            won = self._server_of(key).cas(self._name(key), data, base.token, expire=timeout)
        return self._stored(data) if won else None

    def add(self, key: str, data: Data, seconds: int) -> Stored | None:
        timeout = self.cache.get_backend_timeout(seconds)
        with suppress(*NO_KEY), self.reached():
            won = self._server_of(key).add(self._name(key), data, expire=timeout)
            return self._stored(data) if won else None
        return None

    def delete(self, key: str) -> None:
        with suppress(*NO_KEY), self.reached():
            self._server_of(key).delete(self._name(key))

    def _name(self, key: str) -> str:
        """Raises InvalidCacheKey, also for one that is too long in bytes: Django counts letters."""
        name: str = self.cache.make_and_validate_key(key)
        if len(name.encode()) > MEMCACHE_MAX_KEY_LENGTH:
            raise InvalidCacheKey("The key is too long for memcached.")
        return name

    def _server_of(self, key: str) -> Any:
        """The one server that has the key, asked without pymemcache's way with failures.

        For a while after one it answers for the server, as if nothing were stored there;
        then it takes another server for the key. Both would sign people out.
        """
        return self.cache._cache._get_client(self._name(key))

    def touch(self, key: str, base: Stored, seconds: int) -> bool:
        if self._unchanged(key, base) is None:
            return False
        timeout = self.cache.get_backend_timeout(seconds)
        with self.reached():
            return bool(self._server_of(key).touch(self._name(key), expire=timeout))

    def _unchanged(self, key: str, base: Stored) -> Stored | None:
        """What is there, with its number, if it is still ``base``."""
        now = self.get(key)
        if now is None:
            return None
        known = base.token is not None
        same_one = now.token == base.token if known else same(now.data, base.data)
        return now if same_one else None

    def take(self, key: str, base: Stored) -> bool:
        """Nothing in its place, which has expired as it is put there."""
        held = base if base.token is not None else self._unchanged(key, base)
        if held is None:
            return False
        with self.reached():
            server, name = self._server_of(key), self._name(key)
            return bool(server.cas(name, None, held.token, expire=-1))

    def inspect(self, key: str) -> Stored | None:
        stored = self.get(key)
        if stored is None:
            return None
        with self.reached():
            try:
                life = self._server_of(key).raw_command(f"mg {self._name(key)} t")
            except MemcacheUnknownCommandError:
                # Before 1.6 it did not tell.
                return stored
        # "HD t1209600"; t-1 for ever.
        told = re.fullmatch(rb"HD t(\d+)", life.strip())
        return replace(stored, expires=expiry(int(told[1]) if told else None))

    def bury(self, key: str) -> None:
        with suppress(*NO_KEY), self.reached():
            self._server_of(key).set(self._name(key), None, expire=GRAVE_SECONDS)

    @property
    def not_listable(self) -> NotListableError:
        return NotListableError(_("Sessions in memcached cannot be listed: it tells no keys."))

    def locate(self, key: str) -> list[Location]:
        """memcached does not tell how long it keeps a thing."""
        name = self.cache.make_and_validate_key(key)
        # As Django's client, but for what turns the bytes into an object.
        client = HashClient(self.cache.client_servers, **self.cache._options | {"serde": None})
        with self.reached():
            payload = client.get(name)
        client.close()
        return [Location(self.place, name, payload, None)] if payload else []

    def _stored(self, value: Any, number: bytes | None = None) -> Stored:
        if value is None:
            # A tombstone: see ``bury``.
            return Stored(number, lambda: None, is_grave=True)
        mine = copy.deepcopy(value)
        return Stored(number, partial(checked, copy.deepcopy, mine))
