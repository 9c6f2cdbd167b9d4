"""Runs a benchmark of session engines, ours and Django's, which serve requests in turns."""

import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from threading import Barrier
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils import timezone
from django.utils.translation import get_language

from cookieproj.engines.cache import SessionStore as CacheStore
from cookieproj.engines.constants import (
    BENCHMARK_KEY_PREFIX,
    DJANGO_ENGINES,
    ENGINE_NAMES,
    OUR_ENGINES,
)
from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES
from cookieproj.engines.engine_registry import EngineRef, both_families
from cookieproj.engines.exceptions import CookieTooLargeError, SessionStoreError
from cookieproj.engines.store_probe import probe

from .application import Application
from .contestant import Contestant, ratio, rounds
from .namespace import namespaced, remove_sessions
from .result_cache import cached_result
from .results import Benchmark, Cost, EngineResult, cores, machine
from .round_trip_counter import round_trip_counter
from .visitor import RequestFailedError

# The only kind of request that works without sessions.
KIND_WITHOUT_SESSIONS = "plain"


def payload_of(size: int) -> dict[str, Any]:
    """Return session data of about that many bytes, which compress to half at best."""
    return {"text": os.urandom(size // 2).hex()}


def installed_engines() -> list[str]:
    """Return the paths of ours and Django's, without those whose driver is not installed."""
    paths = [path for name in ENGINE_NAMES for path in both_families(name)]
    return [path for path in paths if EngineRef(path).is_installed]


def benchmark(
    engines: Sequence[str] | None = None,
    *,
    requests: int = 1000,
    visitors: int = 1,
    payload: dict[str, Any] | None = None,
    progress: Callable[[int], object] = lambda requests: None,
) -> Benchmark:
    """Send requests of each kind to each engine, and return what they cost.

    ``engines`` are dotted paths; the default is ``installed_engines()``. Each visitor sends
    ``requests`` timed requests of each kind. One more is not timed but counted: with ``requests`` 0
    the result has round trips and no times. ``progress`` is called now and then with the number of
    requests since the last call. No session is left in the stores.

    Raises ImportError for a path of no engine, and RequestFailedError if a store fails during
    the benchmark. If a store fails before, the engine's result has a ``problem``.
    """
    payload = payload_of(200) if payload is None else payload
    with ExitStack() as stack:
        threads = stack.enter_context(visitor_threads(visitors)) if visitors > 1 else None
        benchmarked = [
            BenchmarkedEngine(engine, stack.enter_context(namespaced(engine.session_class)))
            for engine in map(EngineRef, installed_engines() if engines is None else engines)
        ]
        for engine in benchmarked:
            engine.start(payload, visitors)
        without_sessions = Contestant(
            "", Application(None), payload, kinds=[KIND_WITHOUT_SESSIONS], visitors=visitors
        )
        contestants = [engine.contestant for engine in benchmarked if engine.contestant]
        rounds([*contestants, without_sessions], requests, threads=threads, progress=progress)
        results = [engine.result(contestants) for engine in benchmarked]
    return Benchmark(
        made=timezone.now().isoformat(timespec="seconds"),
        machine=machine(),
        cores=cores(),
        debug=settings.DEBUG,
        requests=requests,
        visitors=visitors,
        payload=len(json.dumps(payload)),
        without=cost_of(without_sessions, KIND_WITHOUT_SESSIONS),
        engines=results,
    )


def untimed_benchmark() -> Benchmark:
    """Count the round trips and sizes of our engines, without times."""
    return benchmark([OUR_ENGINES + name for name in ENGINE_NAMES], requests=0)


def cached_untimed_benchmark() -> Benchmark:
    """Return the round trips and sizes, which are counted once for each language.

    They do not change, but what a store that fails says is in the visitor's language.
    """

    def is_final(results: Benchmark) -> bool:
        return not any(result.problem for result in results.engines)

    return cached_result(f"trips-{get_language()}", untimed_benchmark, is_final)


class BenchmarkedEngine:
    """An engine of the benchmark, and the contestant that serves with it.

    ``session_class`` is the engine in a namespace. ``contestant`` is None, and ``problem`` says
    why, if the engine cannot serve.
    """

    def __init__(self, engine: EngineRef, session_class: Any) -> None:
        self.engine = engine
        self.session_class = session_class
        self.contestant: Contestant | None = None
        self.problem = ""
        self.stored_bytes: int | None = None

    def start(self, payload: dict[str, Any], visitors: int) -> None:
        """Send the first requests. Note the ``problem`` if the store fails or refuses the data."""
        try:
            self._try_store(payload)
            self.contestant = Contestant(
                self.engine.path,
                Application(self.session_class),
                payload,
                visitors=visitors,
                counter=round_trip_counter(self.session_class),
            )
        except (SessionStoreError, RequestFailedError, ImproperlyConfigured) as error:
            self.problem = str(error)
            with suppress(SessionStoreError):
                remove_sessions(self.session_class)
            self.session_class.created_keys.clear()

    def _try_store(self, payload: dict[str, Any]) -> None:
        """Store one session with our engine of the same name, also for an engine of Django's.

        Only our engines say what is wrong with a store, and how many bytes it holds.
        """
        ours = self.engine.of(OUR_ENGINES)
        check_store(ours)
        with namespaced(ours.session_class) as session_class:
            session = session_class()
            # Fails first if the server hangs. After a write, its removal would wait as well.
            session.exists(BENCHMARK_KEY_PREFIX)
            session.update({**payload, "visits": 0})
            session.save()
            if isinstance(session, CookieSession):
                check_cookie_size(session)
            if hasattr(session, "locate"):
                self.stored_bytes = len(session.locate()[0].payload)

    def result(self, contestants: Sequence[Contestant]) -> EngineResult:
        if self.contestant is None:
            return EngineResult(self.engine.path, problem=self.problem)
        name, _, value = self.contestant.visitors[0].session.partition("=")
        django_path = self.engine.of(DJANGO_ENGINES).path
        others = (other for other in contestants if other is not self.contestant)
        djangos = next((other for other in others if other.name == django_path), None)
        return EngineResult(
            self.engine.path,
            self.stored_bytes,
            len(name) + len(value),
            {kind: cost_of(self.contestant, kind, djangos) for kind in self.contestant.kinds},
        )


def check_store(engine: EngineRef) -> None:
    """Raise StoreError if the engine's cache fails, before the benchmark stores anything.

    cached_db works without its cache, but each of its steps would wait for a cache that hangs.
    """
    if engine.has_cache:
        probe(CacheStore)


def check_cookie_size(session: CookieSession) -> None:
    """Raise CookieTooLargeError for a cookie that browsers drop.

    The engine itself only logs it while DEBUG is off.
    """
    size = session._cookie_bytes()
    if size > MAX_COOKIE_BYTES:
        raise CookieTooLargeError(settings.SESSION_COOKIE_NAME, size, MAX_COOKIE_BYTES)


def cost_of(contestant: Contestant, kind: str, djangos: Contestant | None = None) -> Cost:
    """Return the cost of that kind of request, with the ratio to Django's engine if it is given."""
    times = contestant.times(kind)
    trips = contestant.trips[kind]
    if not times:
        return Cost(None, None, trips)
    # Quantiles need two times.
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1] if times[1:] else times[0]
    return Cost(
        microseconds(statistics.median(times)),
        microseconds(p95),
        trips,
        round(ratio(contestant, djangos, kind), 3) if djangos else None,
    )


def microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 1)


@contextmanager
def visitor_threads(visitors: int) -> Iterator[Executor]:
    """Yield a pool with a thread for each visitor.

    In the end each thread closes its database connections.
    """
    with ThreadPoolExecutor(visitors) as threads:
        try:
            yield threads
        finally:
            barrier = Barrier(visitors)

            def close_connections(_number: int) -> None:
                # No thread can take a second one of these calls while it waits for the others.
                barrier.wait()
                connections.close_all()

            list(threads.map(close_connections, range(visitors)))
