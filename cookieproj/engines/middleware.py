"""Sessions for requests, and a 503 where their store fails.

A store fails in three places of a request, and Django hands its error on in another way from each:

- The view raises it: ``process_exception``. It comes before Django makes a page for the status 500,
  which would ask for the session once more, and before the log gets a stack trace.
- A middleware between this one and the view raises it, which may ask for the session as well.
  Django tells no ``process_exception`` of that, and makes its page for the status 500 at once: the
  signal ``got_request_exception`` alone says which error it was.
- The save after the view raises it, in ``process_response``, which is past both of them.

The first two only note the error on the request. ``process_response``, which every request comes
through, answers for all three, so that there is one page, one line in the log, and no cookie set.
"""

import asyncio
import sys
from functools import partial
from typing import Any
from weakref import ref

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, parse_cookie
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject
from django.utils.log import log_response
from django.utils.translation import gettext as _

from .english import in_english
from .exceptions import StoreError, StoreUnavailableError
from .handover import session_store
from .handover.cookie_to_server import CookieToServer
from .handover.server_to_cookie import ServerToCookie
from .revocation_check import revocation_check
from .session_keys import SessionKeys

# Where a request keeps the error, for one that no view raised: a middleware asks too.
ERROR_ATTRIBUTE = "session_store_error"

SAVED_WITH_THE_RESPONSE = (SessionKeys, ServerToCookie)


class LazySession(SimpleLazyObject):  # type: ignore[type-arg] # in the stubs alone it has one
    """A session that is made when somebody first looks at it."""


def create_session(
    store: type[SessionBase], request_or_none: ref[HttpRequest], meta: dict[str, Any]
) -> SessionBase:
    """The session of a request, to which it refers weakly: so that is freed as soon as it is over.

    If only the session is left when somebody first looks at it, it is opened by the cookie in
    ``meta``.
    """
    request = request_or_none()
    cookies = request.COOKIES if request else parse_cookie(meta.get("HTTP_COOKIE", ""))
    session = store(cookies.get(settings.SESSION_COOKIE_NAME))
    if isinstance(session, SAVED_WITH_THE_RESPONSE):
        session.save_follows = request is not None
    if request and is_lazy(request):
        # From now on the session itself, without the detour.
        request.session = session
    if isinstance(session, CookieToServer) and not is_on_event_loop():
        # Where one must not wait for a store, it is exchanged as it is read, in a thread. Sooner,
        # for requests that leave the session alone, would set cookies on pages that caches share.
        session.exchange()
    return session


def is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def is_lazy(request: HttpRequest) -> bool:
    return type(getattr(request, "session", None)) is LazySession


class SessionMiddleware(DjangoMiddleware):
    """Django's, with an answer for a session store that fails: 503, and all cookies stay.

    The page is the template 503.html, if there is one; like 500.html it is rendered
    without the request, whose user would be looked for in the store again. The error
    names the store, so it is logged, and not shown.

    Nor does a request delete the cookie that has merely found no session: what its key opened may
    have got another key meanwhile, by a sign-in whose answer is in the browser already. A cookie
    goes with a request that ends its session, or empties it: by ``flush`` say, as signing out
    does. What the others leave opens nothing; it costs a look each time until the browser drops it.
    Only a tombstone under the old key would tell the two apart, and no table or folder has one.

    With a SESSION_HANDOVER_FROM or a SESSION_REVOCATION_CHECK that cannot be, it is not even made:
    ImproperlyConfigured.
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.SessionStore = session_store()
        _found = revocation_check()

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return super().__call__(request)
        # What Django's does, which first finds out what it has to do.
        self.process_request(request)
        return self.process_response(request, self.get_response(request))  # type: ignore[arg-type]

    def process_request(self, request: HttpRequest) -> None:
        """Nothing is made for a request that leaves its session alone; its cookies stay unread."""
        make = partial(create_session, self.SessionStore, ref(request), request.META)
        request.session = LazySession(make)  # type: ignore[assignment]

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Before Django makes an error page, which would ask for the session as well."""
        if isinstance(exception, StoreError):
            setattr(request, ERROR_ATTRIBUTE, exception)
            return HttpResponse(status=503)
        return None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        # An error holds the frames that it came through, and they the request.
        if error := vars(request).pop(ERROR_ATTRIBUTE, None):
            return store_error_response(request, error)
        if is_lazy(request) and not settings.SESSION_SAVE_EVERY_REQUEST:
            return response
        if found_no_session(request):
            if request.session.accessed:
                patch_vary_headers(response, ("Cookie",))
            return response
        try:
            return super().process_response(request, response)
        except StoreError as error:
            return store_error_response(request, error)


def found_no_session(request: HttpRequest) -> bool:
    """Whether it has no session, and has neither had one nor tried to store anything."""
    session = getattr(request, "session", None)
    return session is not None and session.is_empty() and not session.modified


def store_error_response(request: HttpRequest, error: Exception) -> HttpResponse:
    """The page that says so, and a line in the log with what the error says."""
    # A store that refuses will do so again: that is for who runs the site.
    try_again = not isinstance(error, StoreError) or isinstance(error, StoreUnavailableError)
    try:
        page = render_to_string("503.html", {"try_again": try_again})
        response = HttpResponse(page, status=503)
    except TemplateDoesNotExist:
        text = _("Your session is not available right now.")
        if try_again:
            text = _("Your session is not available right now. Please try again.")
        response = HttpResponse(text, status=503, content_type="text/plain; charset=utf-8")
    # The line says all there is to know; a trace with each request would only bury it.
    logged = in_english(error)
    log_response("%s: %s", request.path, logged, response=response, request=request)
    return response


def remember_store_error(request: HttpRequest | None = None, **kwargs: Any) -> None:
    error = sys.exception()
    if request is not None and isinstance(error, StoreError):
        setattr(request, ERROR_ATTRIBUTE, error)


got_request_exception.connect(remember_store_error, dispatch_uid="cookieproj.engines")
