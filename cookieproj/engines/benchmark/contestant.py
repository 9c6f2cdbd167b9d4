"""Something that serves the kinds of request, and how long it took."""

import statistics
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor
from typing import Any
from wsgiref.types import WSGIApplication

from .views import KINDS
from .visitor import Visitor

# Requests that one subject serves before it is another's turn.
TURN = 10

# Those before them in each turn, which are not timed.
WARM_UP = 3


class Subject:
    """An application, its visitors, and how long their requests took.

    ``counter`` opens what counts the trips of a request; without one they are not known.
    """

    def __init__(
        self,
        name: str,
        application: WSGIApplication,
        payload: dict[str, Any],
        *,
        kinds: Collection[str] = tuple(KINDS),
        visitors: int = 1,
        counter: Callable[[], Any] | None = None,
    ) -> None:
        self.name = name
        self.kinds = kinds
        self.visitors = [Visitor(application, payload) for _ in range(visitors)]
        self.trips = {kind: self._trips(kind, counter) for kind in kinds}
        # Seconds of each request, by turns.
        self.turns: dict[str, list[list[float]]] = {kind: [] for kind in kinds}

    def _trips(self, kind: str, counter: Callable[[], Any] | None) -> int | None:
        if counter is None:
            return None
        visitor = self.visitors[0]
        # Once before, so that connections are open and statements put together.
        visitor.visit(kind)
        visitor.prepare(kind)
        with counter() as trips:
            visitor.request(kind)
        return int(trips.number)

    def turn(self, kind: str, requests: int, threads: Executor | None) -> None:
        """So many requests of each visitor, all visitors at the same time."""

        def take(visitor: Visitor) -> list[float]:
            # After others had their turn, nothing that this one needs is near at hand.
            for _ in range(WARM_UP):
                visitor.visit(kind)
            return [visitor.visit(kind) for _ in range(requests)]

        taken: Iterable[list[float]] = (threads.map if threads else map)(take, self.visitors)
        self.turns[kind].append([seconds for each in taken for seconds in each])

    def times(self, kind: str) -> list[float]:
        return [seconds for turn in self.turns[kind] for seconds in turn]


def ratio(one: Subject, other: Subject, kind: str) -> float:
    """How much of the other's time the one takes: the median over the pairs of their turns."""
    pairs = zip(one.turns[kind], other.turns[kind], strict=True)
    return statistics.median(
        statistics.median(mine) / statistics.median(theirs) for mine, theirs in pairs
    )


def rounds(
    subjects: Collection[Subject],
    requests: int,
    *,
    threads: Executor | None = None,
    progress: Callable[[int], object] = lambda requests: None,
) -> None:
    """So many timed requests of each kind by each visitor of each subject, turn by turn.

    Every other round goes the other way round, so that nobody always comes after the same.
    ``progress`` is called after each turn with the number of its requests.
    """
    kinds = dict.fromkeys(kind for subject in subjects for kind in subject.kinds)
    order = list(subjects)
    for done in range(0, requests, TURN):
        size = min(TURN, requests - done)
        for kind in kinds:
            for subject in order:
                if kind in subject.kinds:
                    subject.turn(kind, size, threads)
                    progress(size)
        order.reverse()
