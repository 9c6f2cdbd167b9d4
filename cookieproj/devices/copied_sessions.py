"""What a request says about a session that was copied: see SESSION_END_COPIED."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from cookieproj.engines.lazy_session import is_lazy
from cookieproj.engines.session_response import delete_session_cookie

from . import conf, emails
from .models import SignedInSession

# On a session: the row, now deleted, of a copied session that its request has ended.
COPIED_ROW_ATTRIBUTE = "copied_row"


def answer(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the response, or a page that says that the session has ended because it was copied.

    Its user gets an e-mail, if DEVICES_COPIED_EMAIL is on. The page is not for a request that has
    begun another session.
    """
    session: Any = getattr(request, "session", None)
    if is_lazy(request) or not getattr(session, "was_copied", False):
        return response
    row: SignedInSession | None = vars(session).pop(COPIED_ROW_ATTRIBUTE, None)
    if row is not None and conf.copied_email():
        emails.send(emails.COPIED, request, row.user, row)
    return copied_page(request) if session.is_empty() else response


def copied_page(request: HttpRequest) -> HttpResponse:
    """Say that the session has ended, because one of the two who used it has copied its cookie."""
    response = render(request, "cookieproj_devices/copied.html", status=HTTPStatus.FORBIDDEN)
    delete_session_cookie(response)
    return response
