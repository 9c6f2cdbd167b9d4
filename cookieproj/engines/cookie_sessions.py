"""Sessions that are in the cookie itself: no server can merge or list them.

A browser may keep, or send again, a cookie whose session the server has ended. The setting
SESSION_REVOCATION_CHECK is the dotted path of a function that is called for each session whose
cookie is genuine and has not expired: with its data and its session key, which is the cookie
itself. If it returns True, the session is refused. If it raises, no session is opened and the view
gets the error. A path without a function raises ImproperlyConfigured. If the setting is empty, no
session is refused.

In a handover to or from cookies the function is called for the sessions on the server too,
with their session keys. As it may query a database, an async view reads this session with ``aget``,
as on other engines.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.sessions.backends.signed_cookies import SessionStore as DjangoStore
from django.utils import timezone
from django.utils.translation import gettext as _

from . import checks  # noqa: F401 - they register themselves
from .apply import NOT_GIVEN
from .clock import as_django_stores, aware, from_now, is_past
from .constants import EXCHANGED_KEY, EXPIRY_ITEM
from .cookie_settings import MAX_COOKIE_BYTES, cookie_from_settings
from .english import in_english
from .entries import Location, Page
from .exceptions import CookieTooLargeError, HeldByClientError, NotListableError
from .listing import ListingMixin
from .merge import Data
from .revocation_check import is_revoked
from .store import Store
from .subclass_hooks import overrides, serialized_form
from .timeouts import (
    TimeoutsMixin,
    end_by_timeout,
    has_timed_out,
    lacks_auth_time,
    set_auth_time,
)
from .validation import decode_valid, validate

logger = logging.getLogger("django.contrib.sessions")


class OpenedCookie(NamedTuple):
    """The content of a genuine cookie, and which of the site's secret keys it was made with."""

    data: Any
    written: datetime
    secret: str


class CookieSession(ListingMixin, TimeoutsMixin, DjangoStore):
    """A session whose key is the session itself: data, time of writing, and a proof of both.

    A subclass makes and opens the cookie.
    """

    # Of the cookie in the session key: the time of writing, and the secret key it was made with.
    _written: datetime | None = None
    _secret = ""

    @classmethod
    def is_cookie(cls, session_key: str | None) -> bool:
        """Whether it has the form of such a cookie, which no session key on a server has."""
        raise NotImplementedError

    def make_cookie(self, data: Data, written: datetime) -> str:
        """Return the cookie. Raises what the serializer raises for data that it cannot take."""
        raise NotImplementedError

    def open_cookie(self, cookie: str) -> OpenedCookie:
        """Return the content. Raises an error of any kind for what this site has not made."""
        raise NotImplementedError

    def make_store(self) -> Store:
        return BrowserStore(self)

    def load(self) -> Data:
        """Return the data; {} for a cookie that is not genuine, has expired or is refused.

        Unlike Django's engine this one honours ``set_expiry``.
        """
        key = self.session_key or ""
        try:
            content, self._written, self._secret = self.open_cookie(key)
        except Exception:  # noqa: BLE001 - a serializer may raise anything
            return self._empty()
        data = decode_valid(lambda content: content, content)
        if data is None or self._has_expired(data) or is_revoked(data, key):
            return self._empty()
        return data

    def _empty(self) -> Data:
        """Drop the session key and return {}, as the other engines do.

        With Django's engine the response would set the cookie of an empty session, which could
        replace a newer cookie that the browser has got meanwhile.
        """
        self._session_key = None
        return {}

    def save(self, must_create: bool = False) -> None:
        """Make a new cookie of the data.

        A browser silently drops a cookie of more than MAX_COOKIE_BYTES and keeps the old one: the
        changes of this request are lost. With SESSION_COOKIE_TOO_LARGE_IS_ERROR, which is by
        default the value of DEBUG, CookieTooLargeError is raised. Otherwise a line in the log has
        the size.
        """
        data = self._get_session(no_load=must_create)
        self._ensure_admitted()
        validate(data)
        if lacks_auth_time(data):
            set_auth_time(data)
        super().save(must_create)
        # The attributes never take half of it, so most sessions need not be measured.
        if len(self.session_key or "") < MAX_COOKIE_BYTES // 2:
            return
        size = self._cookie_bytes()
        if size > MAX_COOKIE_BYTES:
            self._report_too_large(
                CookieTooLargeError(settings.SESSION_COOKIE_NAME, size, MAX_COOKIE_BYTES)
            )

    def delete(self, session_key: str | None = None) -> None:
        self._ensure_admitted()
        super().delete(session_key)

    def _report_too_large(self, error: CookieTooLargeError) -> None:
        """Raise the error or log it, as the setting says."""
        if getattr(settings, "SESSION_COOKIE_TOO_LARGE_IS_ERROR", settings.DEBUG):
            raise error
        logger.warning(in_english(error))

    def _get_session_key(self) -> str:
        """Return the cookie."""
        self._settle_exchange()
        self._written = self._moment_of_writing()
        return self.make_cookie(self._session, self._written)

    def _moment_of_writing(self) -> datetime:
        """Return now, or the moment of the last writing if the expiry is to stay as it is."""
        return timezone.now() if self._fixed_expiry is None else self._written or timezone.now()

    def stored_expiry(self) -> datetime | None:
        return self._expires(self._get_session()) if self._written else None

    def _settle_exchange(self) -> None:
        """Make the mark of an exchange say that the browser has sent the cookie since.

        Without a server in the handover only the cookie counts, whatever the old store still has.
        """
        match self._session.get(EXCHANGED_KEY):
            case [key, False, name]:
                self._session[EXCHANGED_KEY] = [key, True, name]

    def apply(self, key: str, function: Callable[[Any], Any], default: Any = NOT_GIVEN) -> Any:
        """Raise HeldByClientError: only a server knows what is stored now."""
        raise HeldByClientError

    def _cookie_bytes(self) -> int:
        """Return the size of the cookie that the middleware sets, in bytes."""
        age = None if self.get_expire_at_browser_close() else self.get_expiry_age()
        return len(
            cookie_from_settings("SESSION_COOKIE", self.session_key or "", age).OutputString()
        )

    def _expires(self, data: Data) -> datetime:
        """Return the moment at which the session expires."""
        date = self.get_expiry_date(modification=self._written, expiry=data.get(EXPIRY_ITEM))
        end = end_by_timeout(data, self._written.timestamp()) if self._written else None
        if end is not None:
            date = min(date, from_now(end - time.time()), key=aware)
        return as_django_stores(date)

    def _has_expired(self, data: Data) -> bool:
        if self._written and has_timed_out(data, self._written.timestamp()):
            return True
        if data.get(EXPIRY_ITEM) or not self._written or overrides(type(self), "get_expiry_date"):
            return is_past(self._expires(data))
        # The same without any date, for a session that has no expiry of its own.
        return time.time() >= self._written.timestamp() + self.get_session_cookie_age()

    def locate(self) -> list[Location]:
        """Return the cookie, as it was received or last saved."""
        # Loaded by another object, as a reload could change what this one is about to save.
        stored = type(self)(self.session_key)
        data = dict(stored.items())
        if not self.session_key or not data:
            return []
        place = _("cookie %(name)s of the browser") % {"name": settings.SESSION_COOKIE_NAME}
        name = settings.SESSION_COOKIE_NAME
        return [Location(place, name, self.session_key.encode(), stored._expires(data))]


class BrowserStore(Store):
    """The cookies in the browsers: the server cannot list them, and they expire by themselves."""

    def __init__(self, session: CookieSession) -> None:
        self.session = session

    def form(self, data: Data) -> Data:
        return serialized_form(self.session, data)

    def page(self, position: str, size: int) -> Page:
        raise NotListableError(
            _("Sessions in cookies cannot be listed: each is kept by its browser alone.")
        )

    def count(self) -> int:
        raise NotListableError(
            _("Sessions in cookies cannot be counted: each is kept by its browser alone.")
        )

    def exists(self, key: str) -> bool:
        return bool(dict(type(self.session)(key).items()))
