"""Counts the round trips of a request, also on Django's engines, which do not count their own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

from django.contrib.sessions.backends.cache import SessionStore as DjangoCacheStore
from django.contrib.sessions.backends.db import SessionStore as DjangoDBStore
from django.contrib.sessions.backends.signed_cookies import SessionStore as DjangoSignedCookies
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cookieproj.engines.base import Engine
from cookieproj.engines.round_trips import RoundTrips, count_round_trips


class CountingCache:
    """A cache that counts each call of a method as a round trip: one command to the server."""

    def __init__(self, cache: Any, trips: RoundTrips) -> None:
        self._cache = cache
        self._trips = trips

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cache, name)

        @wraps(method)
        def counted_method(*arguments: Any, **options: Any) -> Any:
            with self._trips:
                return method(*arguments, **options)

        return counted_method

    def __contains__(self, key: str) -> bool:
        return bool(self.has_key(key))


@contextmanager
def health_checks_counted(trips: RoundTrips) -> Iterator[None]:
    """Count Django's checks of connections, which send a query past all that counts queries."""

    def counting(is_usable: Callable[[], bool]) -> Callable[[], bool]:
        def counted() -> bool:
            trips.number += 1
            return is_usable()

        return counted

    opened = connections.all()
    for connection in opened:
        connection.is_usable = counting(connection.is_usable)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for connection in opened:
            del connection.is_usable


@contextmanager
def count_calls_and_health_checks() -> Iterator[RoundTrips]:
    with count_round_trips() as trips, health_checks_counted(trips):
        yield trips


def round_trip_counter(session_class: Any) -> Callable[[], Any] | None:
    """Return a function that opens a context manager, which counts the engine's round trips.

    It yields RoundTrips, whose number is right once the block has ended. Health checks of database
    connections count as well. Return None if the round trips cannot be counted.
    """
    if issubclass(session_class, Engine | DjangoSignedCookies):
        return count_calls_and_health_checks
    if not issubclass(session_class, DjangoCacheStore | DjangoDBStore):
        # Steps in a folder, for example, or the commands of another client.
        return None

    @contextmanager
    def count_calls_and_queries() -> Iterator[RoundTrips]:
        trips = RoundTrips()
        init = session_class.__init__

        def init_with_counting_cache(session: Any, *arguments: Any, **options: Any) -> None:
            init(session, *arguments, **options)
            if hasattr(session, "_cache"):
                session._cache = CountingCache(session._cache, trips)

        with ExitStack() as stack:
            captured_queries = [
                stack.enter_context(CaptureQueriesContext(connection))
                for connection in connections.all()
            ]
            session_class.__init__ = init_with_counting_cache
            stack.callback(setattr, session_class, "__init__", init)
            stack.enter_context(health_checks_counted(trips))
            yield trips
        trips.number += sum(map(len, captured_queries))

    return count_calls_and_queries
