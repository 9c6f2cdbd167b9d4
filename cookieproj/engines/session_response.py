"""What a response does for the session: its save, its cookie and the header ``Vary``."""

import time
from http import HTTPStatus
from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date as django_http_date

from .key_renewal import KeyRenewalMixin
from .quick_settings import setting

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
END_OF_YEAR_9999 = 253_402_300_800
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# As an attribute of the enum it would be looked up by a method in Python.
SERVER_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR


def save_with_response(request: HttpRequest, session: Any, response: HttpResponse) -> None:
    """Do to the response and the session what Django's middleware does, in less time.

    Save a changed session and set its cookie, unless the server failed; delete the cookie of an
    emptied one. Raises SessionInterrupted if the session has ended meanwhile, and StoreError.
    """
    was_accessed, is_empty = session.accessed, session.is_empty()
    if is_empty and setting("SESSION_COOKIE_NAME") in request.COOKIES:
        delete_session_cookie(response)
        vary_by_cookie(response)
        return
    is_saved = (
        not is_empty
        and (session.modified or setting("SESSION_SAVE_EVERY_REQUEST"))
        and response.status_code < SERVER_ERROR
    )
    if is_saved:
        save_and_set_cookie(session, response)
    if was_accessed or is_saved:
        vary_by_cookie(response)


def delete_session_cookie(response: HttpResponse) -> None:
    response.delete_cookie(
        setting("SESSION_COOKIE_NAME"),
        path=setting("SESSION_COOKIE_PATH"),
        domain=setting("SESSION_COOKIE_DOMAIN"),
        samesite=setting("SESSION_COOKIE_SAMESITE"),
    )


def save_and_set_cookie(session: Any, response: HttpResponse) -> None:
    max_age = expires = None
    if not session.get_expire_at_browser_close():
        max_age = session.get_expiry_age()
        expires = http_date(time.time() + max_age)
    try:
        session.save()
        if isinstance(session, KeyRenewalMixin):
            session.continue_renewal()
    except UpdateError as error:
        # The words of Django's middleware, which sites may search their logs for.
        raise SessionInterrupted(
            "The request's session was deleted before the request completed. The user may have "
            "logged out in a concurrent request, for example."
        ) from error
    response.set_cookie(
        setting("SESSION_COOKIE_NAME"),
        session.session_key,
        max_age=max_age,
        expires=expires,
        domain=setting("SESSION_COOKIE_DOMAIN"),
        path=setting("SESSION_COOKIE_PATH"),
        secure=setting("SESSION_COOKIE_SECURE") or False,
        httponly=setting("SESSION_COOKIE_HTTPONLY") or False,
        samesite=setting("SESSION_COOKIE_SAMESITE"),
    )


def http_date(seconds: float) -> str:
    """Return the moment, in seconds since 1970, as Django's ``http_date`` does.

    That goes through a datetime and the email package. It is called for moments before 1970 and
    after 9999, and raises ValueError if there is no such date.
    """
    if not 0 <= seconds < END_OF_YEAR_9999:
        return django_http_date(seconds)
    date = time.gmtime(seconds)
    return (
        f"{DAYS[date.tm_wday]}, {date.tm_mday:02} {MONTHS[date.tm_mon - 1]} {date.tm_year:04} "
        f"{date.tm_hour:02}:{date.tm_min:02}:{date.tm_sec:02} GMT"
    )


def vary_by_cookie(response: HttpResponse) -> None:
    """Do as ``patch_vary_headers``, which need not read a header that is not there."""
    if "Vary" in response.headers:
        patch_vary_headers(response, ("Cookie",))
    else:
        response.headers["Vary"] = "Cookie"
