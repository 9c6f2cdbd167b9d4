"""Report whether the stores work: in /health/ for load balancers, and as a 503 for visitors."""

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

# Seconds between two probes of a store, however many requests ask for its health.
PROBE_INTERVAL = 1.0
# Seconds after which a probe that has not ended counts as unreachable.
PROBE_TIMEOUT = 3.0

# The status of a store by its error. Any other error means that it is unreachable.
STATUS_OF_ERROR: dict[type[Exception], str] = {
    StoreReadOnlyError: "read-only",
    StoreFullError: "full",
    StoreMisconfiguredError: "misconfigured",
    ImproperlyConfigured: "misconfigured",
    ImportError: "misconfigured",
}
UNREACHABLE = "unreachable"
OK = "ok"

# The attribute of a request for the exception that ended it.
EXCEPTION_ATTRIBUTE = "ended_by"


def status_of(error: Exception) -> str:
    found = as_store_error(error)
    return next(
        (status for kind, status in STATUS_OF_ERROR.items() if isinstance(found, kind)),
        UNREACHABLE,
    )


def as_store_error(error: Exception, connection: BaseDatabaseWrapper | None = None) -> Exception:
    """Return the StoreError for a database error, and any other error as it is."""
    found = store_error(error, connection or primary()) if isinstance(error, Error) else None
    return found or error


def primary() -> BaseDatabaseWrapper:
    """Return the connection to the database that stores users."""
    return connections[router.db_for_write(User)]


def probe_database() -> None:
    """Write to the user table without a change: every sign-in writes there."""
    nobody = User.objects.filter(pk=-1)
    Table(User, primary().alias).call(lambda: nobody.update(last_login=None))  # type: ignore[arg-type]


def probe_sessions() -> None:
    probe(current_engine().session_class)


def probe_cache() -> None:
    """Probe the cache of cached_db, which works without it."""
    probe(CacheStore)


class Watch:
    """The status of one store, by its last probe.

    One probe runs at a time, at most one in PROBE_INTERVAL seconds. A probe runs in a thread of
    its own, and the request that started it waits for PROBE_TIMEOUT seconds at most. Meanwhile
    other requests get the status of the last probe.
    """

    def __init__(self, name: str, run_probe: Callable[[], None]) -> None:
        self.name = name
        self._run_probe = run_probe
        self._lock = Lock()
        self._ended = Event()
        self._ended.set()
        self._started_at = float("-inf")
        self._status = ""

    def start_probe(self) -> bool:
        """Start a probe unless one is running or the last one is too recent. Whether it started."""
        with self._lock:
            if not self._ended.is_set() or monotonic() - self._started_at < PROBE_INTERVAL:
                return False
            self._started_at = monotonic()
            self._ended.clear()
        try:
            Thread(target=self._probe, name=f"health: {self.name}", daemon=True).start()
        except RuntimeError:
            # The process can start no more threads now. The next request tries again.
            self._ended.set()
            raise
        return True

    def status(self, *, just_started: bool) -> str:
        """Return the status by the probe that the caller ``just_started``, or by the last probe."""
        if just_started or not self._status:
            remaining = self._started_at + PROBE_TIMEOUT - monotonic()
            if not self._ended.wait(max(remaining, 0)):
                self._time_out(just_started=just_started)
        return self._status

    def _time_out(self, *, just_started: bool) -> None:
        self._status = UNREACHABLE
        if just_started:
            logger.warning("%s: no answer in %s seconds", self.name, PROBE_TIMEOUT)

    def _probe(self) -> None:
        try:
            with closing_connections():
                self._run_probe()
            self._status = OK
        except Exception as error:  # noqa: BLE001 - a driver of any store may raise anything
            self._status = status_of(error)
            logger.warning("%s: %s", self.name, in_english(as_store_error(error)))
        finally:
            self._ended.set()


@contextmanager
def closing_connections() -> Iterator[None]:
    """Close this thread's connections after the block: nothing else would close them."""
    try:
        yield
    finally:
        connections.close_all()
        caches.close_all()


DATABASE = Watch("database", probe_database)
SESSIONS = Watch("sessions", probe_sessions)
CACHE = Watch("cache", probe_cache)


class HealthCheckMiddleware:
    """Answer /health/. It must be first, before middleware that checks the host or requires https.

    Load balancers ask from inside the network, without https, and often by an IP address.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_health_check = request.path_info in {"/health", "/health/"}
        return health(request) if is_health_check else self.get_response(request)


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Return 200 if the database and the session store work, else 503.

    The response shows each store's status in one word. Only the log says why.
    """
    required = [DATABASE, SESSIONS]
    watches = [*required, CACHE] if is_cached_db() else required
    # All probes start together, so they take no longer than one.
    probes = [(watch, watch.start_probe()) for watch in watches]
    statuses = {watch.name: watch.status(just_started=started) for watch, started in probes}
    is_healthy = all(statuses[watch.name] == OK for watch in required)
    status_code = HTTPStatus.OK if is_healthy else HTTPStatus.SERVICE_UNAVAILABLE
    response = JsonResponse(statuses, status=status_code)
    # Django would log every 503. The probe has logged its failure already.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def is_cached_db() -> bool:
    try:
        return issubclass(running_engine.store(), CachedDBStore)
    except (ImportError, ImproperlyConfigured):
        return False


class DatabaseUnavailableMiddleware:
    """Answer 503 for a failing database, as SessionMiddleware does for a failing session store.

    ``cached_db`` still reads sessions from the cache, but users are read from the database.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # Outside a view, Django does not call process_exception: the 404 page reads the user too.
        error = getattr(request, EXCEPTION_ATTRIBUTE, None)
        return (error and self.process_exception(request, error)) or response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        found = store_error(error, primary()) if isinstance(error, Error) else None
        if found is None:
            return None
        if isinstance(found, StoreUnavailableError):
            # The request may have read from a replica, so every connection of this thread is tried.
            failed = next(filterfalse(answers, connections.all(initialized_only=True)), None)
            return store_error_response(request, as_store_error(error, failed)) if failed else None
        if isinstance(found, StoreReadOnlyError):
            # After a failover a connection may still lead to the old server. The next one is new.
            primary().close()
        return store_error_response(request, found)


@receiver(got_request_exception, dispatch_uid="demo.health")
def remember_exception(request: HttpRequest | None = None, **kwargs: Any) -> None:
    if request is not None:
        setattr(request, EXCEPTION_ATTRIBUTE, sys.exception())


def answers(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database answers a query. A failure is logged."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # noqa: BLE001 - a driver may raise anything
        logger.warning("%s: %s", DATABASE.name, in_english(as_store_error(error, connection)))
        return False
    return True
