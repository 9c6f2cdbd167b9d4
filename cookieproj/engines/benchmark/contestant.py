"""The contestants of a benchmark, which serve the same requests turn by turn, and their times."""

import statistics
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor
from typing import Any
from wsgiref.types import WSGIApplication

from .views import KINDS
from .visitor import Visitor

# Timed requests that each visitor sends in one turn.
REQUESTS_PER_TURN = 10

# Requests before those in each turn, which are not timed.
WARM_UP_REQUESTS = 3


class Contestant:
    """An application, its visitors, and the times of their requests.

    ``counter`` returns a context manager that counts round trips. Without it ``trips`` are None.
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
        # By kind, for each turn: the seconds that each request took.
        self.turns: dict[str, list[list[float]]] = {kind: [] for kind in kinds}

    def _trips(self, kind: str, counter: Callable[[], Any] | None) -> int | None:
        if counter is None:
            return None
        visitor = self.visitors[0]
        # The first request opens connections and compiles statements.
        visitor.visit(kind)
        visitor.prepare(kind)
        with counter() as trips:
            visitor.request(kind)
        return int(trips.number)

    def turn(self, kind: str, requests: int, threads: Executor | None) -> None:
        """Send that many requests from each visitor, all visitors at the same time."""

        def visit(visitor: Visitor) -> list[float]:
            # The turns of the others have emptied the processor's caches.
            for _ in range(WARM_UP_REQUESTS):
                visitor.visit(kind)
            return [visitor.visit(kind) for _ in range(requests)]

        times: Iterable[list[float]] = (threads.map if threads else map)(visit, self.visitors)
        self.turns[kind].append([seconds for visitor_times in times for seconds in visitor_times])

    def times(self, kind: str) -> list[float]:
        return [seconds for turn in self.turns[kind] for seconds in turn]


def ratio(one: Contestant, other: Contestant, kind: str) -> float:
    """Return the time of ``one`` divided by the time of ``other``.

    It is the median over the pairs of their turns.
    """
    pairs = zip(one.turns[kind], other.turns[kind], strict=True)
    return statistics.median(
        statistics.median(times) / statistics.median(other_times) for times, other_times in pairs
    )


def rounds(
    contestants: Collection[Contestant],
    requests: int,
    *,
    threads: Executor | None = None,
    progress: Callable[[int], object] = lambda requests: None,
) -> None:
    """Send that many timed requests of each kind from each visitor of each contestant, in turns.

    Every second round runs in reverse order, so that no contestant always follows the same one.
    ``progress`` is called after each turn with its number of requests.
    """
    kinds = dict.fromkeys(kind for contestant in contestants for kind in contestant.kinds)
    order = list(contestants)
    for sent in range(0, requests, REQUESTS_PER_TURN):
        size = min(REQUESTS_PER_TURN, requests - sent)
        for kind in kinds:
            for contestant in order:
                if kind in contestant.kinds:
                    contestant.turn(kind, size, threads)
                    progress(size)
        order.reverse()
