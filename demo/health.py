"""Whether the stores do their work: for load balancers, and for who gets a page meanwhile."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from itertools import filterfalse
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import got_request_exception
from django.db import Error, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.engines import running_engine
from cookieproj.engines.cache import SessionStore as CacheStore
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.english import in_english
from cookieproj.engines.exceptions import (
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from cookieproj.engines.middleware import store_error_response
from cookieproj.engines.sql_call import store_error
from cookieproj.engines.sql_statements import Table
from cookieproj.engines.store_probe import probe

from .middleware import GetResponse
from .models import User

logger = logging.getLogger(__name__)

# Seconds between two tries of a store, however often this is asked; and those after which one
# that has not ended says that the store does not answer.
EVERY = 1.0
LIMIT = 3.0

# How a store fails, by its error; any other is that it does not answer.
WORDS: dict[type[Exception], str] = {
    StoreReadOnlyError: "read-only",
    StoreFullError: "full",
    StoreMisconfiguredError: "misconfigured",
    ImproperlyConfigured: "misconfigured",
    ImportError: "misconfigured",
}
UNREACHABLE = "unreachable"
OK = "ok"

# Where a request keeps the error that ended it.
FAILED = "ended_by"


def word(error: Exception) -> str:
    meant = as_ours(error)
    return next((word for kind, word in WORDS.items() if isinstance(meant, kind)), UNREACHABLE)


def as_ours(error: Exception, connection: BaseDatabaseWrapper | None = None) -> Exception:
    """The StoreError that a database's own means, as Django's engines raise; any other as it is."""
    found = store_error(error, connection or primary()) if isinstance(error, Error) else None
    return found or error


def primary() -> BaseDatabaseWrapper:
    """The connection to where users are written."""
    return connections[router.db_for_write(User)]


def try_database() -> None:
    """A write that changes nothing; every sign-in makes one there."""
    nobody = User.objects.filter(pk=-1)
    Table(User, primary().alias).call(lambda: nobody.update(last_login=None))  # type: ignore[arg-type]


def try_sessions() -> None:
    probe(current_engine().session_class)


def try_cache() -> None:
    """The one before the rows of cached_db, which goes on without it."""
    probe(CacheStore)


class Watch:
    """How a store is, by the last try: one at a time, and one in EVERY seconds.

    A try has a thread of its own, and whoever asked for it waits for LIMIT seconds at most.
    Whoever asks meanwhile gets the answer of the last one.
    """

    def __init__(self, name: str, attempt: Callable[[], None]) -> None:
        self.name = name
        self._attempt = attempt
        self._lock = Lock()
        self._ended = Event()
        self._ended.set()
        self._began = float("-inf")
        self._word = ""

    def begin(self) -> bool:
        """Begin a try, unless there is one, or the last is too young: whether it was begun."""
        with self._lock:
            if not self._ended.is_set() or monotonic() - self._began < EVERY:
                return False
            self._began = monotonic()
            self._ended.clear()
        try:
            Thread(target=self._try, name=f"health: {self.name}", daemon=True).start()
        except RuntimeError:
            # No more threads just now: the next may have one.
            self._ended.set()
            raise
        return True

    def word(self, *, is_new: bool) -> str:
        """The answer of the try that was just begun, where ``is_new``, else of the last one."""
        if is_new or not self._word:
            left = self._began + LIMIT - monotonic()
            if not self._ended.wait(max(left, 0)):
                self._is_silent(is_new=is_new)
        return self._word

    def _is_silent(self, *, is_new: bool) -> None:
        self._word = UNREACHABLE
        if is_new:
            logger.warning("%s: no answer in %s seconds", self.name, LIMIT)

    def _try(self) -> None:
        try:
            with its_own_connections():
                self._attempt()
            self._word = OK
        except Exception as error:  # noqa: BLE001 - a driver of any store may raise anything
            self._word = word(error)
            logger.warning("%s: %s", self.name, in_english(as_ours(error)))
        finally:
            self._ended.set()


@contextmanager
def its_own_connections() -> Iterator[None]:
    """Those that Django opens for a thread are its own, and nobody else would close them."""
    try:
        yield
    finally:
        connections.close_all()
        caches.close_all()


DATABASE = Watch("database", try_database)
SESSIONS = Watch("sessions", try_sessions)
CACHE = Watch("cache", try_cache)


class HealthCheckMiddleware:
    """Stands first, before anything asks for the host or leads to https.

    Who asks is inside, where there is no https, and may know no name of the site but an address.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_asked = request.path_info in {"/health", "/health/"}
        return health(request) if is_asked else self.get_response(request)


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 if database and sessions do their work, else 503.

    To anybody it says in a word which does not, and how; to the log alone, why.
    """
    needed = [DATABASE, SESSIONS]
    watches = [*needed, CACHE] if is_cached_db() else needed
    # All at once, so that together they take no longer than one.
    begun = [(watch, watch.begin()) for watch in watches]
    words = {watch.name: watch.word(is_new=is_new) for watch, is_new in begun}
    is_well = all(words[watch.name] == OK for watch in needed)
    status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
    response = JsonResponse(words, status=status)
    # Django would write a line each time this is asked; who tries a store has written one.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def is_cached_db() -> bool:
    try:
        return issubclass(running_engine.store(), CachedDBStore)
    except (ImportError, ImproperlyConfigured):
        return False


class DatabaseUnavailableMiddleware:
    """Answer 503 for a database that fails or refuses, as the engines do for a store of sessions.

    Those of ``cached_db`` are read from the cache then, and who is signed in is not.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # No view has raised it: a page of "not found" looks for the user too.
        error = getattr(request, FAILED, None)
        return (error and self.process_exception(request, error)) or response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        found = store_error(error, primary()) if isinstance(error, Error) else None
        if found is None:
            return None
        if isinstance(found, StoreUnavailableError):
            # Whatever this thread has used: it may have read from a replica.
            silent = next(filterfalse(answers, connections.all(initialized_only=True)), None)
            return store_error_response(request, as_ours(error, silent)) if silent else None
        if isinstance(found, StoreReadOnlyError):
            # Perhaps to this connection alone, from before a fail-over: the next one is new.
            primary().close()
        return store_error_response(request, found)


@receiver(got_request_exception, dispatch_uid="demo.health")
def note(request: HttpRequest | None = None, **kwargs: Any) -> None:
    if request is not None:
        setattr(request, FAILED, sys.exception())


def answers(connection: BaseDatabaseWrapper) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # noqa: BLE001 - whatever its driver raises
        logger.warning("%s: %s", DATABASE.name, in_english(as_ours(error, connection)))
        return False
    return True
