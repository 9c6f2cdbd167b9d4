"""From signed to encrypted cookies, or back: the response sets the session in the new form."""

import copy
import logging

from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.english import in_english
from cookieproj.engines.exceptions import CookieTooLargeError
from cookieproj.engines.merge import Data

from .keeps_expiry import KeepsExpiryMixin

logger = logging.getLogger("django.contrib.sessions")


class CookieToCookie(KeepsExpiryMixin, CookieSession):
    """A session in a cookie of the new engine, or of the old one.

    Both contain the whole session, so concurrent requests with the old cookie need no coordination:
    each responds with the session that it received. The old cookie stays valid until it expires, as
    any copy of a cookie does. SESSION_REVOCATION_CHECK refuses both once the session has ended.
    """

    _old: type[CookieSession]

    @classmethod
    def is_cookie(cls, session_key: str | None) -> bool:
        """Whether it is a session of either engine."""
        return super().is_cookie(session_key) or cls._old.is_cookie(session_key)

    def load(self) -> Data:
        cookie = self.session_key
        if loaded := super().load():
            return loaded
        old = self._old(cookie)
        data: Data = dict(old.items())
        if not data:
            return self._empty()
        self._moved = copy.deepcopy(data), old._expires(data)
        # Makes the response set the cookie.
        self.modified = True
        return data

    def save(self, must_create: bool = False) -> None:
        super().save(must_create)
        self._moved = None

    def _get_session_key(self) -> str:
        """Return the cookie. A move alone leaves the session's expiry as it is."""
        written = self._moment_of_writing()
        # Only now: settling the exchange counts as a change of the session.
        self._settle_exchange()
        return self.make_cookie(self._get_session(), written)

    def _report_too_large(self, error: CookieTooLargeError) -> None:
        """Keep the old form of a session that this request has not changed.

        A signed cookie is compressed, so it can contain more. A changed session is not put into a
        form that the browser can read.
        """
        if not self._is_unchanged_since_move():
            super()._report_too_large(error)
            return
        logger.warning("A session stays in its old cookie. %s", in_english(error))
        self._session_key = self._old().make_cookie(self._get_session(), self._moment_of_writing())
