"""How often a request goes to its session store, and for how long, for whoever watches."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any


class RoundTrips:
    """Those of one request: their ``number``, and the ``seconds`` that they took together."""

    def __init__(self) -> None:
        self.number = 0
        self.seconds = 0.0
        self._depth = 0
        self._began = 0.0

    def __enter__(self) -> None:
        # What is made on the way, inside another one, is part of that.
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.number += 1
            self.seconds += time.perf_counter() - self._began


_watched: ContextVar[RoundTrips | None] = ContextVar("trips", default=None)

NOT_COUNTED: AbstractContextManager[None] = nullcontext()


def round_trip() -> AbstractContextManager[None]:
    """What goes to a store and back stands inside this."""
    return _watched.get() or NOT_COUNTED


class StoreCall:
    """A trip whose failure is one of the store's: ``failed`` raises that, or returns for others."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self.failed = failed

    def __enter__(self) -> None:
        self._trip = round_trip()
        self._trip.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._trip.__exit__(kind, error, trace)
        if error is not None:
            self.failed(error)


@contextmanager
def count_round_trips() -> Iterator[RoundTrips]:
    """Count the trips of our engines until the block ends; those of others are not seen.

    To a server one is one: a statement, or a command; inside somebody's transaction a
    statement has its savepoint with it. To files it is a step of the file system, to the
    memory of this process a look under its lock.
    """
    trips = RoundTrips()
    token = _watched.set(trips)
    try:
        yield trips
    finally:
        _watched.reset(token)
