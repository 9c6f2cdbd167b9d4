"""Sessions in Redis or Valkey. Each step is one command on one key, as a Redis Cluster requires."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from operator import methodcaller
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy
from redis import ConnectionPool
from redis.exceptions import RedisError, WatchError

from cookieproj.engines.entries import Entry, Location
from cookieproj.engines.exceptions import StoreError, StoreReadOnlyError
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store
from cookieproj.engines.validation import decode_valid

from .generic import (
    expiry_from_ttl,
    is_cache_tombstone,
    new_tombstone,
    no_data,
    seconds_until,
)
from .redis_client import client_of
from .redis_direct import direct
from .redis_errors import WRONG_LOCATION, refuse_decode_responses, store_error
from .redis_listing import RedisListing
from .redis_steps import DELETE, SWAP, TOUCH, Server, Step, known_servers, server_of


class RedisStore(RedisListing):
    """Sessions in Django's own Redis cache.

    Every command goes to the primary, as a replica that lags would not know a new session yet.
    """

    compares_and_swaps = True
    errors: tuple[type[Exception], ...] = (RedisError, OSError)

    @property
    def client(self) -> Any:
        return client_of(self.cache)

    @property
    def detour(self) -> str | Promise:
        servers = map(known_servers.get, self._pools())
        if all(server is None or server.best_command(SWAP) for server in servers):
            return ""
        return format_lazy(
            gettext_lazy(
                "{place} does not let this user run scripts, so each save takes three round "
                "trips instead of one."
            ),
            place=self.label,
        )

    def check_settings(self) -> None:
        try:
            pool: ConnectionPool = self.client.connection_pool
        except ValueError:
            raise ImproperlyConfigured(WRONG_LOCATION) from None
        refuse_decode_responses(pool.connection_kwargs)

    def _raise_store_error(self, error: BaseException) -> None:
        """Close the idle connections if redis-py was interrupted, by a signal handler for example.

        Its client gives the connection back with an unread answer, which the next command would
        take for its own.
        """
        if not isinstance(error, self.errors):
            with suppress(*self.errors):
                for pool in self._pools():
                    pool.disconnect(inuse_connections=False)
        super()._raise_store_error(error)

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
        return f"{self.server_name} {getattr(pool, 'service_name', address)}/{self._database}"

    @property
    def server_name(self) -> str:
        return "Redis"

    @property
    def kind(self) -> str:
        """The same for Valkey, because a Valkey can replace a Redis and take over its data."""
        return f"Redis {self._database}"

    @property
    def _database(self) -> int:
        return int(self.client.connection_pool.connection_kwargs.get("db") or 0)

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        if with_expiry:
            payload, expires = self._read_with_expiry(self.name(key))
            return None if payload is None else replace(self._entry(payload), expires=expires)
        stored = self._command(methodcaller("get", self.name(key)))
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
        return old if self._if_unchanged(TOUCH, key, old, seconds_until(expires)) else None

    def _swap(self, key: str, old: Entry, payload: bytes, expires: datetime) -> bool:
        seconds = seconds_until(expires)
        if seconds <= 0:
            # No command stores an entry whose expiry is past.
            return self.compare_and_delete(key, old)
        return self._if_unchanged(SWAP, key, old, payload, seconds)

    def delete(self, key: str) -> None:
        self._write(lambda client: client.delete(self.name(key)))

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        return self._if_unchanged(DELETE, key, old)

    def name(self, key: str) -> str:
        """Return the entry's name. Redis accepts every name, also those that Django warns of."""
        name: str = self.cache.make_key(self.name_of(key))
        return name

    def _if_unchanged(self, step: Step, key: str, old: Entry, *arguments: Any) -> bool:
        """Make the change by the best command that the server has, or in a transaction."""
        name = self.name(key)
        server = self._server(name)
        while command := server.best_command(step):
            words = command.words(name, old.token, *arguments)
            try:
                return bool(self._write(methodcaller("execute_command", *words)))
            except StoreError as error:
                if not command.is_refused(error.__cause__):
                    raise
                server.refused.add(command.title)
        return bool(
            self._retry_on_new_connection(
                lambda: self._in_transaction(step, name, old.token, *arguments)
            )
        )

    def _server(self, name: str) -> Server:
        """Return the server that has the entry of that name."""
        try:
            return server_of(self._pool(name))
        except self.errors as error:
            raise self.store_error(error) from error

    def _pool(self, name: str) -> ConnectionPool:
        """Return the connection pool of that server."""
        pool: ConnectionPool = self.client.connection_pool
        return pool

    def _pools(self) -> list[ConnectionPool]:
        return [self.client.connection_pool]

    def _in_transaction(self, step: Step, name: str, token: bytes, *arguments: Any) -> bool:
        """Compare and change in three round trips: WATCH aborts it if another client is faster."""
        with self.client.pipeline(transaction=True) as transaction:
            return self._compare_and_change(transaction, step, name, token, *arguments)

    def _compare_and_change(
        self,
        transaction: Any,
        step: Step,
        name: str,
        token: bytes,
        *arguments: Any,
        prepare: Callable[[], object] = lambda: None,
    ) -> bool:
        """Run the step in that transaction; ``prepare`` is called before each round trip."""
        with self.store_call():
            prepare()
            transaction.watch(name)
        with self.store_call():
            prepare()
            stored = transaction.get(name)
        if stored != token:
            return False
        transaction.multi()
        step.in_transaction(transaction, name, *arguments)
        with self.store_call():
            try:
                prepare()
                transaction.execute()
            except WatchError as error:
                if error.__context__ is None:
                    return False
                # The connection broke: it is unknown whether the change was made.
                raise ConnectionError(*error.args) from error
        return True

    def _write(self, command: Callable[[Any], Any]) -> Any:
        return self._retry_on_new_connection(partial(self._command, command))

    def _command(self, command: Callable[[Any], Any]) -> Any:
        """Run one command, in one round trip."""
        with self.store_call():
            return command(direct(self.client))

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

    def locate(self, key: str) -> list[Location]:
        name = self.name(key)
        payload, expires = self._read_with_expiry(name)
        return [] if payload is None else [Location(self.label, name, payload, expires)]

    def _read_with_expiry(self, name: str) -> tuple[bytes | None, datetime | None]:
        def read(client: Any) -> Any:
            pipeline = client.pipeline(transaction=False)
            pipeline.get(name)
            pipeline.pttl(name)
            return pipeline.execute()

        payload, ttl = self._call(read)
        return payload, expiry_from_ttl(None if ttl < 0 else ttl / 1000)

    def _entry(self, payload: bytes) -> Entry:
        if is_cache_tombstone(payload):
            return Entry(payload, no_data, is_cache_tombstone=True)
        return Entry(payload, partial(decode_valid, self.decode, payload))


class DjangoRedisStore(RedisStore):
    """Sessions in a cache of django-redis, with the serializer and compressor of its settings.

    Errors are raised even with DJANGO_REDIS_IGNORE_EXCEPTIONS: an ignored error would sign people
    out.
    """

    @property
    def client(self) -> Any:
        return self.cache.client.get_client(write=True)

    @property
    def server_name(self) -> str:
        name: str = self.cache.client._options.get("SERVER_NAME", "Redis")
        return name

    @property
    def encode(self) -> Callable[[Data], bytes]:
        encode: Callable[[Data], bytes] = self.cache.client.encode
        return encode

    @property
    def decode(self) -> Callable[[bytes], Any]:
        decode: Callable[[bytes], Any] = self.cache.client.decode
        return decode
