"""Whether the stores answer: for load balancers and monitors, and for who gets a page meanwhile."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.core.cache import caches
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.engines.base import random_key
from cookieproj.engines.caches import beyond
from cookieproj.engines.middleware import answer

from . import engine
from .middleware import GetResponse

logger = logging.getLogger(__name__)


def ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_sessions() -> None:
    """For one that nobody has."""
    engine.store()().exists(random_key())


def ask_cache() -> None:
    """The one before the rows of cached_db, which goes on without it."""
    beyond(caches[settings.SESSION_CACHE_ALIAS]).exists(random_key())


STORES: dict[str, Callable[[], None]] = {"database": ask_database, "sessions": ask_sessions}


class AnswerHealth:
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
    """200 if both answer, else 503; which one, to anybody, and why, to the log alone."""
    found = {name: answers(name, ask) for name, ask in STORES.items()}
    status = HTTPStatus.OK if all(found.values()) else HTTPStatus.SERVICE_UNAVAILABLE
    if issubclass(engine.store(), CachedDBStore):
        found["cache"] = answers("cache", ask_cache)
    return JsonResponse(
        {name: "ok" if is_there else "away" for name, is_there in found.items()}, status=status
    )


class SayTheDatabaseIsAway:
    """Answer 503 for a database that is away, as the engines do for a store of sessions.

    Those of ``cached_db`` are read from the cache then, and who is signed in is not.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        is_of_it = isinstance(error, OperationalError | InterfaceError)
        if not is_of_it or answers("database", ask_database):
            return None
        return answer(request, error)


def answers(name: str, ask: Callable[[], None]) -> bool:
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - a driver of any store may raise anything
        logger.warning("%s: %s", name, error)
        return False
    return True
