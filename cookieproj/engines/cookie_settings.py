"""Cookies as Django sets them by its settings, and the size that browsers accept."""

from http.cookies import Morsel
from typing import Any

from django.conf import settings
from django.http import HttpResponse

# Bytes that a browser must be able to keep: name, value and attributes (RFC 6265, 6.1).
MAX_COOKIE_BYTES = 4096


def cookie_from_settings(family: str, value: str, max_age: int | None) -> Morsel[str]:
    """Return the cookie whose settings begin with ``family``, as Django sets it.

    Raises CookieError or ValueError if there can be no such cookie.
    """
    response: Any = HttpResponse()
    name = getattr(settings, f"{family}_NAME")
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        domain=getattr(settings, f"{family}_DOMAIN"),
        path=getattr(settings, f"{family}_PATH"),
        secure=getattr(settings, f"{family}_SECURE") or False,
        httponly=getattr(settings, f"{family}_HTTPONLY") or False,
        samesite=getattr(settings, f"{family}_SAMESITE"),
    )
    cookie: Morsel[str] = response.cookies[name]
    return cookie
