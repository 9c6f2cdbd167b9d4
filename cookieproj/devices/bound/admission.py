"""Whether a request may open a bound session."""

import logging
from enum import Enum, auto
from time import time
from weakref import ref

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from cookieproj.devices import conf
from cookieproj.devices.constants import ROW_ITEM
from cookieproj.engines.admission import TAKES_PROOFS
from cookieproj.engines.merge import Data

from . import headers
from .binding import Binding, binding_of
from .bound_cookie import BoundCookie, read_cookie
from .single_use import registered_key

logger = logging.getLogger(__name__)

# Seconds after a sign-in for which a session that has to be bound opens without a key.
REGISTRATION_TIME = 30

# Seconds after the first bound cookie for which requests that were on their way open the session
# without one. Never longer than the cookie lives.
GRACE = 10


class Refusal(Enum):
    """Why a request may not open the session of its cookie."""

    # It has no valid bound cookie.
    NO_BOUND_COOKIE = auto()
    # The session has to be bound, and the browser has registered no key.
    NO_KEY = auto()


# For the log.
REASONS = {
    Refusal.NO_BOUND_COOKIE: "the request has no valid bound cookie",
    Refusal.NO_KEY: "its browser has registered no key",
}


class BoundAdmission:
    """The admission of one request, or of a connection with these cookies.

    ``refusal`` says why it was refused: then it continues as if it had no session cookie. With
    ``is_of_visitor`` it has the session that began after an earlier refusal.
    ``awaits_proof`` says that it was admitted only to the views that verify a proof.
    ``binding`` is that of the session, and ``cookie`` the bound cookie, if it is valid.
    ``session_cookie`` is the value that was sent.
    """

    def __init__(self, cookies: dict[str, str], request: HttpRequest | None = None) -> None:
        self._cookies = cookies
        self.session_cookie = cookies.get(settings.SESSION_COOKIE_NAME, "")
        # Weakly, as the request refers to this.
        self._request = ref(request) if request else lambda: None
        self.is_of_visitor = False
        self.awaits_proof = False
        self.refusal: Refusal | None = None
        self.binding: Binding | None = None
        self.cookie: BoundCookie | None = None
        self.refused_data: Data = {}

    def __call__(self, data: Data) -> bool:
        if self.is_of_visitor and SESSION_KEY in data:
            # A sign-in replaces the session cookie. Nobody is signed in beside it.
            self._cookies.pop(settings.SESSION_COOKIE_NAME, None)
            return False
        self.binding = binding_of(data)
        if self.binding is None:
            return True
        self.cookie = read_cookie(self._cookies, self.binding)
        if self.cookie:
            return True
        refusal = refusal_without_cookie(self.binding)
        if refusal is None:
            return True
        if brings_proof(self._request()):
            self.awaits_proof = True
            return True
        self.refusal = refusal
        self.refused_data = data
        self._cookies.pop(settings.SESSION_COOKIE_NAME, None)
        reason, fields = REASONS[refusal], log_fields(data)
        logger.warning("A bound session is not opened: %s.", reason, extra=fields)
        return False


def brings_proof(request: HttpRequest | None) -> bool:
    """Whether the request brings a key or a proof, or asks for a challenge, where that is done."""
    if request is None or request.method != "POST":
        return False
    if headers.PROOF not in request.headers and headers.SESSION_ID not in request.headers:
        return False
    try:
        match = request.resolver_match or resolve(
            request.path_info, getattr(request, "urlconf", None)
        )
    except Resolver404:
        return False
    return hasattr(match.func, TAKES_PROOFS)


def seconds_of_grace() -> int:
    """Return for how long after the first bound cookie a session opens without one."""
    return min(GRACE, conf.bound_age())


def refusal_without_cookie(binding: Binding) -> Refusal | None:
    if binding.confirmed:
        is_over = time() - binding.confirmed > seconds_of_grace()
        return Refusal.NO_BOUND_COOKIE if is_over else None
    is_late = binding.is_required and time() - binding.offered > REGISTRATION_TIME
    if not is_late:
        return None
    return Refusal.NO_BOUND_COOKIE if registered_key(binding) else Refusal.NO_KEY


def log_fields(data: Data) -> dict[str, str]:
    """Return what a log record says of the session: the id of its row."""
    return {"session": str((data.get(ROW_ITEM) or [""])[0])}
