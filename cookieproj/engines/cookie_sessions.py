"""Sessions that are in the cookie itself: no server can merge or list them.

A browser may keep, or bring back, a cookie whose session the server has ended. The setting
SESSION_REVOCATION_CHECK names, by its dotted path, a function that is asked about each session
whose signature holds and that has not expired: with its data and the session key, which is the
cookie itself. True refuses the session. What the function raises the view gets, and nothing is
opened. A path that leads to no function is ImproperlyConfigured; without one nothing is asked.

In a switch to or from signed cookies the function is asked about the sessions of the server too,
with their session keys. As it may ask a database, an async view reads this session with ``aget``,
as it does on other engines.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from http.cookies import Morsel
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.sessions.backends.signed_cookies import SessionStore as DjangoStore
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from . import checks  # noqa: F401 - they register themselves
from .apply import NOT_GIVEN
from .clock import as_django_stores, is_past
from .constants import EXCHANGED_KEY, EXPIRY_ITEM
from .english import in_english
from .entries import Location, Page
from .exceptions import CookieTooLargeError, HeldByClientError, NotListableError
from .listing import ListingMixin
from .merge import Data
from .revocation_check import is_revoked
from .store import Store
from .subclass_hooks import serialized_form
from .validation import decode_valid, validate

logger = logging.getLogger("django.contrib.sessions")

# What a browser must be able to keep of a cookie: name, value and attributes (RFC 6265, 6.1).
COOKIE_BYTES = 4096


class OpenedCookie(NamedTuple):
    """What is in a cookie that this site has made."""

    data: Any
    written: datetime
    # The one of the site's secret keys that it was made with.
    secret: str


def cookie_from_settings(family: str, value: str, max_age: int | None) -> Morsel[str]:
    """The cookie whose settings begin with ``family``, as Django sets it.

    Raises CookieError or ValueError for what none can be.
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


class CookieSession(ListingMixin, DjangoStore):
    """The session key is the session: the data, the moment of writing, and what proves both.

    A subclass makes and opens the cookie.
    """

    # Of the cookie that is now the session key: when it was written, and with which secret key.
    _written: datetime | None = None
    _secret = ""

    @classmethod
    def is_cookie(cls, session_key: str | None) -> bool:
        """Whether the text has the form of such a cookie, which no key on a server has."""
        raise NotImplementedError

    def make_cookie(self, data: Data, written: datetime) -> str:
        """Raises what the serializer raises for data that it cannot take."""
        raise NotImplementedError

    def open_cookie(self, cookie: str) -> OpenedCookie:
        """Raises an error of any kind for what this site has not made."""
        raise NotImplementedError

    def make_store(self) -> Store:
        return BrowserStore(self)

    def load(self) -> Data:
        """The data; empty if the signature does not hold, or the session has expired or is refused.

        Unlike Django's engine this one honours ``set_expiry``.
        """
        key = self.session_key or ""
        try:
            opened = self.open_cookie(key)
        except Exception:  # noqa: BLE001 - a serializer may raise anything
            return self._nothing()
        data = decode_valid(lambda data: data, opened.data)
        self._written, self._secret = opened.written, opened.secret
        if data is None or is_past(self._expires(data)) or is_revoked(data, key):
            return self._nothing()
        return data

    def _nothing(self) -> Data:
        """As on the other engines. Django's would have the response set the cookie of an empty
        session, in the place of another that the browser may have got meanwhile.
        """
        self._session_key = None
        return {}

    def save(self, must_create: bool = False) -> None:
        """Sign the data anew.

        A browser drops a cookie of more than COOKIE_BYTES without a word, and keeps the one
        before: what this request has changed is lost. It is an error, CookieTooLargeError, where
        the setting SESSION_COOKIE_TOO_LARGE_IS_ERROR says so, or DEBUG if that is not set; else a
        line in the log, with the size.
        """
        validate(self._get_session(no_load=must_create))
        super().save(must_create)
        # Attributes never come to half of it, so that most sessions need no counting.
        if len(self.session_key or "") < COOKIE_BYTES // 2:
            return
        size = self._cookie_bytes()
        if size > COOKIE_BYTES:
            self._is_too_large(
                CookieTooLargeError(settings.SESSION_COOKIE_NAME, size, COOKIE_BYTES)
            )

    def _is_too_large(self, error: CookieTooLargeError) -> None:
        if getattr(settings, "SESSION_COOKIE_TOO_LARGE_IS_ERROR", settings.DEBUG):
            raise error
        logger.warning(in_english(error))

    def _get_session_key(self) -> str:
        """Once the handover is over the cookie alone counts, whatever the store still holds."""
        match self._session.get(EXCHANGED_KEY):
            case [key, False, name]:
                self._session[EXCHANGED_KEY] = [key, True, name]
        self._written = timezone.now()
        return self.make_cookie(self._session, self._written)

    def apply(self, key: str, function: Callable[[Any], Any], default: Any = NOT_GIVEN) -> Any:
        """Raises HeldByClientError: only a server can tell what is stored now."""
        raise HeldByClientError

    def _cookie_bytes(self) -> int:
        """The length of the cookie as the middleware sets it."""
        age = None if self.get_expire_at_browser_close() else self.get_expiry_age()
        return len(
            cookie_from_settings("SESSION_COOKIE", self.session_key or "", age).OutputString()
        )

    def _expires(self, data: Data) -> datetime:
        """When the cookie expires, by the moment at which it was written."""
        date = self.get_expiry_date(modification=self._written, expiry=data.get(EXPIRY_ITEM))
        return as_django_stores(date)

    def locate(self) -> list[Location]:
        """The cookie itself, as it was sent or last saved."""
        # By another object: to load anew could change what this one is to save.
        stored = type(self)(self.session_key)
        data = dict(stored.items())
        if not self.session_key or not data:
            return []
        place = _("cookie %(name)s of the browser") % {"name": settings.SESSION_COOKIE_NAME}
        name = settings.SESSION_COOKIE_NAME
        return [Location(place, name, self.session_key.encode(), stored._expires(data))]


class BrowserStore(Store):
    """What the browsers hold: nobody can list it, and they forget it by themselves."""

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
