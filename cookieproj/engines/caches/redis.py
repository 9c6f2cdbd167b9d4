"""Sessions in Redis: one command on one key for each step, so that a Redis Cluster takes it too."""

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

# A command of a transaction, on the entry of that name.
Change = Callable[[Pipeline, str], Any]

# Where KEYS[1] holds ARGV[1], put ARGV[2] for ARGV[3] seconds; an empty ARGV[2] moves the expiry
# only. SET takes no time that is past already, EXPIRE does.
SWAP_SCRIPT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
return redis.call('EXPIRE', KEYS[1], ARGV[3])
"""

# Delete KEYS[1] if it holds ARGV[1].
#
# Both are sent whole, by EVAL. By their digests (EVALSHA) the first save after each restart of the
# server would take three round trips in place of one.
DELETE_SCRIPT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

# The connections to a Redis that takes no scripts from us: it is asked to run one only once.
without_scripts: WeakSet[ConnectionPool] = WeakSet()


# Names by which to count: in a tenth of a second or so, and true to half a percent with most odds.
COUNTED = 50_000
COUNTED_AT_ONCE = 1000


def rest(name: str, around: tuple[str, str]) -> str | None:
    """What stands between those two in a name; None if it is another's."""
    before, after = around
    if not (name.startswith(before) and name.endswith(after)):
        return None
    return name[len(before) : len(name) - len(after)]


def unreadable() -> None:
    """What there is of the data of such an entry."""


class RedisStore(GenericCacheStore):
    """Django's own cache for Redis.

    Every command goes to the primary: a replica that lags would not know a session yet.
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
        """The cache's own, so that what has it does not hold this store."""
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
            payload, expires = self._entry(self.name(key))
            return None if payload is None else replace(self._held(payload), expires=expires)
        with self.store_call():
            found: Any = self.client.get(self.name(key))
        return None if found is None else self._held(found)

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        payload, name, seconds = self.encode(data), self.name(key), seconds_until(expires)
        # A time that is past already: it is gone as soon as it is there.
        won = seconds <= 0 or self._write(
            lambda client: client.set(name, payload, nx=True, ex=seconds)
        )
        if not won:
            raise CreateError
        return self._held(payload)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        payload = self.encode(data)
        return self._held(payload) if self._swap(key, old, payload, expires) else None

    def _put(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        """By the payload alone, so that nothing is decoded."""
        payload = self.encode(data)
        if payload == old.token:
            return self.touch(key, old, expires)
        return self._held(payload) if self._swap(key, old, payload, expires) else None

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
        """Any: Redis takes names that Django warns of."""
        name: str = self.cache.make_key(self.name_of(key))
        return name

    def _if_unchanged(
        self, key: str, old: Entry, script: str, arguments: list[Any], change: Change
    ) -> bool:
        """Run the script; where this Redis takes none, make the change in a transaction."""
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
            self._over_a_new_connection(lambda: self._in_transaction(name, old.token, change))
        )

    def _in_transaction(self, name: str, token: bytes, change: Change) -> bool:
        """Three round trips in place of one: WATCH makes it fail if somebody is quicker."""
        transaction: Any = self.client.pipeline()
        with transaction:
            with self.store_call():
                transaction.watch(name)
            with self.store_call():
                held = transaction.get(name)
            if held != token:
                return False
            transaction.multi()
            change(transaction, name)
            with self.store_call():
                try:
                    transaction.execute()
                except WatchError as error:
                    if error.__context__ is None:
                        return False
                    # The connection broke: nobody knows what became of it.
                    raise ConnectionError(*error.args) from error
        return True

    def _write(self, command: Callable[[Client], Any]) -> Any:
        def once() -> Any:
            with self.store_call():
                return command(self.client)

        return self._over_a_new_connection(once)

    def _over_a_new_connection(self, write: Callable[[], Any]) -> Any:
        """Again, once, if a connection leads to what was the primary, and is a replica by now."""
        try:
            return write()
        except StoreReadOnlyError:
            self.client.connection_pool.disconnect(inuse_connections=False)
            return write()

    def write_tombstone(self, key: str) -> None:
        mark, seconds = new_tombstone()
        self._write(lambda client: client.set(self.name(key), mark, ex=seconds))

    # What nobody can read too: it is another serializer's.
    exists = Store.exists

    def live_keys(self, keys: Collection[str]) -> set[str]:
        """What is as long as a tombstone is looked at, which hardly any session is."""
        with self.store_call():
            pipeline = self.client.pipeline(transaction=False)
            for key in keys:
                pipeline.strlen(self.name(key))
            found = pipeline.execute()
        tombstone = len(self.encode(SESSION_TOMBSTONE))
        return {
            key
            for key, length in zip(keys, found, strict=True)
            if length and (length != tombstone or self.exists(key))
        }

    def page(self, position: str, size: int) -> Page:
        """Steps of a scan, until they have brought enough; one may bring nothing."""
        around = self._around()
        pattern = "*".join(re.sub(r"([*?\[\]\\])", r"\\\1", part) for part in around)
        cursor = int(position or 0)
        listed: list[ListedSession] = []
        while True:
            with self.store_call():
                scanned: Any = self.client.scan(cursor, match=pattern, count=size)
            cursor, names = scanned
            listed += self._listed(names, around) if names else ()
            if cursor == 0 or len(listed) >= size:
                return Page(listed, str(cursor or ""))

    def _around(self) -> tuple[str, str]:
        """What stands before and after the rest of such a key in its name here.

        Raises NotListableError where KEY_FUNCTION leaves no key in a name: where it hashes, say.
        """
        probes = [secrets.token_hex(16) for _ in range(2)]
        found = {tuple(self.cache.make_key(self.prefix + probe).split(probe)) for probe in probes}
        match list(found):
            case [(str(before), str(after))]:
                return before, after
        raise NotListableError(
            _(
                "Sessions in %(cache)s cannot be listed: the KEY_FUNCTION of the cache leaves no "
                "session key in a name."
            )
            % {"cache": self.label}
        )

    def _listed(self, names: list[bytes], around: tuple[str, str]) -> Iterator[ListedSession]:
        with self.store_call():
            pipeline = self.client.pipeline(transaction=False)
            for name in names:
                # One key a command: a Redis Cluster takes no others.
                pipeline.get(name)
                pipeline.pttl(name)
            found = pipeline.execute(raise_on_error=False)
            for error in found:
                # Of a list, say, which no cache has put there, it says just that.
                if isinstance(error, RedisError) and not str(error).startswith("WRONGTYPE"):
                    raise error
        for name, payload, life in zip(names, found[::2], found[1::2], strict=True):
            if payload is not None:
                listed = self._listed_one(name, payload, life, around)
                if self.is_own(listed.key) and not listed.stored.is_tombstone:
                    yield listed

    def _listed_one(
        self, name: bytes, payload: bytes | RedisError, life: int, around: tuple[str, str]
    ) -> ListedSession:
        """What is no session, or under no name that one can have, is listed as unreadable."""
        text = name.decode(errors="backslashreplace")
        key = rest(text, around) or ""
        expires = expiry_from_ttl(None if life < 0 else life / 1000)
        if isinstance(payload, RedisError):
            return ListedSession(key, b"", Entry(None, unreadable, expires))
        held = self._held(payload) if text.encode() == name else Entry(None, unreadable)
        return ListedSession(key, payload, replace(held, expires=expires))

    def count(self) -> int:
        """Exact in a database of about COUNTED names; in a larger one an Estimate by so many.

        Redis tells names in the order of their hashes, so the first are a fair sample.
        """
        around = self._around()
        cursor, names = 0, set[bytes]()
        while True:
            with self.store_call():
                scanned: Any = self.client.scan(cursor, count=COUNTED_AT_ONCE)
            cursor, more = scanned
            names.update(more)
            if cursor == 0 or len(names) >= COUNTED:
                break
        keys = (rest(name.decode(errors="replace"), around) for name in names)
        found = sum(key is not None and self.is_own(key) for key in keys)
        if cursor == 0:
            return found
        with self.store_call():
            size: Any = self.client.dbsize()
        return Estimate(round(found * size / len(names)))

    def locate(self, key: str) -> list[Location]:
        name = self.name(key)
        payload, expires = self._entry(name)
        return [] if payload is None else [Location(self.label, name, payload, expires)]

    def _entry(self, name: str) -> tuple[bytes | None, datetime | None]:
        with self.store_call():
            pipeline = self.client.pipeline(transaction=False)
            pipeline.get(name)
            pipeline.pttl(name)
            payload, life = pipeline.execute()
        return payload, expiry_from_ttl(None if life < 0 else life / 1000)

    def _held(self, payload: bytes) -> Entry:
        decode = partial(decode_session, self.decode, payload)
        return Entry(payload, decode, is_cache_tombstone=is_cache_tombstone(payload))


class DjangoRedisStore(RedisStore):
    """django-redis, with whatever serializer and compressor it is set up with.

    Errors are errors here, with DJANGO_REDIS_IGNORE_EXCEPTIONS too: an ignored one
    would sign people out.
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
