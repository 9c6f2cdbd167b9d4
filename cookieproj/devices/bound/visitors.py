"""The session of a visitor: of a browser that has a bound session and may not open it now.

Its cookie has a name of its own. The session cookie stays, for when the browser has renewed.
"""

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from cookieproj.devices.constants import VISITOR_COOKIE
from cookieproj.engines.lazy_session import is_lazy

from .admission import brings_proof
from .bound_cookie import cookie_name, delete_cookie, set_on


def is_visitors(request: HttpRequest) -> bool:
    """Whether the request has the cookie of a visitor, and nothing that may open the session."""
    cookies = request.COOKIES
    is_visiting = cookie_name(VISITOR_COOKIE) in cookies and cookie_name() not in cookies
    return is_visiting and not brings_proof(request)


def open_visitors_session(request: HttpRequest) -> None:
    """Let the request have the visitor's session in place of the bound one."""
    request.COOKIES[settings.SESSION_COOKIE_NAME] = request.COOKIES[cookie_name(VISITOR_COOKIE)]


def is_signed_in(request: HttpRequest) -> bool:
    """Whether the session that was read has a user. A store that failed is not asked again."""
    session = getattr(request, "session", None)
    is_read = not is_lazy(request) and hasattr(session, "_session_cache")
    return is_read and SESSION_KEY in request.session


def rename_cookie(response: HttpResponse) -> None:
    """Let the response set, or delete, the visitor's cookie in place of the session's."""
    cookie = response.cookies.pop(settings.SESSION_COOKIE_NAME, None)
    if cookie is not None:
        age = cookie["max-age"]
        set_on(response, cookie_name(VISITOR_COOKIE), cookie.value, None if age == "" else age)


def end_visit(request: HttpRequest, response: HttpResponse) -> None:
    """Delete the visitor's cookie if the request has a session whose user is signed in."""
    if cookie_name(VISITOR_COOKIE) in request.COOKIES and is_signed_in(request):
        delete_cookie(response, VISITOR_COOKIE)
