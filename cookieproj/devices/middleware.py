from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.middleware import ERROR_ATTRIBUTE
from cookieproj.engines.sql_call import in_transaction, store_error

from . import outdated, session_registry, tracking
from .current_request import answering
from .deferred_writes import registry_connection

# Where a request keeps its session if Django has flushed it, as its hash is not the user's.
REFUSED = "session_was_refused"

GetResponse = Callable[[HttpRequest], HttpResponse]


def watch_for_refusal(request: HttpRequest) -> None:
    """Once somebody asks for the user, and it is found that the session holds no more."""
    user = request.user
    request.user = SimpleLazyObject(partial(get_user_watching, request, user))  # type: ignore[assignment]
    if hasattr(request, "auser"):
        request.auser = partial(aget_user_watching, request, request.auser)


def get_user_watching(request: HttpRequest, user: Any) -> Any:
    with mark_if_refused(request):
        # He is looked for as something of him is asked for.
        _ = user.is_authenticated
    return user


async def aget_user_watching(request: HttpRequest, auser: Callable[[], Awaitable[Any]]) -> Any:
    with mark_if_refused(request):
        return await auser()


@contextmanager
def mark_if_refused(request: HttpRequest) -> Iterator[None]:
    session = request.session
    came = session.session_key
    yield
    if came and session.is_empty() and session.modified:
        setattr(request, REFUSED, session)
        setattr(request, session_registry.REFUSED_DATA, getattr(session, "loaded", {}))


def is_used(request: HttpRequest) -> bool:
    """Whether the session was read, or will be.

    With SESSION_SAVE_EVERY_REQUEST each that a browser brings is saved with the response, and
    its expiry moves by that. A save reads it, once, and sets the cookie that the page varies by:
    to have read it a moment before costs no round trip.
    """
    is_renewed = settings.SESSION_SAVE_EVERY_REQUEST
    is_brought = settings.SESSION_COOKIE_NAME in request.COOKIES
    return request.session.accessed or (is_renewed and is_brought)


class DevicesMiddleware:
    """Keep the registry of signed-in sessions up to date with the sessions that requests use.

    Stands after what looks for the user: AuthenticationMiddleware, and KeepSessionKeyMiddleware.
    A request that neither reads its session nor renews it is left alone: this reads none by
    itself, nor makes a page vary by cookie.

    A session that was refused is not one that this request has signed out of. Another one has, by
    a new password or a sign-out of all others, whose answer may have brought the browser the
    cookie of the session that goes on: see SessionMiddleware.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if hasattr(request, "user"):
            watch_for_refusal(request)
        with answering(request):
            response = self.get_response(request)
        # After an error Django saves no session either.
        if is_used(request) and response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            try:
                # Without the store the registry waits; whether the request can too, saving tells.
                with suppress(StoreError):
                    tracking.track(request)
            except Error as error:
                response = self.unwritten(request, error)
        outdated.end_own(request)
        session = getattr(request, REFUSED, None)
        if session is not None and session.is_empty():
            session.modified = False
        return response

    def unwritten(self, request: HttpRequest, error: Error) -> HttpResponse:
        """Where a session that ended could not be refused: as for a store that fails."""
        connection = registry_connection()
        found = store_error(error, connection)
        if found is None or in_transaction(connection):
            raise error
        setattr(request, ERROR_ATTRIBUTE, found)
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
