"""From signed cookies to encrypted ones, or back: the response sets the session in the new form."""

import copy

from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.exceptions import CookieTooLargeError
from cookieproj.engines.merge import Data

from .keeps_expiry import KeepsExpiryMixin


class CookieToCookie(KeepsExpiryMixin, CookieSession):
    """A session in a cookie of the new engine, or of the old one.

    Both are the whole session, so requests at once that bring the old cookie need no agreement:
    each answers with the session that it was sent. The old cookie is good until it expires, as any
    copy of a cookie is; SESSION_REVOCATION_CHECK refuses both once the session has ended.
    """

    _old: type[CookieSession]

    @classmethod
    def is_cookie(cls, session_key: str | None) -> bool:
        """Whether it is a session of either engine."""
        return super().is_cookie(session_key) or cls._old.is_cookie(session_key)

    def load(self) -> Data:
        cookie = self.session_key
        if not self._old.is_cookie(cookie):
            return super().load()
        old = self._old(cookie)
        data: Data = dict(old.items())
        if not data:
            return self._empty()
        self._moved = copy.deepcopy(data), old._expires(data)
        # So that the response sets the cookie.
        self.modified = True
        return data

    def save(self, must_create: bool = False) -> None:
        super().save(must_create)
        self._moved = None

    def _get_session_key(self) -> str:
        """A cookie that is merely moved expires when the session would have."""
        return self.make_cookie(self._get_session(), self._moment_of_writing())

    def _report_too_large(self, error: CookieTooLargeError) -> None:
        """Keep the old form, which may be compressed, where a browser can keep that."""
        cookie = self._session_key
        self._session_key = self._old().make_cookie(self._get_session(), self._moment_of_writing())
        if self._cookie_bytes() > error.limit:
            self._session_key = cookie
            super()._report_too_large(error)
