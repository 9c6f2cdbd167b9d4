"""A benchmark of session engines: ours and Django's side by side, turn by turn."""

import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from threading import Barrier
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone

from cookieproj.engines.cache import SessionStore as CacheStore
from cookieproj.engines.constants import DJANGO_ENGINES, ENGINE_NAMES, OUR_ENGINES
from cookieproj.engines.engine_registry import EngineRef
from cookieproj.engines.exceptions import CookieTooLargeError, SessionStoreError
from cookieproj.engines.signed_cookies import MAX_COOKIE_BYTES
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies
from cookieproj.engines.store_probe import probe

from .application import Application
from .contestant import Subject, ratio, rounds
from .namespace import namespaced, remove
from .remembered_results import remembered
from .results import Benchmark, Cost, Measured, cores, machine
from .trip_counting import counter
from .visitor import RequestFailedError

ALL = [family + name for name in ENGINE_NAMES for family in (OUR_ENGINES, DJANGO_ENGINES)]

# A request that has no sessions can do but one thing.
WITHOUT = "plain"


def payload_of(size: int) -> dict[str, Any]:
    """Data that takes about so many bytes, and that no compression makes less than half."""
    return {"text": os.urandom(size // 2).hex()}


def benchmark(
    engines: Sequence[str] = ALL,
    *,
    requests: int = 1000,
    visitors: int = 1,
    payload: dict[str, Any] | None = None,
    progress: Callable[[int], object] = lambda requests: None,
) -> Benchmark:
    """Each kind of request on each engine, by dotted path, so many times by each visitor.

    One more of each comes before them, so with ``requests`` 0 the trips are known and no
    times. ``progress`` is called with the number of requests after some. Nothing is left
    in the stores. Raises ImportError for a path that is no engine's, RequestFailedError
    if a store goes away on the way; one that is away before is told in the results.
    """
    payload = payload_of(200) if payload is None else payload
    with ExitStack() as stack:
        threads = stack.enter_context(pool(visitors)) if visitors > 1 else None
        contenders = [
            Contender(each, stack.enter_context(namespaced(each.session_class)))
            for each in map(EngineRef, engines)
        ]
        for contender in contenders:
            contender.begin(payload, visitors)
        without = Subject("", Application(None), payload, kinds=[WITHOUT], visitors=visitors)
        running = [each.subject for each in contenders if each.subject]
        rounds([*running, without], requests, threads=threads, progress=progress)
        found = [contender.found(running) for contender in contenders]
    return Benchmark(
        made=timezone.now().isoformat(timespec="seconds"),
        machine=machine(),
        cores=cores(),
        debug=settings.DEBUG,
        requests=requests,
        visitors=visitors,
        payload=len(json.dumps(payload)),
        without=cost(without, WITHOUT),
        engines=found,
    )


def counted() -> Benchmark:
    """Round trips and sizes of our engines, without times."""
    return benchmark([OUR_ENGINES + name for name in ENGINE_NAMES], requests=0)


def known() -> Benchmark:
    """What is counted does not change: it is counted once."""
    return remembered("trips", counted, lambda made: not any(each.problem for each in made.engines))


class Contender:
    """An engine, and as it serves in its namespace."""

    def __init__(self, engine: EngineRef, store: Any) -> None:
        self.engine = engine
        self.store = store
        self.subject: Subject | None = None
        self.problem = ""
        self.stored_bytes: int | None = None

    def begin(self, payload: dict[str, Any], visitors: int) -> None:
        """The first requests; where the store is away, or takes no such session, none is served."""
        try:
            self._try_out(payload)
            self.subject = Subject(
                self.engine.path,
                Application(self.store),
                payload,
                visitors=visitors,
                counter=counter(self.store),
            )
        except (SessionStoreError, RequestFailedError) as error:
            self.problem = str(error)
            with suppress(SessionStoreError):
                remove(self.store)
            self.store.made.clear()

    def _try_out(self, payload: dict[str, Any]) -> None:
        """Ours tells what is wrong, and how much is stored, of Django's too."""
        ours = self.engine.of(OUR_ENGINES)
        check_store(ours)
        with namespaced(ours.session_class) as store:
            session = store()
            session.update({**payload, "visits": 0})
            session.save()
            if isinstance(session, SignedCookies):
                refuse_what_is_too_large(session)
            if hasattr(session, "locate"):
                self.stored_bytes = len(session.locate()[0].payload)

    def found(self, subjects: Sequence[Subject]) -> Measured:
        if self.subject is None:
            return Measured(self.engine.path, problem=self.problem)
        name, _, value = self.subject.visitors[0].session.partition("=")
        djangos = self.engine.of(DJANGO_ENGINES).path
        others = (each for each in subjects if each is not self.subject)
        partner = next((each for each in others if each.name == djangos), None)
        return Measured(
            self.engine.path,
            self.stored_bytes,
            len(name) + len(value),
            {kind: cost(self.subject, kind, partner) for kind in self.subject.kinds},
        )


def check_store(engine: EngineRef) -> None:
    """Raises StoreError for a cache that fails, before anything is put there that must go again.

    A cached_db goes on without its cache, and would wait for one that hangs at each step.
    """
    if engine.has_cache:
        probe(CacheStore)


def refuse_what_is_too_large(session: SignedCookies) -> None:
    """Outside of development the engine only logs it; a browser drops such a cookie."""
    size = session._cookie_bytes()
    if size > MAX_COOKIE_BYTES:
        raise CookieTooLargeError(settings.SESSION_COOKIE_NAME, size, MAX_COOKIE_BYTES)


def cost(subject: Subject, kind: str, partner: Subject | None = None) -> Cost:
    times = subject.times(kind)
    trips = subject.trips[kind]
    if not times:
        return Cost(None, None, trips)
    # Of one request alone both are that one.
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1] if times[1:] else times[0]
    return Cost(
        microseconds(statistics.median(times)),
        microseconds(p95),
        trips,
        round(ratio(subject, partner, kind), 3) if partner else None,
    )


def microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 1)


@contextmanager
def pool(visitors: int) -> Iterator[Executor]:
    """A thread for each of them; in the end each closes its connections to the database."""
    with ThreadPoolExecutor(visitors) as threads:
        try:
            yield threads
        finally:
            together = Barrier(visitors)

            def close(_number: int) -> None:
                together.wait()
                connections.close_all()

            list(threads.map(close, range(visitors)))
