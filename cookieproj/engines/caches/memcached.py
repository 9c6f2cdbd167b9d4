"""Sessions in memcached, through pymemcache, with memcached's own compare and swap."""

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

from .generic import (
    INVALID_KEY,
    TOMBSTONE_TTL,
    GenericCacheStore,
    expiry_from_ttl,
    no_data,
    seconds_until,
)


class MemcachedStore(GenericCacheStore):
    """An entry's token is the number that memcached gives to each write (its CAS number).

    A write does not return its number. So after a save the token is None, and the next save
    compares the data. memcached cannot compare and move an expiry in one step: of two concurrent
    ``touch`` the later one wins.
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
        """Return StoreFullError for an entry that is too large, else StoreUnavailableError.

        memcached makes room by forgetting old entries, so only an entry's own size can be refused.
        """
        answer = error.args[0] if error.args else ""
        reason = answer.decode(errors="replace") if isinstance(answer, bytes) else error
        if "object too large" in str(reason) or "out of memory" in str(reason):
            return StoreFullError(
                self.label,
                reason,
                _("Store less in the session, or start memcached with a larger -I."),
            )
        return StoreUnavailableError(self.label, reason)

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        entry = None
        with suppress(*INVALID_KEY), self.store_call():
            name = self.name(key)
            value, number = self._server_of(name).gets(name)
            entry = None if number is None else self._entry(value, number)
        return self._with_expiry(key, entry) if entry and with_expiry else entry

    def _with_expiry(self, key: str, entry: Entry) -> Entry:
        name = self.name(key)
        with self.store_call():
            try:
                answer = self._server_of(name).raw_command(f"mg {name} t")
            except MemcacheUnknownCommandError:
                # memcached before 1.6 does not reveal it.
                return entry
        # "HD t1209600", or "HD t-1" for an entry that never expires.
        ttl = re.fullmatch(rb"HD t(\d+)", answer.strip())
        return replace(entry, expires=expiry_from_ttl(int(ttl[1]) if ttl else None))

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        timeout = self.cache.get_backend_timeout(seconds_until(expires))
        with suppress(*INVALID_KEY), self.store_call():
            name = self.name(key)
            if self._server_of(name).add(name, data, expire=timeout):
                return self._entry(copy.deepcopy(data))
        raise CreateError

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        stored = old if old.token is not None else self._unchanged(key, old)
        if stored is None:
            return None
        timeout = self.cache.get_backend_timeout(seconds_until(expires))
        name = self.name(key)
        with self.store_call():
            is_swapped = self._server_of(name).cas(name, data, stored.token, expire=timeout)
        return self._entry(copy.deepcopy(data)) if is_swapped else None

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        if self._unchanged(key, old) is None:
            return None
        timeout = self.cache.get_backend_timeout(seconds_until(expires))
        name = self.name(key)
        with self.store_call():
            touched = self._server_of(name).touch(name, expire=timeout)
        return old if touched else None

    def delete(self, key: str) -> None:
        with suppress(*INVALID_KEY), self.store_call():
            name = self.name(key)
            self._server_of(name).delete(name)

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        """Replace ``old`` by an entry that expires at once: memcached has no compare and delete."""
        stored = old if old.token is not None else self._unchanged(key, old)
        if stored is None:
            return False
        name = self.name(key)
        with self.store_call():
            return bool(self._server_of(name).cas(name, None, stored.token, expire=-1))

    def _unchanged(self, key: str, old: Entry) -> Entry | None:
        """Return the stored entry, with its number, if it is still ``old``; else None."""
        stored = self.read(key)
        if stored is None:
            return None
        has_token = old.token is not None
        is_unchanged = (
            stored.token == old.token if has_token else stored_alike(stored.data, old.data)
        )
        return stored if is_unchanged else None

    def write_tombstone(self, key: str) -> None:
        with suppress(*INVALID_KEY), self.store_call():
            name = self.name(key)
            self._server_of(name).set(name, None, expire=TOMBSTONE_TTL)

    def name(self, key: str) -> str:
        """Return the entry's name. Raises InvalidCacheKey if it has too many bytes.

        Django's own check counts characters.
        """
        name = super().name(key)
        if len(name.encode()) > MEMCACHE_MAX_KEY_LENGTH:
            raise InvalidCacheKey("The key is too long for memcached.")
        return name

    def _server_of(self, name: str) -> Any:
        """Return the client of the one server that has the entry of that name.

        This bypasses pymemcache's handling of failures, which would sign people out: for a while it
        answers for a failed server as if nothing were stored, and then it uses another server for
        its keys.
        """
        client = self.cache._cache
        if len(client.clients) == 1:
            # There is nothing to choose. pymemcache would hash the name, in Python.
            return next(iter(client.clients.values()))
        return client._get_client(name)

    @property
    def not_listable(self) -> NotListableError:
        return NotListableError(
            _("Sessions in memcached cannot be listed: it does not reveal its keys.")
        )

    def locate(self, key: str) -> list[Location]:
        """Return the entry, without an expiry, which memcached does not reveal with the value."""
        name = self.name(key)
        # Django's client without the deserializer, for the exact bytes.
        client = HashClient(self.cache.client_servers, **self.cache._options | {"serde": None})
        with self.store_call():
            payload = client.get(name)
        client.close()
        return [Location(self.label, name, payload, None)] if payload else []

    def _entry(self, value: Any, number: bytes | None = None) -> Entry:
        """Return the entry of a value that nothing else refers to, such as one just received."""
        if value is None:
            # A tombstone: see ``write_tombstone``.
            return Entry(number, no_data, is_cache_tombstone=True)
        return Entry(number, partial(decode_valid, copy.deepcopy, value))
