"""The middleware that keeps the registry of signed-in sessions up to date after each request."""

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
from cookieproj.engines.renewal import decide_renewal, is_passive
from cookieproj.engines.sql_call import in_transaction, store_error

from . import (
    copied_sessions,
    device_limit,
    known_devices,
    outdated_sessions,
    session_registry,
    tracking,
)
from .bound.registering import confirm, offer_late
from .current_request import as_current_request
from .deferred_writes import registry_connection

# On a request: its user, once it was read.
READ_USER_ATTRIBUTE = "read_user"

# On a request: its session, if Django has flushed it because its hash is not the user's.
REFUSED_SESSION_ATTRIBUTE = "session_was_refused"

GetResponse = Callable[[HttpRequest], HttpResponse]


def watch_for_refusal(request: HttpRequest) -> None:
    """Wrap ``user`` and ``auser`` so that the request is marked if Django refuses its session.

    Django compares the session's hash when the user is first read.
    """
    user = request.user
    request.user = SimpleLazyObject(partial(get_user_watching, request, user))  # type: ignore[assignment]
    if hasattr(request, "auser"):
        request.auser = partial(aget_user_watching, request, request.auser)


def get_user_watching(request: HttpRequest, user: Any) -> Any:
    with mark_if_refused(request):
        # The user is lazy: reading an attribute loads it.
        _ = user.is_authenticated
    setattr(request, READ_USER_ATTRIBUTE, user)
    return user


async def aget_user_watching(request: HttpRequest, auser: Callable[[], Awaitable[Any]]) -> Any:
    with mark_if_refused(request):
        user = await auser()
    setattr(request, READ_USER_ATTRIBUTE, user)
    return user


@contextmanager
def mark_if_refused(request: HttpRequest) -> Iterator[None]:
    """Mark the request if the block flushes its session."""
    session = request.session
    had_key = bool(session.session_key)
    yield
    if had_key and session.is_empty() and session.modified:
        setattr(request, REFUSED_SESSION_ATTRIBUTE, session)
        data = getattr(session, "loaded", {})
        setattr(request, session_registry.REFUSED_DATA_ATTRIBUTE, data)


def is_used(request: HttpRequest) -> bool:
    """Whether the session was read, or will be read when it is saved.

    A view may have caught the error of a store that did not answer. It is not asked again.

    With SESSION_SAVE_EVERY_REQUEST the session of each request with a session cookie is saved with
    the response, which moves its expiry. That save reads the session once, and makes the page vary
    by cookie, so reading the session here costs no further round trip.
    """
    is_renewed = settings.SESSION_SAVE_EVERY_REQUEST and not is_passive(request)
    has_cookie = settings.SESSION_COOKIE_NAME in request.COOKIES
    is_read = request.session.accessed and hasattr(request.session, "_session_cache")
    return is_read or (is_renewed and has_cookie)


class DevicesMiddleware:
    """Keeps the registry of signed-in sessions up to date with the sessions that requests use.

    It stands after the middleware that sets the user: AuthenticationMiddleware, and
    KeepSessionKeyMiddleware. If a request neither reads nor renews its session, this middleware
    does not read it either, and does not make the page vary by cookie.

    A session that Django refuses was ended by another request, which changed the password or
    signed out all other sessions. The response of that request may already have set the cookie of
    the session that continues. So the cookie is not deleted: see SessionMiddleware.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if hasattr(request, "user"):
            watch_for_refusal(request)
        with as_current_request(request):
            response = self.get_response(request)
        # After a server error Django does not save the session either.
        if is_used(request) and response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            try:
                # If the store fails, a later request updates the registry. Whether this request
                # fails too is decided when its session is saved.
                with suppress(StoreError):
                    decide_renewal(request)
                    tracking.track(request)
                    offer_late(request, getattr(request, READ_USER_ATTRIBUTE, None))
                    confirm(request)
            except Error as error:
                response = self.response_to_error(request, error)
        outdated_sessions.end_own_session(request)
        session = getattr(request, REFUSED_SESSION_ATTRIBUTE, None)
        if session is not None and session.is_empty():
            session.modified = False
        known_devices.set_cookie(request, response)
        return copied_sessions.answer(request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Say why a sign-in was refused, whichever view has called ``login()``."""
        if not isinstance(exception, device_limit.SignInRefusedError):
            return None
        session_registry.end_restored(request)
        return device_limit.refused_page(request, exception)

    def response_to_error(self, request: HttpRequest, error: Error) -> HttpResponse:
        """Return a 503, as for a failing store: a session that ended could not be refused.

        Raises the error if it is not one of an unreachable or refusing database, or occurs in a
        transaction, which it has broken.
        """
        connection = registry_connection()
        refusal = store_error(error, connection)
        if refusal is None or in_transaction(connection):
            raise error
        setattr(request, ERROR_ATTRIBUTE, refusal)
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
