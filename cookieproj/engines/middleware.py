"""Sessions for requests, and a response of 503 if their store fails.

A store can fail in three places of a request, and Django passes each error on in another way:

- In the view: ``process_exception`` gets it, before Django renders its page for the status 500,
  which would read the session again, and before the log gets a stack trace.
- In a middleware between this one and the view, which may read the session too. Django does not
  call ``process_exception`` for it and renders its page for the status 500 at once. Only the signal
  ``got_request_exception`` reveals the error; or, if that page reads the session again, as it does
  with CSRF_USE_SESSIONS, it is raised here.
- In the save after the view: ``process_response`` itself gets it, after both of them.

The first two only store the error on the request. ``process_response``, which every request passes,
answers all three, so that there is one page, one line in the log, and no cookie set.
"""

import sys
from types import MethodType
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.log import log_response
from django.utils.translation import gettext as _

from .english import in_english
from .exceptions import StoreError, StoreUnavailableError
from .handover import session_store
from .key_renewal import renew_age
from .lazy_session import LazySession, is_lazy
from .quick_settings import setting
from .renewal import (
    decide_renewal,
    is_only_renewed,
    is_passive,
    keeping_expiry,
    may_be_renewed,
    renew,
    retry_renewal,
)
from .revocation_check import revocation_check
from .session_response import SERVER_ERROR, save_with_response, vary_by_cookie
from .signed_ids import has_old_cookie, set_current_form, unsigned_until
from .subclass_hooks import is_djangos_own
from .timeouts import timeouts

# The request's attribute with the error. DevicesMiddleware sets it too.
ERROR_ATTRIBUTE = "session_store_error"

# Django's own method; None if it was replaced before this was imported.
DJANGOS_PROCESS_RESPONSE = (
    DjangoMiddleware.process_response if is_djangos_own(DjangoMiddleware.process_response) else None
)


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

    Raises ImproperlyConfigured on its creation if SESSION_HANDOVER_FROM, SESSION_REVOCATION_CHECK,
    SESSION_ID_UNSIGNED_UNTIL, SESSION_IDLE_AGE, SESSION_ABSOLUTE_AGE or SESSION_RENEW_AGE is wrong.
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.SessionStore = session_store()
        _check, _until, _ages = revocation_check(), unsigned_until(), (timeouts(), renew_age())

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return super().__call__(request)
        # As Django's does, without finding out first which methods there are. A subclass's
        # ``process_request`` may return a response.
        early: Any = self.process_request(request)  # type: ignore[func-returns-value]
        try:
            response: Any = early or self.get_response(request)
        except StoreError as error:
            response = self.process_exception(request, error)
        return self.process_response(request, response)

    async def __acall__(self, request: HttpRequest) -> Any:
        try:
            return await super().__acall__(request)
        except StoreError as error:
            response: Any = self.process_exception(request, error)
            return await sync_to_async(self.process_response)(request, response)

    def process_request(self, request: HttpRequest) -> None:
        """Set a lazy session: a request that does not access it creates and parses nothing."""
        request.session = LazySession(self.SessionStore, request)  # type: ignore[assignment]

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
        is_saved_anyway = setting("SESSION_SAVE_EVERY_REQUEST")
        session: Any = getattr(request, "session", None)
        is_unused = is_lazy(request) and not is_saved_anyway
        if is_unused or not hasattr(session, "accessed"):
            # For what a view has put in its place Django's middleware does nothing.
            return response
        is_saved = session.modified or is_saved_anyway
        try:
            if is_saved:
                ensure_admitted(session)
            if self._only_varies(request, session, response, is_saved=is_saved):
                if session.accessed:
                    vary_by_cookie(response)
                return response
            decide_renewal(request)
            response = self._save(request, session, response)
            set_current_form(request, response)
        except StoreError as error:
            response = store_error_response(request, error)
        if response.status_code >= SERVER_ERROR:
            retry_renewal(session)
        return response

    def _only_varies(
        self, request: HttpRequest, session: Any, response: HttpResponse, *, is_saved: bool
    ) -> bool:
        """Whether the response does no more for the session than to have a header ``Vary``."""
        if session.modified:
            return False
        is_only_read = not (
            is_saved
            or may_be_renewed(session)
            or has_old_cookie(session)
            # A view may have set the session's cookie itself, which is then signed.
            or response.cookies
        )
        return (
            (is_only_read and follows_django(super().process_response))
            or is_passive(request)
            # It was not found. Django's middleware would delete the cookie.
            or session.is_empty()
        )

    def _save(self, request: HttpRequest, session: Any, response: HttpResponse) -> HttpResponse:
        if is_passive(request):
            with keeping_expiry(session):
                return self._save_or_renew(request, session, response)
        return self._save_or_renew(request, session, response)

    def _save_or_renew(
        self, request: HttpRequest, session: Any, response: HttpResponse
    ) -> HttpResponse:
        if is_only_renewed(session, response):
            renew(session, response)
        elif follows_django(super().process_response):
            save_with_response(request, session, response)
        else:
            response = super().process_response(request, response)
        return response


def ensure_admitted(session: Any) -> None:
    """Read a session that may be saved: a refused request must save no new one in its place."""
    if getattr(session, "admission", None) is not None:
        session._ensure_admitted()


def follows_django(process_response: Any) -> bool:
    """Whether that method is Django's own, of which ``save_with_response`` is the quicker form.

    It is not if a patch, or another parent of a site's middleware, has replaced it.
    """
    # By type and identity: the wrappers of wrapt equal what they wrap.
    return (
        type(process_response) is MethodType
        and process_response.__func__ is DJANGOS_PROCESS_RESPONSE
    )


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
