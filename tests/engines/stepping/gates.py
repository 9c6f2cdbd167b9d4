"""Pauses a request before each call of a store method.

Each request is a greenlet, so only one runs at a time. The calls are atomic in the stores
themselves, and between two calls a request touches nothing that other requests see.
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

# The store methods that count as one call. A call inside another is a part of it. Of the file
# store, these are the methods that hold its lock.
STORE_METHODS: dict[type, str] = {
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

# More calls than any request needs.
MAX_CALLS = 500


class EndlessRequestError(Exception):
    """A request calls its store again and again."""


@dataclass(frozen=True)
class StoreCall:
    actor: int
    # Counts the calls of this actor.
    number: int
    name: str
    key: str
    result: object
    failure: str | None


class Actor(greenlet):  # type: ignore[misc]
    """A request or a command that pauses before each of its store calls."""

    def __init__(
        self,
        number: int,
        action: Callable[[], object],
        failures: dict[int, str],
        calls: list[StoreCall],
    ) -> None:
        super().__init__(action)
        # A request in a thread has a context of its own, too.
        self.gr_context = copy_context()
        self.number = number
        # By the number of the call: whether it fails "before" or "after" its effect.
        self.failures = failures
        self.has_failed = False
        self.call_count = 0
        self.calls = calls
        self._is_in_call = False

    def pause(self) -> None:
        """Let the scheduler choose the next actor."""
        self.parent.switch()

    def call(self, name: str, key: str, method: Callable[[], Any]) -> Any:
        if self._is_in_call:
            return method()
        self.pause()
        failure = self.failures.get(self.call_count)
        self.call_count += 1
        if self.call_count > MAX_CALLS:
            raise EndlessRequestError
        result: object = None
        try:
            if failure == "before":
                raise unreachable()
            self._is_in_call = True
            result = method()
            if failure == "after":
                raise unreachable()
            return result
        except Exception as error:
            result = result or error
            raise
        finally:
            self._is_in_call = False
            self.has_failed = self.has_failed or failure is not None
            # A copy, since the session may change the data afterwards.
            result = copy(result) if isinstance(result, dict) else result
            self.calls.append(
                StoreCall(self.number, self.call_count - 1, name, key, result, failure)
            )


def unreachable() -> StoreUnavailableError:
    return StoreUnavailableError("the store", "It does not answer.")


@contextmanager
def pausing_at_store_calls() -> Iterator[None]:
    """Make actors pause before each store call."""
    with ExitStack() as stack:
        # All actors share one connection, so a transaction would include the calls of others.
        stack.enter_context(mock.patch.object(RowStore, "batched", return_value=nullcontext()))
        for owner, names in STORE_METHODS.items():
            for name in names.split():
                if name in vars(owner):
                    method = pausing_method(owner, name)
                    stack.enter_context(mock.patch.object(owner, name, method))
        yield


def pausing_method(owner: type, name: str) -> Any:
    original = vars(owner)[name]
    full_name = f"{owner.__module__.rpartition('.')[2]}.{name}"

    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        actor = getcurrent()
        if not isinstance(actor, Actor):
            return original(self, *arguments, **options)
        key = key_of(self, *arguments)
        return actor.call(full_name, key, lambda: original(self, *arguments, **options))

    return method


def key_of(store: Any, first: Any = None, *more: Any) -> str:
    """Return the key of the session that a method is called for."""
    key = getattr(first, "session_key", first)
    return key if isinstance(key, str) else str(getattr(store, "_session_key", ""))
