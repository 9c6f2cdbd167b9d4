"""Where a request is stopped: at each trip to a store, which is as whole as the store's own is.

Each request is a greenlet, so one alone runs at a time, and it is stopped nowhere else: between
two trips it touches nothing that others see.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import copy_context
from copy import copy
from dataclasses import dataclass
from typing import Any
from unittest import mock

from django.contrib.sessions.backends.db import SessionStore as DjangosDB
from django.contrib.sessions.backends.file import SessionStore as DjangosFile
from django.core.cache.backends.locmem import LocMemCache
from greenlet import getcurrent, greenlet

from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.caches.memcached import MemcachedStore
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.caches.redis import RedisStore
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.file_store import FileStore
from cookieproj.engines.mongodb_store import MongoDBStore
from cookieproj.engines.row_store import RowStore
from cookieproj.engines.sql_statements import Table

# All there is to know of what a trip is. One that is made on the way, inside another one, is a part
# of that: of files those stand here who hold the lock.
TRIPS: dict[type, str] = {
    Table: (
        "read insert compare_and_swap touch delete compare_and_delete stored_data delete_expired "
        "page"
    ),
    GenericCacheStore: "delete exists",
    MemoryStore: "read insert compare_and_swap touch compare_and_delete write_tombstone",
    RedisStore: (
        "read insert compare_and_swap put touch delete compare_and_delete write_tombstone page"
    ),
    MemcachedStore: (
        "read insert compare_and_swap touch delete compare_and_delete write_tombstone"
    ),
    FileStore: "read insert compare_and_swap touch delete compare_and_delete purge exists",
    MongoDBStore: "read insert compare_and_swap touch delete compare_and_delete purge page",
    DjangosDB: "_get_session_from_db exists save delete",
    DjangosFile: "load exists save delete",
    LocMemCache: "get set add delete touch has_key",
}

# More of them than any request needs.
MOST = 500


class NeverEndsError(Exception):
    """A request that goes to its store again and again."""


@dataclass(frozen=True)
class Trip:
    """One that was made, for people to read."""

    actor: int
    # Of those that this actor makes.
    number: int
    name: str
    key: str
    result: object
    failure: str | None


class Actor(greenlet):  # type: ignore[misc]
    """A request, or a process, that is stopped at each of its trips."""

    def __init__(
        self, number: int, work: Callable[[], object], failures: dict[int, str], trips: list[Trip]
    ) -> None:
        super().__init__(work)
        # As a request has it in a thread of its own.
        self.gr_context = copy_context()
        self.number = number
        # By the number of the trip: whether it fails "before" its effect, or "after" it.
        self.failures = failures
        self.has_failed = False
        self.made = 0
        self.trips = trips
        self._is_on_one = False

    def pause(self) -> None:
        """Let whoever is chosen go on."""
        self.parent.switch()

    def trip(self, name: str, key: str, work: Callable[[], Any]) -> Any:
        if self._is_on_one:
            return work()
        self.pause()
        failure = self.failures.get(self.made)
        self.made += 1
        if self.made > MOST:
            raise NeverEndsError
        result: object = None
        try:
            if failure == "before":
                raise away()
            self._is_on_one = True
            result = work()
            if failure == "after":
                raise away()
            return result
        except Exception as error:
            result = result or error
            raise
        finally:
            self._is_on_one = False
            self.has_failed = self.has_failed or failure is not None
            # As it was: what a session makes of it follows.
            result = copy(result) if isinstance(result, dict) else result
            self.trips.append(Trip(self.number, self.made - 1, name, key, result, failure))


def away() -> StoreUnavailableError:
    return StoreUnavailableError("the store", "It does not answer.")


@contextmanager
def stepped() -> Iterator[None]:
    """Those who make a trip are stopped before it, if they are actors."""
    with ExitStack() as stack:
        # All share one connection: what others do meanwhile is no part of that transaction.
        stack.enter_context(mock.patch.object(RowStore, "batched", return_value=nullcontext()))
        for owner, names in TRIPS.items():
            for name in names.split():
                if name in vars(owner):
                    stop = stopping(owner, name)
                    stack.enter_context(mock.patch.object(owner, name, stop))
        yield


def stopping(owner: type, name: str) -> Any:
    really = vars(owner)[name]
    full_name = f"{owner.__module__.rpartition('.')[2]}.{name}"

    def stop(self: Any, *arguments: Any, **options: Any) -> Any:
        actor = getcurrent()
        if not isinstance(actor, Actor):
            return really(self, *arguments, **options)
        key = key_of(self, *arguments)
        return actor.trip(full_name, key, lambda: really(self, *arguments, **options))

    return stop


def key_of(store: Any, first: Any = None, *more: Any) -> str:
    """Which session's trip it is."""
    found = getattr(first, "session_key", first)
    return found if isinstance(found, str) else str(getattr(store, "_session_key", ""))
