"""For load balancers and monitors: whether the stores answer."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.engines.base import random_key

from . import engine

logger = logging.getLogger(__name__)


def ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_sessions() -> None:
    """For one that nobody has."""
    engine.store()().exists(random_key())


STORES: dict[str, Callable[[], None]] = {"database": ask_database, "sessions": ask_sessions}


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 if both answer, else 503; which one, to anybody, and why, to the log alone."""
    found = {name: answers(name) for name in STORES}
    status = HTTPStatus.OK if all(found.values()) else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse(
        {name: "ok" if is_there else "away" for name, is_there in found.items()}, status=status
    )


def answers(name: str) -> bool:
    try:
        STORES[name]()
    except Exception as error:  # noqa: BLE001 - a driver of any store may raise anything
        logger.warning("%s: %s", name, error)
        return False
    return True
