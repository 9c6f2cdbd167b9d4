"""Sessions in memcached, by its own compare and swap."""

import copy
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from django.core.cache.backends.base import MEMCACHE_MAX_KEY_LENGTH, InvalidCacheKey
from django.utils.translation import gettext as _
from pymemcache import HashClient
from pymemcache.exceptions import MemcacheError, MemcacheUnknownCommandError

from cookieproj.engines.entries import Entry, Location
from cookieproj.engines.exceptions import (
    NotListableError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from cookieproj.engines.merge import Data, stored_alike
from cookieproj.engines.validation import decode_valid

from .generic import INVALID_KEY, TOMBSTONE_TTL, GenericCacheStore, expiry_from_ttl, seconds_until


class MemcachedStore(GenericCacheStore):
    """Through pymemcache. memcached numbers its writes; that number is the token.

    It does not tell the number of a write to whoever wrote, so after a save the token
    is None, and the next one compares the data. Nor can it compare and move an expiry
    in one: of two that do so at the very same moment the last wins.
    """

    compares_and_swaps = True
    errors = (MemcacheError, OSError)

    @property
    def label(self) -> str:
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
                self.label,
                reason,
                _("Store less in the session, or start memcached with a larger -I."),
            )
        return StoreUnavailableError(self.label, reason)

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        stored = None
        with suppress(*INVALID_KEY), self.store_call():
            value, number = self._server_of(key).gets(self.name(key))
            stored = None if number is None else self._stored(value, number)
        return self._with_expiry(key, stored) if stored and with_expiry else stored

    def _with_expiry(self, key: str, stored: Entry) -> Entry:
        with self.store_call():
            try:
                life = self._server_of(key).raw_command(f"mg {self.name(key)} t")
            except MemcacheUnknownCommandError:
                # Before 1.6 it did not tell.
                return stored
        # "HD t1209600"; t-1 for ever.
        told = re.fullmatch(rb"HD t(\d+)", life.strip())
        return replace(stored, expires=expiry_from_ttl(int(told[1]) if told else None))

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        timeout = self.cache.get_backend_timeout(seconds_until(expires))
        with suppress(*INVALID_KEY), self.store_call():
            if self._server_of(key).add(self.name(key), data, expire=timeout):
                return self._stored(data)
        raise CreateError

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        held = old if old.token is not None else self._unchanged(key, old)
        if held is None:
            return None
        timeout = self.cache.get_backend_timeout(seconds_until(expires))
        with self.store_call():
            won = self._server_of(key).cas(self.name(key), data, held.token, expire=timeout)
        return self._stored(data) if won else None

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        if self._unchanged(key, old) is None:
            return None
        timeout = self.cache.get_backend_timeout(seconds_until(expires))
        with self.store_call():
            touched = self._server_of(key).touch(self.name(key), expire=timeout)
        return old if touched else None

    def delete(self, key: str) -> None:
        with suppress(*INVALID_KEY), self.store_call():
            self._server_of(key).delete(self.name(key))

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        """Nothing in its place, which has expired as it is put there."""
        held = old if old.token is not None else self._unchanged(key, old)
        if held is None:
            return False
        with self.store_call():
            return bool(self._server_of(key).cas(self.name(key), None, held.token, expire=-1))

    def _unchanged(self, key: str, old: Entry) -> Entry | None:
        """What is there, with its number, if it is still ``old``."""
        now = self.read(key)
        if now is None:
            return None
        known = old.token is not None
        is_same = now.token == old.token if known else stored_alike(now.data, old.data)
        return now if is_same else None

    def write_tombstone(self, key: str) -> None:
        with suppress(*INVALID_KEY), self.store_call():
            self._server_of(key).set(self.name(key), None, expire=TOMBSTONE_TTL)

    def name(self, key: str) -> str:
        """Also none that is too long in bytes: Django counts letters."""
        name = super().name(key)
        if len(name.encode()) > MEMCACHE_MAX_KEY_LENGTH:
            raise InvalidCacheKey("The key is too long for memcached.")
        return name

    def _server_of(self, key: str) -> Any:
        """The one server that has the key, asked without pymemcache's way with failures.

        For a while after one it answers for the server, as if nothing were stored there;
        then it takes another server for the key. Both would sign people out.
        """
        return self.cache._cache._get_client(self.name(key))

    @property
    def not_listable(self) -> NotListableError:
        return NotListableError(_("Sessions in memcached cannot be listed: it tells no keys."))

    def locate(self, key: str) -> list[Location]:
        """memcached does not tell how long it keeps a thing."""
        name = self.name(key)
        # As Django's client, but for what turns the bytes into an object.
        client = HashClient(self.cache.client_servers, **self.cache._options | {"serde": None})
        with self.store_call():
            payload = client.get(name)
        client.close()
        return [Location(self.label, name, payload, None)] if payload else []

    def _stored(self, value: Any, number: bytes | None = None) -> Entry:
        if value is None:
            # A tombstone: see ``write_tombstone``.
            return Entry(number, lambda: None, is_cache_tombstone=True)
        mine = copy.deepcopy(value)
        return Entry(number, partial(decode_valid, copy.deepcopy, mine))
