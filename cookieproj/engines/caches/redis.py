"""Sessions in Redis: one command for each step, whole because Redis runs one at a time."""

import re
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from django.utils.translation import gettext as _
from redis import Redis as Client
from redis.exceptions import RedisError

from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.listable import Estimate
from cookieproj.engines.merge import Data
from cookieproj.engines.stored import Listed, Location, Page, Stored

from .other import Cache, expiry, grave, session_in

# Where KEYS[1] holds ARGV[1], put ARGV[2] for ARGV[3] seconds; an empty ARGV[2] moves the expiry
# only. SET takes no time that is past already, EXPIRE does.
SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
return redis.call('EXPIRE', KEYS[1], ARGV[3])
"""

# Delete KEYS[1] if it holds ARGV[1].
TAKE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

# What moved from KEYS[1] to KEYS[2]; 0 where that is taken, nil where there was nothing.
RENAME = """
local held = redis.call('GET', KEYS[1])
if held and redis.call('RENAMENX', KEYS[1], KEYS[2]) == 0 then return 0 end
return held
"""


# Names by which to count: in a tenth of a second or so, and true to half a percent with most odds.
COUNTED = 50_000
COUNTED_AT_ONCE = 1000


def rest(name: str, around: tuple[str, str]) -> str | None:
    """What stands between those two in a name; None if it is another's."""
    before, after = around
    if not (name.startswith(before) and name.endswith(after)):
        return None
    return name[len(before) : len(name) - len(after)]


class Redis(Cache):
    """Django's own cache for Redis.

    Every command goes to the primary: a replica that lags would not know a session yet.
    """

    compares_and_swaps = True
    errors = (RedisError, OSError)

    @property
    def client(self) -> Client:
        client: Client = self.cache._cache.get_client(write=True)
        return client

    def encode(self, data: Data) -> bytes:
        encoded: bytes = self.cache._cache._serializer.dumps(data)
        return encoded

    def decode(self, payload: bytes) -> Any:
        return self.cache._cache._serializer.loads(payload)

    def form(self, data: Data) -> Data:
        form: Data = self.decode(self.encode(data))
        return form

    @property
    def place(self) -> str:
        pool = self.client.connection_pool
        settings = pool.connection_kwargs
        address = settings.get("path") or f"{settings.get('host')}:{settings.get('port')}"
        return f"Redis {getattr(pool, 'service_name', address)}/{settings.get('db', 0)}"

    def get(self, key: str) -> Stored | None:
        with self.reached():
            payload: Any = self.client.get(self.cache.make_key(key))
        return None if payload is None else self._held(payload)

    def add(self, key: str, data: Data, seconds: int) -> Stored | None:
        payload, name = self.encode(data), self.cache.make_key(key)
        with self.reached():
            # A time that is past already: it is gone as soon as it is there.
            won = seconds <= 0 or self.client.set(name, payload, nx=True, ex=int(seconds))
        return self._held(payload) if won else None

    def swap(self, key: str, base: Stored | None, data: Data, seconds: int) -> Stored | None:
        if base is None:
            return self.add(key, data, seconds)
        payload = self.encode(data)
        return self._held(payload) if self._swap(key, base, payload, seconds) else None

    def put(self, key: str, base: Stored, data: Data, seconds: int) -> Stored | None:
        """By the payload alone, so that nothing is decoded."""
        payload = self.encode(data)
        if payload == base.token:
            return base if self.touch(key, base, seconds) else None
        return self._held(payload) if self._swap(key, base, payload, seconds) else None

    def touch(self, key: str, base: Stored, seconds: int) -> bool:
        return self._swap(key, base, b"", seconds)

    def _swap(self, key: str, base: Stored, payload: bytes, seconds: int) -> bool:
        arguments: Any = [base.token, payload, int(seconds)]
        with self.reached():
            return bool(self.client.eval(SWAP, 1, self.cache.make_key(key), *arguments))

    def rename(self, key: str, new_key: str, seconds: int) -> Stored | None:
        make_key = self.cache.make_key
        with self.reached():
            payload: Any = self.client.eval(RENAME, 2, make_key(key), make_key(new_key))
        if payload == 0:
            raise CreateError
        return None if payload is None else self._held(payload)

    def delete(self, key: str) -> None:
        with self.reached():
            self.client.delete(self.cache.make_key(key))

    def take(self, key: str, base: Stored) -> bool:
        with self.reached():
            return bool(self.client.eval(TAKE, 1, self.cache.make_key(key), base.token))

    def inspect(self, key: str) -> Stored | None:
        payload, expires = self._entry(self.cache.make_key(key))
        return None if payload is None else replace(self._held(payload), expires=expires)

    def bury(self, key: str) -> None:
        mark, seconds = grave()
        with self.reached():
            self.client.set(self.cache.make_key(key), mark, ex=seconds)

    def exists(self, key: str) -> bool:
        with self.reached():
            return bool(self.client.exists(self.cache.make_key(key)))

    def alive(self, keys: Collection[str]) -> set[str]:
        with self.reached():
            pipeline = self.client.pipeline(transaction=False)
            for key in keys:
                pipeline.exists(self.cache.make_key(key))
            found = pipeline.execute()
        return {key for key, there in zip(keys, found, strict=True) if there}

    def page(self, prefix: str, position: str, size: int) -> Page:
        """Steps of a scan, until they have brought enough; one may bring nothing."""
        around = self._around(prefix)
        pattern = "*".join(re.sub(r"([*?\[\]\\])", r"\\\1", part) for part in around)
        cursor = int(position or 0)
        listed: list[Listed] = []
        while True:
            with self.reached():
                scanned: Any = self.client.scan(cursor, match=pattern, count=size)
            cursor, names = scanned
            listed += self._listed(names, around) if names else ()
            if cursor == 0 or len(listed) >= size:
                return Page(listed, str(cursor or ""))

    def _around(self, prefix: str) -> tuple[str, str]:
        """What stands before and after the rest of such a key in its name here.

        Raises NotListableError where KEY_FUNCTION leaves no key in a name: where it hashes, say.
        """
        probes = [secrets.token_hex(16) for _ in range(2)]
        found = {tuple(self.cache.make_key(prefix + probe).split(probe)) for probe in probes}
        match list(found):
            case [(str(before), str(after))]:
                return before, after
        raise NotListableError(
            _(
                "Sessions in %(cache)s cannot be listed: the KEY_FUNCTION of the cache leaves no "
                "session key in a name."
            )
            % {"cache": self.place}
        )

    def _listed(self, names: list[bytes], around: tuple[str, str]) -> Iterator[Listed]:
        with self.reached():
            pipeline = self.client.pipeline(transaction=False)
            pipeline.mget(names)
            for name in names:
                pipeline.pttl(name)
            payloads, *lives = pipeline.execute()
        for name, payload, life in zip(names, payloads, lives, strict=True):
            if payload is not None:
                expires = expiry(None if life < 0 else life / 1000)
                stored = replace(self._held(payload), expires=expires)
                yield Listed(rest(name.decode(), around) or "", payload, stored)

    def count(self, prefix: str, counts: Callable[[str], bool]) -> int:
        """Exact in a database of about COUNTED names; in a larger one an Estimate by so many.

        Redis tells names in the order of their hashes, so the first are a fair sample.
        """
        around = self._around(prefix)
        cursor, names = 0, set[bytes]()
        while True:
            with self.reached():
                scanned: Any = self.client.scan(cursor, count=COUNTED_AT_ONCE)
            cursor, more = scanned
            names.update(more)
            if cursor == 0 or len(names) >= COUNTED:
                break
        keys = (rest(name.decode(errors="replace"), around) for name in names)
        found = sum(key is not None and counts(key) for key in keys)
        if cursor == 0:
            return found
        with self.reached():
            size: Any = self.client.dbsize()
        return Estimate(round(found * size / len(names)))

    def locate(self, key: str) -> list[Location]:
        name = self.cache.make_key(key)
        payload, expires = self._entry(name)
        return [] if payload is None else [Location(self.place, name, payload, expires)]

    def _entry(self, name: str) -> tuple[bytes | None, datetime | None]:
        with self.reached():
            pipeline = self.client.pipeline(transaction=False)
            pipeline.get(name)
            pipeline.pttl(name)
            payload, life = pipeline.execute()
        return payload, expiry(None if life < 0 else life / 1000)

    def _held(self, payload: bytes) -> Stored:
        return Stored(payload, partial(session_in, self.decode, payload))


class DjangoRedis(Redis):
    """django-redis, with whatever serializer and compressor it is set up with.

    Errors are errors here, with DJANGO_REDIS_IGNORE_EXCEPTIONS too: an ignored one
    would sign people out.
    """

    @property
    def client(self) -> Client:
        client: Client = self.cache.client.get_client(write=True)
        return client

    def encode(self, data: Data) -> bytes:
        encoded: bytes = self.cache.client.encode(data)
        return encoded

    def decode(self, payload: bytes) -> Any:
        return self.cache.client.decode(payload)
