"""The middleware that opens bound sessions only for the browser that has the key."""

from contextlib import suppress
from functools import partial
from http import HTTPStatus
from time import time
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.deprecation import MiddlewareMixin

from cookieproj.devices import conf
from cookieproj.devices.deferred_writes import try_write
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.row_identity import registered_id
from cookieproj.devices.signals import NO_KEY
from cookieproj.engines.admission import ADMISSION_ATTRIBUTE
from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.session_response import delete_session_cookie

from . import headers
from .admission import BoundAdmission, Refusal, seconds_of_grace
from .binding import Binding
from .bound_cookie import cookie_name, delete_cookie
from .pages import is_link_of_another_site, reload_from_here, try_again
from .registering import add_header
from .visitors import end_visit, is_signed_in, open_visitors_session, rename_cookie


class BoundSessionsMiddleware(MiddlewareMixin):
    """Offers bindings after sign-ins, and refuses requests that lack a bound session's cookie.

    It stands before SessionMiddleware. A request whose bound cookie is good costs no round trip
    more. A request that is refused continues as a visitor's. Its session cookie stays as it is,
    unless a user signs in: the browser with the key may have sent it, and have failed to renew the
    bound cookie. If it says so, the response is a 503.
    """

    def process_request(self, request: HttpRequest) -> None:
        if conf.binds_sessions():
            admission = BoundAdmission(request.COOKIES, request)
            admission.is_of_visitor = open_visitors_session(request)
            setattr(request, ADMISSION_ATTRIBUTE, admission)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """Let no view run for a refused request that the browser sends once more.

        Else it might use up a one-time link. A POST goes on: it may be a sign-in.
        """
        admission: BoundAdmission | None = getattr(request, ADMISSION_ATTRIBUTE, None)
        if admission is None or not is_sent_again(request):
            return None
        if not admission.is_of_visitor and settings.SESSION_COOKIE_NAME in request.COOKIES:
            # Reading the session asks the admission. The response does not depend on its data.
            was_accessed = request.session.accessed
            _ = SESSION_KEY in request.session
            request.session.accessed = was_accessed
        is_refused = admission.refusal or admission.is_of_visitor
        # ``process_response`` replaces it.
        return HttpResponse() if is_refused else None

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        admission: BoundAdmission | None = getattr(request, ADMISSION_ATTRIBUTE, None)
        if admission is None:
            return response
        if (admission.refusal or admission.is_of_visitor) and not is_signed_in(request):
            return response_to_refused(request, response, admission)
        end_visit(request, response)
        if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            add_header(request, response)
        return response


def is_sent_again(request: HttpRequest) -> bool:
    """Whether it is a GET that the browser sends once more if refused, as the response says."""
    is_skipped = headers.SKIPPED in request.headers
    return request.method == "GET" and (is_skipped or is_link_of_another_site(request))


def response_to_refused(
    request: HttpRequest, response: HttpResponse, admission: BoundAdmission
) -> HttpResponse:
    """Return the response to a request that may not open the session of its cookie."""
    if admission.refusal is Refusal.NO_KEY:
        return end_unbound(request, admission)
    if headers.SKIPPED in request.headers:
        return try_again(request)
    if is_link_of_another_site(request):
        return reload_from_here(request)
    if admission.binding and is_answer_lost(admission.binding):
        return not_bound(request)
    if cookie_name() in request.COOKIES:
        # So that the browser renews it before the next request.
        delete_cookie(response)
    rename_cookie(response, admission.session_cookie)
    return response


def is_answer_lost(binding: Binding) -> bool:
    """Whether the browser has registered a key, and seems not to have got the bound cookie.

    A little later than that, as other requests may have been on their way.
    """
    return not binding.confirmed and time() - binding.registered > seconds_of_grace()


def end_unbound(request: HttpRequest, admission: BoundAdmission) -> HttpResponse:
    """End a session that had to be bound, and say so."""
    # Refused in any case, as long as it cannot be ended.
    try_write(partial(end_row, registered_id(admission.refused_data)))
    return not_bound(request)


def not_bound(request: HttpRequest) -> HttpResponse:
    """Sign the browser out with a page that says why. What is stored stays as it is."""
    context = {"sign_in": resolve_url(settings.LOGIN_URL)}
    status = HTTPStatus.FORBIDDEN
    response = render(request, "cookieproj_devices/not_bound.html", context, status=status)
    delete_session_cookie(response)
    return response


def end_row(row_id: str | None) -> None:
    """End the session, unless it is bound: the request has brought a copy from before that."""
    for row in SignedInSession.objects.filter(pk__in=[row_id], bound_at=None):
        row.end_reason = NO_KEY
        with suppress(SessionStoreError):
            row.delete()
