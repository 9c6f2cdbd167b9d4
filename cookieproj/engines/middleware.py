"""Sessions for requests, and a response of 503 if their store fails.

A store can fail in three places of a request, and Django passes each error on in another way:

- In the view: ``process_exception`` gets it, before Django renders its page for the status 500,
  which would read the session again, and before the log gets a stack trace.
- In a middleware between this one and the view, which may read the session too. Django does not
  call ``process_exception`` for it and renders its page for the status 500 at once. Only the signal
  ``got_request_exception`` reveals the error.
- In the save after the view: ``process_response`` itself gets it, after both of them.

The first two only store the error on the request. ``process_response``, which every request passes,
answers all three, so that there is one page, one line in the log, and no cookie set.
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
from .signed_ids import open_session, set_current_form, unsigned_until

# The request's attribute with the error. DevicesMiddleware sets it too.
ERROR_ATTRIBUTE = "session_store_error"

SAVED_WITH_RESPONSE = (SessionKeys, ServerToCookie)


class LazySession(SimpleLazyObject):  # type: ignore[type-arg] # in the stubs alone it has one
    """A session that is created when it is first accessed."""


def create_session(
    session_class: type[SessionBase], request_ref: ref[HttpRequest], meta: dict[str, Any]
) -> SessionBase:
    """Return the request's session.

    It refers to the request weakly, so that the request is freed as soon as it is over. If the
    request is gone when the session is first accessed, the cookie is read from ``meta``.
    """
    request = request_ref()
    cookies = request.COOKIES if request else parse_cookie(meta.get("HTTP_COOKIE", ""))
    session = open_session(session_class, cookies.get(settings.SESSION_COOKIE_NAME))
    if isinstance(session, SAVED_WITH_RESPONSE):
        session.save_follows = request is not None
    if request and is_lazy(request):
        # Later accesses go to the session directly.
        request.session = session
    if isinstance(session, CookieToServer) and not is_on_event_loop():
        # On an event loop, which must not block, the cookie is exchanged when the session is read,
        # in a thread. It is not exchanged for requests that do not access their session: that would
        # set cookies on pages that caches share.
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
    """Django's middleware, with a response of 503 that keeps all cookies if the store fails.

    The page is the template 503.html if there is one. As with 500.html, it is rendered without the
    request, whose user would be read from the store again. The error names the store, so it is
    logged, not shown.

    A request that only finds no session does not delete the cookie: a concurrent sign-in may have
    given its session another key, and that response may have reached the browser already. A cookie
    is deleted by a request that ends or empties its session, as signing out does by ``flush``.
    Other cookies that open nothing stay, and cost a look-up each time until the browser drops them.
    Only a tombstone under the old key could tell the two cases apart, and tables and folders have
    none.

    Raises ImproperlyConfigured on its creation if SESSION_HANDOVER_FROM, SESSION_REVOCATION_CHECK
    or SESSION_ID_UNSIGNED_UNTIL is wrong.
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.SessionStore = session_store()
        _check, _until = revocation_check(), unsigned_until()

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return super().__call__(request)
        # As Django's does, without finding out first which methods there are.
        self.process_request(request)
        return self.process_response(request, self.get_response(request))  # type: ignore[arg-type]

    def process_request(self, request: HttpRequest) -> None:
        """Set a lazy session: a request that does not access it creates and parses nothing."""
        make = partial(create_session, self.SessionStore, ref(request), request.META)
        request.session = LazySession(make)  # type: ignore[assignment]

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Store the error before Django renders an error page, which would read the session."""
        if isinstance(exception, StoreError):
            setattr(request, ERROR_ATTRIBUTE, exception)
            return HttpResponse(status=503)
        return None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        # An error refers to the frames that it passed, and they refer to the request.
        if error := vars(request).pop(ERROR_ATTRIBUTE, None):
            return store_error_response(request, error)
        if is_lazy(request) and not settings.SESSION_SAVE_EVERY_REQUEST:
            return response
        if found_no_session(request):
            if request.session.accessed:
                patch_vary_headers(response, ("Cookie",))
            return response
        try:
            response = super().process_response(request, response)
            set_current_form(request, response)
        except StoreError as error:
            return store_error_response(request, error)
        return response


def found_no_session(request: HttpRequest) -> bool:
    """Whether the request has no session, had none, and has not tried to store anything."""
    session = getattr(request, "session", None)
    return session is not None and session.is_empty() and not session.modified


def store_error_response(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the response of 503, and log the error."""
    # A retry does not help if the store refuses: the operator has to act.
    try_again = not isinstance(error, StoreError) or isinstance(error, StoreUnavailableError)
    try:
        page = render_to_string("503.html", {"try_again": try_again})
        response = HttpResponse(page, status=503)
    except TemplateDoesNotExist:
        text = _("Your session is not available right now.")
        if try_again:
            text = _("Your session is not available right now. Please try again.")
        response = HttpResponse(text, status=503, content_type="text/plain; charset=utf-8")
    # The line has all details. A stack trace for each request would hide it.
    message = in_english(error)
    log_response("%s: %s", request.path, message, response=response, request=request)
    return response


def remember_store_error(request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Store the error on the request, for ``process_response``."""
    error = sys.exception()
    if request is not None and isinstance(error, StoreError):
        setattr(request, ERROR_ATTRIBUTE, error)


got_request_exception.connect(remember_store_error, dispatch_uid="cookieproj.engines")
