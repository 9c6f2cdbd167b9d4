from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import aget_user, get_user
from django.contrib.auth.middleware import AuthenticationMiddleware as DjangoMiddleware
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.utils.cache import has_vary_header
from django.utils.functional import SimpleLazyObject

from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.middleware import NOTE
from cookieproj.engines.sql_call import in_transaction, store_error

from . import following
from .luxury import index_connection
from .models import User

# Where a request keeps its session if Django has flushed it, as its hash is not the user's.
REFUSED = "session_was_refused"

GetResponse = Callable[[HttpRequest], HttpResponse]


class ForgetCookiesWithNul:
    """Take a cookie that holds a NUL as not sent.

    A quoted cookie can spell one (\\000), and PostgreSQL takes none in a text: as a
    session key it would make Django's db engine answer 500.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
            del request.COOKIES[name]
        return self.get_response(request)


class KeepPrivate:
    """Let no shared cache keep what varies by cookie, unless the view itself says how long.

    A page that is not found may be kept, and says who is signed in. ``Vary`` says whose it
    is, but not every cache heeds that. Stands before whatever makes a page vary.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.has_header("Cache-Control") and has_vary_header(response, "Cookie"):
            response.headers["Cache-Control"] = "private"
        return response


class RefuseUnreadableForms:
    """Answer a form (or query) that is too large or malformed with a page that says so, status 400.

    Stands before CsrfViewMiddleware, which is the first to read the form. Without
    this, DEBUG shows a stack trace for what is merely a wrong input.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            _ = request.GET, request.POST
        except (BadRequest, SuspiciousOperation, MultiPartParserError) as error:
            return render(request, "400.html", {"reason": str(error)}, status=400)
        return self.get_response(request)


class AuthenticationMiddleware(DjangoMiddleware):
    """Django's, but a session whose hash an older SECRET_KEY made keeps its session key.

    Django renews the hash under another key. Of the requests that a browser sends at once
    one would get it, and all others find nothing under theirs and sign the browser out.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: user_of(request))  # type: ignore[assignment]
        request.auser = partial(auser_of, request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """A session that was refused is not one that this request has signed out of.

        Another one has, by a new password or a sign-out of all others, whose answer may have
        brought the browser the cookie of the session that goes on: see SessionMiddleware.
        """
        session = getattr(request, REFUSED, None)
        if session is not None and session.is_empty():
            session.modified = False
        return response


def user_of(request: Any) -> User | AnonymousUser:
    if not hasattr(request, "_cached_user"):
        with noting_a_refusal(request):
            request._cached_user = get_user(keeping_its_key(request))
    found: User | AnonymousUser = request._cached_user
    return found


async def auser_of(request: Any) -> User | AnonymousUser:
    if not hasattr(request, "_acached_user"):
        with noting_a_refusal(request):
            request._acached_user = await aget_user(keeping_its_key(request))
    found: User | AnonymousUser = request._acached_user
    return found


@contextmanager
def noting_a_refusal(request: HttpRequest) -> Iterator[None]:
    session = request.session
    came = session.session_key
    yield
    if came and session.is_empty() and session.modified:
        setattr(request, REFUSED, session)


def keeping_its_key(request: HttpRequest) -> Any:
    """All that Django looks at to see who it is. A sign-in meanwhile does get another key."""
    return SimpleNamespace(session=KeepsKey(request.session))


class KeepsKey:
    """A session that gets no other key by this."""

    def __init__(self, session: SessionBase) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._session[key] = value

    def cycle_key(self) -> None:
        pass

    async def acycle_key(self) -> None:
        pass


def is_used(request: HttpRequest) -> bool:
    """Whether the session was read, or will be.

    With SESSION_SAVE_EVERY_REQUEST each that a browser brings is saved with the response, and
    its expiry moves by that. A save reads it, once, and sets the cookie that the page varies by:
    to have read it a moment before costs no round trip.
    """
    is_renewed = settings.SESSION_SAVE_EVERY_REQUEST
    is_brought = settings.SESSION_COOKIE_NAME in request.COOKIES
    return request.session.accessed or (is_renewed and is_brought)


class FollowSignedInSessions:
    """Keep the index of signed-in sessions up to date with the sessions that requests use.

    Stands after AuthenticationMiddleware. A request that neither reads its session nor renews
    it is left alone: this reads none by itself, nor makes a page vary by cookie.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # After an error Django saves no session either.
        if is_used(request) and response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            try:
                # Without the store the index waits; whether the request can too, saving tells.
                with suppress(StoreError):
                    following.follow(request)
            except Error as error:
                return self.unwritten(request, error)
        return response

    def unwritten(self, request: HttpRequest, error: Error) -> HttpResponse:
        """Where a session that ended could not be refused: as for a store that fails."""
        connection = index_connection()
        found = store_error(error, connection)
        if found is None or in_transaction(connection):
            raise error
        setattr(request, NOTE, found)
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
