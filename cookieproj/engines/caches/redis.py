"""Sessions in Redis. Each step is one command on one key, so it works on a Redis Cluster too."""

import re
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from weakref import WeakSet

from django.contrib.sessions.backends.base import CreateError
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from redis import ConnectionPool
from redis import Redis as Client
from redis.client import Pipeline
from redis.exceptions import RedisError, WatchError

from cookieproj.engines.constants import SESSION_TOMBSTONE
from cookieproj.engines.entries import Entry, ListedSession, Location, Page
from cookieproj.engines.exceptions import (
    NotListableError,
    StoreError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
)
from cookieproj.engines.listing import Estimate
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store

from .generic import (
    GenericCacheStore,
    decode_session,
    expiry_from_ttl,
    is_cache_tombstone,
    new_tombstone,
    seconds_until,
)
from .redis_errors import refuses_scripts, store_error

# Adds commands that change the entry of that name to a transaction.
Change = Callable[[Pipeline, str], Any]

# If KEYS[1] is ARGV[1], set it to ARGV[2] for ARGV[3] seconds; an empty ARGV[2] only moves the
# expiry. EXPIRE accepts a time to live that is over already; SET does not.
SWAP_SCRIPT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
return redis.call('EXPIRE', KEYS[1], ARGV[3])
"""

# Delete KEYS[1] if it is ARGV[1].
#
# Both scripts are sent whole, by EVAL. With EVALSHA the first save after each restart of the server
# would take three round trips.
DELETE_SCRIPT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

# The connection pools of servers that refuse scripts, so that each is asked only once.
without_scripts: WeakSet[ConnectionPool] = WeakSet()


# Names in the sample of ``count``: it takes about 0.1 s, and its error is mostly below 0.5 %.
COUNT_SAMPLE_SIZE = 50_000
COUNT_BATCH_SIZE = 1000


def key_part(name: str, affixes: tuple[str, str]) -> str | None:
    """Return the part of a name between those two texts, the session key; None if it has others."""
    before, after = affixes
    if not (name.startswith(before) and name.endswith(after)):
        return None
    return name[len(before) : len(name) - len(after)]


def unreadable() -> None:
    """Return None, the data of an entry that cannot be read."""


class RedisStore(GenericCacheStore):
    """Sessions in Django's own Redis cache.

    Every command goes to the primary, as a replica that lags would not know a new session yet.
    """

    compares_and_swaps = True
    errors = (RedisError, OSError)

    @property
    def client(self) -> Client:
        client: Client = self.cache._cache.get_client(write=True)
        return client

    @property
    def detour(self) -> str | Promise:
        if self.client.connection_pool not in without_scripts:
            return ""
        return format_lazy(
            gettext_lazy(
                "{place} does not let this user run scripts, so each save takes three round "
                "trips instead of one."
            ),
            place=self.label,
        )

    def store_error(self, error: Exception) -> StoreError:
        return store_error(self.label, error)

    @property
    def serialized_empty(self) -> bytes | None:
        return self.encode({})

    @property
    def encode(self) -> Callable[[Data], bytes]:
        encode: Callable[[Data], bytes] = self.cache._cache._serializer.dumps
        return encode

    @property
    def decode(self) -> Callable[[bytes], Any]:
        """The cache's own deserializer: a reference to it does not keep this store alive."""
        decode: Callable[[bytes], Any] = self.cache._cache._serializer.loads
        return decode

    def form(self, data: Data) -> Data:
        form: Data = self.decode(self.encode(data))
        return form

    @property
    def label(self) -> str:
        pool = self.client.connection_pool
        settings = pool.connection_kwargs
        address = settings.get("path") or f"{settings.get('host')}:{settings.get('port')}"
        return f"Redis {getattr(pool, 'service_name', address)}/{self._database}"

    @property
    def kind(self) -> str:
        return f"Redis {self._database}"

    @property
    def _database(self) -> int:
        return int(self.client.connection_pool.connection_kwargs.get("db") or 0)

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        if with_expiry:
            payload, expires = self._read_with_expiry(self.name(key))
            return None if payload is None else replace(self._entry(payload), expires=expires)
        with self.store_call():
            stored: Any = self.client.get(self.name(key))
        return None if stored is None else self._entry(stored)

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        payload, name, seconds = self.encode(data), self.name(key), seconds_until(expires)
        # An expiry that is past already: the entry would disappear at once, so nothing is written.
        is_stored = seconds <= 0 or self._write(
            lambda client: client.set(name, payload, nx=True, ex=seconds)
        )
        if not is_stored:
            raise CreateError
        return self._entry(payload)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        payload = self.encode(data)
        return self._entry(payload) if self._swap(key, old, payload, expires) else None

    def _put(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        """Compare the payloads, so that nothing has to be decoded."""
        payload = self.encode(data)
        if payload == old.token:
            return self.touch(key, old, expires)
        return self._entry(payload) if self._swap(key, old, payload, expires) else None

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        return old if self._swap(key, old, b"", expires) else None

    def _swap(self, key: str, old: Entry, payload: bytes, expires: datetime) -> bool:
        seconds = seconds_until(expires)

        def change(transaction: Pipeline, name: str) -> None:
            if payload:
                transaction.set(name, payload)
            transaction.expire(name, seconds)

        return self._if_unchanged(key, old, SWAP_SCRIPT, [payload, seconds], change)

    def delete(self, key: str) -> None:
        self._write(lambda client: client.delete(self.name(key)))

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        return self._if_unchanged(key, old, DELETE_SCRIPT, [], Pipeline.delete)

    def name(self, key: str) -> str:
        """Return the entry's name. Redis accepts every name, also those that Django warns of."""
        name: str = self.cache.make_key(self.name_of(key))
        return name

    def _if_unchanged(
        self, key: str, old: Entry, script: str, arguments: list[Any], change: Change
    ) -> bool:
        """Run the script; if this Redis allows no scripts, make the change in a transaction."""
        name = self.name(key)
        if self.client.connection_pool not in without_scripts:
            try:
                return bool(
                    self._write(lambda client: client.eval(script, 1, name, old.token, *arguments))
                )
            except StoreMisconfiguredError as error:
                if not refuses_scripts(error.__cause__):
                    raise
                without_scripts.add(self.client.connection_pool)
        return bool(
            self._retry_on_new_connection(lambda: self._in_transaction(name, old.token, change))
        )

    def _in_transaction(self, name: str, token: bytes, change: Change) -> bool:
        """Compare and change in three round trips: WATCH aborts it if another client is faster."""
        transaction: Any = self.client.pipeline()
        with transaction:
            with self.store_call():
                transaction.watch(name)
            with self.store_call():
                stored = transaction.get(name)
            if stored != token:
                return False
            transaction.multi()
            change(transaction, name)
            with self.store_call():
                try:
                    transaction.execute()
                except WatchError as error:
                    if error.__context__ is None:
                        return False
                    # The connection broke: it is unknown whether the change was made.
                    raise ConnectionError(*error.args) from error
        return True

    def _write(self, command: Callable[[Client], Any]) -> Any:
        def run() -> Any:
            with self.store_call():
                return command(self.client)

        return self._retry_on_new_connection(run)

    def _retry_on_new_connection(self, write: Callable[[], Any]) -> Any:
        """Retry once if the server is read-only: it may have been the primary on connecting."""
        try:
            return write()
        except StoreReadOnlyError:
            self.client.connection_pool.disconnect(inuse_connections=False)
            return write()

    def write_tombstone(self, key: str) -> None:
        mark, seconds = new_tombstone()
        self._write(lambda client: client.set(self.name(key), mark, ex=seconds))

    # An unreadable entry exists too: it was written by another serializer.
    exists = Store.exists

    def live_keys(self, keys: Collection[str]) -> set[str]:
        """Return the keys of live sessions, by the length of their payloads.

        Only an entry as long as a tombstone has to be read, which hardly any session is.
        """
        with self.store_call():
            pipeline = self.client.pipeline(transaction=False)
            for key in keys:
                pipeline.strlen(self.name(key))
            lengths = pipeline.execute()
        tombstone_length = len(self.encode(SESSION_TOMBSTONE))
        return {
            key
            for key, length in zip(keys, lengths, strict=True)
            if length and (length != tombstone_length or self.exists(key))
        }

    def page(self, position: str, size: int) -> Page:
        """Scan until ``size`` sessions are found. A scan step may return none."""
        affixes = self._affixes()
        pattern = "*".join(re.sub(r"([*?\[\]\\])", r"\\\1", part) for part in affixes)
        cursor = int(position or 0)
        listed: list[ListedSession] = []
        while True:
            with self.store_call():
                scanned: Any = self.client.scan(cursor, match=pattern, count=size)
            cursor, names = scanned
            listed += self._listed(names, affixes) if names else ()
            if cursor == 0 or len(listed) >= size:
                return Page(listed, str(cursor or ""))

    def _affixes(self) -> tuple[str, str]:
        """Return what precedes and follows the session key in the names of this cache.

        Raises NotListableError if the cache's KEY_FUNCTION keeps no key in the name, because it
        hashes it for instance.
        """
        probes = [secrets.token_hex(16) for _ in range(2)]
        all_affixes = {
            tuple(self.cache.make_key(self.prefix + probe).split(probe)) for probe in probes
        }
        match list(all_affixes):
            case [(str(before), str(after))]:
                return before, after
        raise NotListableError(
            _(
                "Sessions in %(cache)s cannot be listed: the KEY_FUNCTION of the cache leaves no "
                "session key in a name."
            )
            % {"cache": self.label}
        )

    def _listed(self, names: list[bytes], affixes: tuple[str, str]) -> Iterator[ListedSession]:
        with self.store_call():
            pipeline = self.client.pipeline(transaction=False)
            for name in names:
                # One key per command, as a Redis Cluster requires.
                pipeline.get(name)
                pipeline.pttl(name)
            answers = pipeline.execute(raise_on_error=False)
            for error in answers:
                # WRONGTYPE is the answer for another type, a list for instance, which no cache has
                # stored.
                if isinstance(error, RedisError) and not str(error).startswith("WRONGTYPE"):
                    raise error
        for name, payload, ttl in zip(names, answers[::2], answers[1::2], strict=True):
            if payload is not None:
                listed = self._listed_one(name, payload, ttl, affixes)
                if self.is_own(listed.key) and not listed.stored.is_tombstone:
                    yield listed

    def _listed_one(
        self, name: bytes, payload: bytes | RedisError, ttl: int, affixes: tuple[str, str]
    ) -> ListedSession:
        """Return the entry as listed. It is unreadable if it is no session or has no valid name."""
        text = name.decode(errors="backslashreplace")
        key = key_part(text, affixes) or ""
        expires = expiry_from_ttl(None if ttl < 0 else ttl / 1000)
        if isinstance(payload, RedisError):
            return ListedSession(key, b"", Entry(None, unreadable, expires))
        entry = self._entry(payload) if text.encode() == name else Entry(None, unreadable)
        return ListedSession(key, payload, replace(entry, expires=expires))

    def count(self) -> int:
        """Return the exact number in a database of up to COUNT_SAMPLE_SIZE names, else an Estimate.

        Redis scans names in the order of their hashes, so the first ones are a fair sample.
        """
        affixes = self._affixes()
        cursor, names = 0, set[bytes]()
        while True:
            with self.store_call():
                scanned: Any = self.client.scan(cursor, count=COUNT_BATCH_SIZE)
            cursor, batch = scanned
            names.update(batch)
            if cursor == 0 or len(names) >= COUNT_SAMPLE_SIZE:
                break
        keys = (key_part(name.decode(errors="replace"), affixes) for name in names)
        sessions = sum(key is not None and self.is_own(key) for key in keys)
        if cursor == 0:
            return sessions
        with self.store_call():
            size: Any = self.client.dbsize()
        return Estimate(round(sessions * size / len(names)))

    def locate(self, key: str) -> list[Location]:
        name = self.name(key)
        payload, expires = self._read_with_expiry(name)
        return [] if payload is None else [Location(self.label, name, payload, expires)]

    def _read_with_expiry(self, name: str) -> tuple[bytes | None, datetime | None]:
        with self.store_call():
            pipeline = self.client.pipeline(transaction=False)
            pipeline.get(name)
            pipeline.pttl(name)
            payload, ttl = pipeline.execute()
        return payload, expiry_from_ttl(None if ttl < 0 else ttl / 1000)

    def _entry(self, payload: bytes) -> Entry:
        decode = partial(decode_session, self.decode, payload)
        return Entry(payload, decode, is_cache_tombstone=is_cache_tombstone(payload))


class DjangoRedisStore(RedisStore):
    """Sessions in a cache of django-redis, with the serializer and compressor of its settings.

    Errors are raised even with DJANGO_REDIS_IGNORE_EXCEPTIONS: an ignored error would sign people
    out.
    """

    @property
    def client(self) -> Client:
        client: Client = self.cache.client.get_client(write=True)
        return client

    @property
    def encode(self) -> Callable[[Data], bytes]:
        encode: Callable[[Data], bytes] = self.cache.client.encode
        return encode

    @property
    def decode(self) -> Callable[[bytes], Any]:
        decode: Callable[[bytes], Any] = self.cache.client.decode
        return decode
