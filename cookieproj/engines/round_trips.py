"""Counts and times the round trips of a request to its session store."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any


class RoundTrips:
    """The ``number`` of a request's round trips, and the ``seconds`` that they took together."""

    def __init__(self) -> None:
        self.number = 0
        self.seconds = 0.0
        self._depth = 0
        self._began = 0.0

    def __enter__(self) -> None:
        # A round trip within another one is a part of it.
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.number += 1
            self.seconds += time.perf_counter() - self._began


_counting: ContextVar[RoundTrips | None] = ContextVar("counting", default=None)

NOT_COUNTED: AbstractContextManager[None] = nullcontext()


def round_trip() -> AbstractContextManager[None]:
    """Return the context manager for one round trip to a store."""
    return _counting.get() or NOT_COUNTED


class StoreCall:
    """A round trip with a function ``failed`` for its errors.

    ``failed`` raises the StoreError that the error means, or returns for an error of another kind.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self.failed = failed

    def __enter__(self) -> None:
        self._trips = _counting.get()
        if self._trips is not None:
            self._trips.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._trips is not None:
            self._trips.__exit__(kind, error, trace)
        if error is not None:
            self.failed(error)


@contextmanager
def count_round_trips() -> Iterator[RoundTrips]:
    """Count the round trips of our engines within the block. Other engines' are not counted.

    One statement or command to a server counts as one, including the savepoint of a statement in a
    transaction. So does one step in the file system, or one access to this process's memory under
    its lock.
    """
    trips = RoundTrips()
    token = _counting.set(trips)
    try:
        yield trips
    finally:
        _counting.reset(token)
