"""What copies of a browser's cookies are worth to a thief, tried on this very site."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, reverse
from django.utils.translation import gettext as _

from cookieproj.devices import conf
from cookieproj.devices.bound import headers
from cookieproj.devices.bound.binding import binding_of
from cookieproj.devices.bound.bound_cookie import cookie_name, read_cookie, seconds_of_validity
from cookieproj.devices.constants import BINDING_ITEM, BOUND_COOKIE_SALT
from cookieproj.engines import running_engine
from cookieproj.engines.signatures import sign, unpack, verify

from .handshake import UNRECORDED_ATTRIBUTE
from .session_cookie import cookie_of
from .temporary_user import temporary_user

BACKEND = "django.contrib.auth.backends.ModelBackend"

TEMPORARY_REDIRECT = HTTPStatus.TEMPORARY_REDIRECT

# Browsers follow no more redirects.
MAX_RESPONSES = 20

# The headers of a browser that has the key.
PROVING = {
    f"HTTP_{name.upper().replace('-', '_')}"
    for name in (headers.PROOF, headers.SESSION_ID, headers.SKIPPED)
}

Cookies = dict[str, str]


@dataclass(frozen=True)
class Theft:
    """What a thief has sent, and what came back: its status lines, equal ones once, in words."""

    sent: str
    answers: str
    outcome: str
    is_refused: bool


def thefts(request: HttpRequest) -> Iterator[Theft]:
    """Try copies of the request's cookies, as another client would send them."""
    binding = binding_of(request.session)
    session = {settings.SESSION_COOKIE_NAME: request.COOKIES[settings.SESSION_COOKIE_NAME]}
    account, guarded = reverse("demo:auth/account"), reverse("demo:proof")
    thief = Thief(request)
    yield thief.tries(_("Your session cookie alone"), account, session)
    if binding is None or not read_cookie(request.COOKIES, binding):
        return
    value = request.COOKIES[cookie_name()]
    both = session | {cookie_name(): value}
    yield thief.tries(_("Both cookies, copied just now"), account, both)
    later = session | {cookie_name(): aged(value, seconds_of_validity())}
    what = _("Both cookies, as they are worth after %(seconds)d seconds")
    yield thief.tries(what % {"seconds": seconds_of_validity()}, account, later)
    what = _("Both cookies, at a page that asks the device for a proof")
    yield thief.tries(what, guarded, both)
    if conf.bound(request.user) == conf.OFFER:
        with unbound_session(request) as other:
            what = _("The session cookie of a browser that binds nothing, created for this")
            yield thief.tries(what, account, other)


class Thief:
    """Another client, whose requests pass every middleware of this site.

    Its headers, other than the cookies, are those of the visitor's request: a thief can copy them.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._scheme = request.scheme
        self._meta = {name: text for name, text in request.META.items() if name not in PROVING}
        self._handler = BaseHandler()
        self._handler.load_middleware()

    def tries(self, sent: str, path: str, cookies: Cookies) -> Theft:
        """Send the cookies to that path. Follow each demand for a proof, without one."""
        responses = [self.get(path, cookies)]
        while responses[-1].status_code == TEMPORARY_REDIRECT and len(responses) < MAX_RESPONSES:
            # A thief keeps the copies that the response deletes.
            further = {name: morsel.value for name, morsel in responses[-1].cookies.items()}
            responses.append(self.get(path, further | cookies))
        lines = [f"{response.status_code} {response.reason_phrase}" for response in responses]
        status = responses[-1].status_code
        answers = " → ".join(line for line, _equal in groupby(lines))
        return Theft(sent, answers, meaning(status), is_refused=status != HTTPStatus.OK)

    def get(self, path: str, cookies: Cookies) -> HttpResponse:
        environ: dict[str, Any] = self._meta | {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/{path.removeprefix(get_script_prefix())}",
            "QUERY_STRING": "",
            "CONTENT_LENGTH": "0",
            "HTTP_COOKIE": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "wsgi.url_scheme": self._scheme,
            "wsgi.input": BytesIO(),
        }
        request = WSGIRequest(environ)
        setattr(request, UNRECORDED_ATTRIBUTE, True)
        # The language and the current request of this thread stay as they are.
        return copy_context().run(self._handler.get_response, request)  # type: ignore[return-value]


def meaning(status: int) -> str:
    match status:
        case HTTPStatus.OK:
            return _("The page opens. To the site the thief is the user.")
        case HTTPStatus.FOUND:
            return _("To the site the thief is a stranger: it leads to the sign-in page.")
        case HTTPStatus.FORBIDDEN:
            return _("The page stays closed, as the thief cannot prove the key.")
    return _("The page stays closed.")


def aged(value: str, seconds: int) -> str:
    """Return the bound cookie as if this site had set it so many seconds earlier."""
    signed, _secret = verify(value, BOUND_COOKIE_SALT)
    serialized, issued = unpack(signed)
    return sign(serialized, BOUND_COOKIE_SALT, issued - seconds)


@contextmanager
def unbound_session(request: HttpRequest) -> Iterator[Cookies]:
    """Yield the cookie of a new user's session that is not bound. Both are gone after the block."""
    with temporary_user() as user:
        sign_in: Any = HttpRequest()
        sign_in.META["REMOTE_ADDR"] = request.META.get("REMOTE_ADDR", "")
        session_class: Any = running_engine.store()
        sign_in.session = session_class()
        login(sign_in, user, BACKEND)
        sign_in.session.pop(BINDING_ITEM, None)
        sign_in.session.save()
        try:
            yield {settings.SESSION_COOKIE_NAME: cookie_of(sign_in.session)}
        finally:
            logout(sign_in)
