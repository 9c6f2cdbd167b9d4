"""Whether a request may open a bound session."""

import logging
from enum import Enum, auto
from time import time

from django.conf import settings

from cookieproj.devices import conf
from cookieproj.devices.constants import ROW_ITEM
from cookieproj.engines.merge import Data

from .binding import Binding, binding_of
from .bound_cookie import BoundCookie, read_cookie

logger = logging.getLogger(__name__)

# Seconds after a sign-in for which a session that has to be bound opens without a key, and seconds
# after the first bound cookie for which requests that were on their way open it without one. The
# latter is never longer than the cookie lives.
REGISTRATION_TIME, GRACE = 30, 10


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
    """The admission of one request.

    ``refusal`` says why it was refused: then it continues as if it had no session cookie. Otherwise
    ``binding`` and ``cookie`` are those that opened the session, if it has a binding.
    """

    def __init__(self, cookies: dict[str, str], *, is_renewal: bool) -> None:
        # Not the request, which refers to this.
        self._cookies = cookies
        self._is_renewal = is_renewal
        self.refusal: Refusal | None = None
        self.binding: Binding | None = None
        self.cookie: BoundCookie | None = None
        self.refused_data: Data = {}

    def __call__(self, data: Data) -> bool:
        self.binding = binding_of(data)
        if self.binding is None or self._is_renewal:
            return True
        self.cookie = read_cookie(self._cookies, self.binding)
        if self.cookie:
            return True
        self.refusal = refusal_without_cookie(self.binding)
        if self.refusal is None:
            return True
        self.refused_data = data
        self._cookies.pop(settings.SESSION_COOKIE_NAME, None)
        logger.warning("A bound session is not opened: %s.", REASONS[self.refusal], extra=row(data))
        return False


def refusal_without_cookie(binding: Binding) -> Refusal | None:
    if binding.confirmed:
        grace = min(GRACE, conf.bound_age())
        return Refusal.NO_BOUND_COOKIE if time() - binding.confirmed > grace else None
    is_late = binding.is_required and time() - binding.offered > REGISTRATION_TIME
    return Refusal.NO_KEY if is_late else None


def row(data: Data) -> dict[str, str]:
    """Return the field of a log record that names the session, by the id of its row."""
    return {"session": str((data.get(ROW_ITEM) or [""])[0])}
