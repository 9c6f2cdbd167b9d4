"""Round trips to a store: of our engines as they count them, of others by what they call."""

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


class Called:
    """A cache each of whose methods counts as a trip: on a server it is a command."""

    def __init__(self, cache: Any, trips: RoundTrips) -> None:
        self._cache = cache
        self._trips = trips

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cache, name)

        @wraps(method)
        def counted(*arguments: Any, **options: Any) -> Any:
            with self._trips:
                return method(*arguments, **options)

        return counted

    def __contains__(self, key: str) -> bool:
        return bool(self.has_key(key))


def counter(store: Any) -> Callable[[], Any] | None:
    """What counts the trips of that engine while it is open; None where they cannot be known."""
    if issubclass(store, Engine | DjangoSignedCookies):
        return count_round_trips
    if not issubclass(store, DjangoCacheStore | DjangoDBStore):
        # Steps in a folder, say, or the commands of somebody's own client.
        return None

    @contextmanager
    def called() -> Iterator[RoundTrips]:
        trips = RoundTrips()
        began = store.__init__

        def begin(session: Any, *arguments: Any, **options: Any) -> None:
            began(session, *arguments, **options)
            if hasattr(session, "_cache"):
                session._cache = Called(session._cache, trips)

        with ExitStack() as stack:
            captured = [
                stack.enter_context(CaptureQueriesContext(connection))
                for connection in connections.all()
            ]
            store.__init__ = begin
            stack.callback(setattr, store, "__init__", began)
            yield trips
        trips.number += sum(map(len, captured))

    return called
