"""Invalidations of copies that are due once the unreachable cache answers again."""

import threading
from collections import OrderedDict
from itertools import islice

FLUSHED_AT_ONCE = 100


class PendingInvalidations:
    """The copies that are older than their rows and still need a tombstone.

    The tombstone is written once the cache is reachable again. Until then other processes that
    reach the cache read those outdated copies; their saves compare with the row all the same. If
    this process ends before, the copies are read until they expire.

    At most ``limit`` copies are kept, at some 200 bytes each. Beyond that, ``is_full`` is set.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # The keys are pairs of the cache's label and the session key.
        self._copies: OrderedDict[tuple[str, str], None] = OrderedDict()
        # Whether a copy has ever been dropped for lack of room.
        self.is_full = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._copies)

    def add(self, cache: str, key: str) -> bool:
        """Note the copy; return True if it is the first that there is no room for."""
        with self._lock:
            if (cache, key) in self._copies or len(self) < self.limit:
                self._copies[cache, key] = None
                return False
            is_first, self.is_full = not self.is_full, True
            return is_first

    def due(self, cache: str, key: str) -> list[str]:
        """Return that key if it is pending, and some others of the cache: an outage leaves many."""
        with self._lock:
            oldest = list(islice(self._copies, FLUSHED_AT_ONCE))
        others = [pending for pending_cache, pending in oldest if pending_cache == cache]
        return [key, *others] if (cache, key) in self._copies else others

    def done(self, cache: str, key: str) -> None:
        """Forget the copy, as its tombstone is written."""
        with self._lock:
            self._copies.pop((cache, key), None)
