"""The session of a visitor: of a browser that has a bound session and may not open it now.

Its cookie has a name of its own. The session cookie stays, for when the browser has renewed. Beside
another session cookie, as after a sign-in, the visitor's counts no more.
"""

from hashlib import sha256

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from cookieproj.devices.constants import VISITOR_COOKIE
from cookieproj.engines.lazy_session import is_lazy

from .admission import brings_proof
from .bound_cookie import cookie_name, delete_cookie, set_on

# Hexadecimal digits.
MARK_LENGTH = 16


def mark_of(session_cookie: str) -> str:
    return sha256(session_cookie.encode(errors="replace")).hexdigest()[:MARK_LENGTH]


def open_visitors_session(request: HttpRequest) -> bool:
    """Let the request have the visitor's session in place of the bound one; return whether it does.

    It does not if it brings something that may open the bound session.
    """
    cookies, name = request.COOKIES, settings.SESSION_COOKIE_NAME
    mark, _separator, value = cookies.get(cookie_name(VISITOR_COOKIE), "").partition(".")
    is_beside = name in cookies and mark == mark_of(cookies[name])
    if not is_beside or cookie_name() in cookies or brings_proof(request):
        return False
    cookies[name] = value
    return True


def is_signed_in(request: HttpRequest) -> bool:
    """Whether the session that was read has a user. A store that failed is not asked again."""
    session = getattr(request, "session", None)
    is_read = not is_lazy(request) and hasattr(session, "_session_cache")
    return is_read and SESSION_KEY in request.session


def rename_cookie(response: HttpResponse, session_cookie: str) -> None:
    """Let the response set, or delete, the visitor's cookie beside that of the session."""
    cookie = response.cookies.pop(settings.SESSION_COOKIE_NAME, None)
    if cookie is not None:
        age = cookie["max-age"]
        value = f"{mark_of(session_cookie)}.{cookie.value}" if cookie.value else ""
        set_on(response, cookie_name(VISITOR_COOKIE), value, None if age == "" else age)


def end_visit(request: HttpRequest, response: HttpResponse) -> None:
    """Delete the visitor's cookie if the request has a session whose user is signed in."""
    if cookie_name(VISITOR_COOKIE) in request.COOKIES and is_signed_in(request):
        delete_cookie(response, VISITOR_COOKIE)
