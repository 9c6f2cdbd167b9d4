"""A clock that tests move by hand, and that moves the expiries in servers with it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import time_machine

from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.handover_mixin import store_of


class Clock:
    """The time of this process. A cache on a server has a clock of its own.

    So its entry gets as many seconds less to live as this clock is moved.
    """

    def __init__(self, travel: time_machine.Traveller, engine: Any) -> None:
        self.travel = travel
        store = store_of(engine)
        self.cache = getattr(store, "copies", store)

    @property
    def is_on_server(self) -> bool:
        return isinstance(self.cache, GenericCacheStore) and not isinstance(self.cache, MemoryStore)

    def move(self, seconds: int, key: str) -> None:
        self.travel.shift(seconds)
        entry = self.cache.read(key, with_expiry=True) if self.is_on_server else None
        if entry and entry.expires:
            self.cache.touch(key, entry, entry.expires - timedelta(seconds=seconds))


@contextmanager
def stopped_clock(engine: Any) -> Iterator[Clock]:
    with time_machine.travel(time.time(), tick=False) as travel:
        yield Clock(travel, engine)
