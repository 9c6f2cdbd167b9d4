"""Lists and counts the sessions in Redis, by SCAN."""

import re
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from cookieproj.engines.constants import SESSION_TOMBSTONE
from cookieproj.engines.entries import Entry, ListedSession, Page
from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.listing import Estimate
from cookieproj.engines.merge import Data

from .generic import GenericCacheStore, expiry_from_ttl, no_data

# Names in the sample of ``count``: it takes about 0.1 s, and its error is mostly below 0.5 %.
COUNT_SAMPLE_SIZE = 50_000
COUNT_BATCH_SIZE = 1000

# A node of a cluster; None if there is only one server.
Shard = Any


def key_part(name: str, affixes: tuple[str, str]) -> str | None:
    """Return the part of a name between those two texts, the session key; None if it has others."""
    before, after = affixes
    if not (name.startswith(before) and name.endswith(after)):
        return None
    return name[len(before) : len(name) - len(after)]


class RedisListing(GenericCacheStore):
    """The part of ``RedisStore`` that lists and counts sessions."""

    @property
    def client(self) -> Any:
        raise NotImplementedError

    @property
    def encode(self) -> Callable[[Data], bytes]:
        raise NotImplementedError

    def _call(self, command: Callable[[Any], Any]) -> Any:
        """Run a command or a pipeline of the client, in one round trip."""
        with self.store_call():
            return command(self.client)

    def page(self, position: str, size: int) -> Page:
        return self._page_of(None, position, size)

    def count(self) -> int:
        return self._count_of(None, 1)

    def live_keys(self, keys: Collection[str]) -> set[str]:
        """Return the keys of live sessions, by the length of their payloads.

        Only an entry as long as a tombstone has to be read, which hardly any session is.
        """

        def lengths_of(client: Any) -> list[int]:
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.strlen(self.name(key))
            lengths: list[int] = pipeline.execute()
            return lengths

        lengths = self._call(lengths_of)
        tombstone_length = len(self.encode(SESSION_TOMBSTONE))
        return {
            key
            for key, length in zip(keys, lengths, strict=True)
            if length and (length != tombstone_length or self.exists(key))
        }

    def _scan(self, shard: Shard, cursor: int, **options: Any) -> tuple[int, list[bytes]]:
        """Return the next cursor, 0 at the end, and some names."""
        scanned: tuple[int, list[bytes]] = self.client.scan(cursor, **options)
        return scanned

    def _size(self, shard: Shard) -> int:
        """Return the number of names, also those of other data."""
        size: int = self.client.dbsize()
        return size

    def _page_of(self, shard: Shard, position: str, size: int) -> Page:
        """Scan until ``size`` sessions are found. A scan step may return none."""
        affixes = self._affixes()
        pattern = "*".join(re.sub(r"([*?\[\]\\])", r"\\\1", part) for part in affixes)
        cursor = int(position or 0)
        listed: list[ListedSession] = []
        while True:
            with self.store_call():
                cursor, names = self._scan(shard, cursor, match=pattern, count=size)
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
        def read(client: Any) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for name in names:
                # One key per command, as a Redis Cluster requires.
                pipeline.get(name)
                pipeline.pttl(name)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            for error in answers:
                # WRONGTYPE is the answer for another type, a list for instance, which no cache has
                # stored.
                if isinstance(error, RedisError) and not str(error).startswith("WRONGTYPE"):
                    raise error
            return answers

        answers = self._call(read)
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
            return ListedSession(key, b"", Entry(None, no_data, expires))
        entry = self._entry(payload) if text.encode() == name else Entry(None, no_data)
        return ListedSession(key, payload, replace(entry, expires=expires))

    def _count_of(self, shard: Shard, shards: int) -> int:
        """Return the number in one of so many shards: exact if it has few names, else an Estimate.

        Redis scans names in the order of their hashes, so the first ones are a fair sample.
        """
        sample_size = COUNT_SAMPLE_SIZE // shards
        affixes = self._affixes()
        cursor, names = 0, set[bytes]()
        while True:
            with self.store_call():
                cursor, batch = self._scan(shard, cursor, count=COUNT_BATCH_SIZE)
            names.update(batch)
            if cursor == 0 or len(names) >= sample_size:
                break
        keys = (key_part(name.decode(errors="replace"), affixes) for name in names)
        sessions = sum(key is not None and self.is_own(key) for key in keys)
        if cursor == 0:
            return sessions
        with self.store_call():
            size = self._size(shard)
        return Estimate(round(sessions * size / len(names)))
