"""The middleware that opens bound sessions only for the browser that has the key."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from cookieproj.devices import conf
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.row_identity import registered_id
from cookieproj.devices.signals import NO_KEY
from cookieproj.engines.admission import ADMISSION_ATTRIBUTE
from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.session_response import delete_session_cookie

from . import headers
from .admission import BoundAdmission, Refusal
from .bound_cookie import cookie_name, delete_cookie
from .registering import add_header


class BoundSessionsMiddleware(MiddlewareMixin):
    """Offers bindings after sign-ins, and refuses requests that lack a bound session's cookie.

    It stands before SessionMiddleware. A request whose bound cookie is good costs no round trip
    more. A request that is refused continues without a session, and leaves the session's cookie as
    it is: the browser with the key may be the one that sent it, and have failed to renew the bound
    cookie. If that browser says so, it gets a 503.
    """

    def process_request(self, request: HttpRequest) -> None:
        if conf.binds_sessions():
            setattr(request, ADMISSION_ATTRIBUTE, BoundAdmission(request))

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        admission: BoundAdmission | None = getattr(request, ADMISSION_ATTRIBUTE, None)
        refusal = admission.refusal if admission else None
        if admission and refusal is Refusal.NO_KEY:
            return end_unbound(request, admission)
        if refusal is Refusal.NO_BOUND_COOKIE and headers.SKIPPED in request.headers:
            return try_again(request)
        if refusal and cookie_name() in request.COOKIES:
            # So that the browser renews it before the next request.
            delete_cookie(response)
        if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            add_header(request, response)
        return response


def end_unbound(request: HttpRequest, admission: BoundAdmission) -> HttpResponse:
    """End a session that had to be bound, and say so."""
    row = SignedInSession.objects.filter(pk__in=[registered_id(admission.refused_data)]).first()
    if row is not None:
        row.end_reason = NO_KEY
        # Refused in any case, as long as it cannot be ended.
        with suppress(SessionStoreError):
            row.delete()
    response = render(request, "cookieproj_devices/not_bound.html", status=HTTPStatus.FORBIDDEN)
    delete_session_cookie(response)
    return response


def try_again(request: HttpRequest) -> HttpResponse:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    response = render(request, "cookieproj_devices/not_renewed.html", status=status)
    response.headers["Retry-After"] = "5"
    return response
