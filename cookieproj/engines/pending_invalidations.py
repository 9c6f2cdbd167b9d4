"""Copies that could not be replaced while their cache was unreachable."""

import threading
from collections import OrderedDict
from itertools import islice

FLUSHED_AT_ONCE = 100


class PendingInvalidations:
    """The copies that are behind the database: to each a tombstone is owed.

    It is written once the cache is back. Until then other processes read those copies, if their
    own way to the cache is open; saves find the row anyway. Should this process end before, they
    are read until they expire.

    Of more than ``most``, at some 200 bytes each, this process loses count: ``is_full``.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        # By the cache and the session key.
        self._copies: OrderedDict[tuple[str, str], None] = OrderedDict()
        # Whether there were more than could be noted, at any time.
        self.is_full = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._copies)

    def add(self, cache: str, key: str) -> bool:
        """Whether this is the first one that it has no room for."""
        with self._lock:
            if (cache, key) in self._copies or len(self) < self.most:
                self._copies[cache, key] = None
                return False
            is_first, self.is_full = not self.is_full, True
            return is_first

    def take_due(self, cache: str, key: str) -> list[str]:
        """That key, if it is among them, and some others of the cache: an outage leaves many."""
        with self._lock:
            first = list(islice(self._copies, FLUSHED_AT_ONCE))
        others = [each for where, each in first if where == cache]
        return [key, *others] if (cache, key) in self._copies else others

    def done(self, cache: str, key: str) -> None:
        with self._lock:
            self._copies.pop((cache, key), None)
