"""Signed session ids: with SESSION_ID_SIGNED the cookie is the session key and a signature.

A cookie that this site has not made is refused before the store is asked, so guessed session keys
cost the store nothing. What proves a session stays its key, of 165 random bits; the signature only
keeps requests away from the store. Engines whose cookie is the session sign or encrypt it anyway.

Turning the setting on or off signs nobody out. A signed cookie is always accepted. A session key
without a signature is accepted while SESSION_ID_SIGNED is off, and until the moment that
SESSION_ID_UNSIGNED_UNTIL gives: a datetime, or a text in ISO 8601. Each is replaced by the current
form in the response to the first request that reads its session.
"""

from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.signed_cookies import SessionStore as DjangoSignedCookies
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from .clock import aware, is_past
from .constants import SESSION_ID_SALT
from .cookie_settings import cookie_from_settings
from .exceptions import StoreError
from .quick_settings import setting_or
from .signatures import sign_value, verify

# Letters of a signature, after a colon.
SIGNATURE_LENGTH = 43


def signs_ids() -> bool:
    return bool(setting_or("SESSION_ID_SIGNED", False))


def unsigned_until() -> datetime | None:
    """Return until when session keys without a signature are accepted; None for not at all.

    Raises ImproperlyConfigured if the setting is not a moment.
    """
    value: Any = getattr(settings, "SESSION_ID_UNSIGNED_UNTIL", None)
    if not value:
        return None
    moment = value
    if isinstance(value, str):
        with suppress(ValueError):
            moment = parse_datetime(value)
    if not isinstance(moment, datetime):
        raise ImproperlyConfigured(
            _("SESSION_ID_UNSIGNED_UNTIL = %(value)r is no moment: use one like 2030-12-31T00:00Z.")
            % {"value": value}
        )
    return aware(moment)


def accepts_unsigned() -> bool:
    """Whether session keys without a signature are accepted while ids are signed."""
    until = unsigned_until()
    return until is not None and not is_past(until)


def sign(session_key: str) -> str:
    """Return the signed id: the session key, a colon and its signature."""
    return sign_value(session_key, SESSION_ID_SALT)


def unsign(text: str) -> str | None:
    """Return the session key in a signed id; None for any other text."""
    if text[-SIGNATURE_LENGTH - 1 : -SIGNATURE_LENGTH] != ":":
        return None
    try:
        session_key, _secret = verify(text, SESSION_ID_SALT)
    except (BadSignature, UnicodeEncodeError):
        return None
    return session_key


def without_signature(session_key: Any) -> Any:
    """Return the session key, for those who open sessions by the value of the cookie."""
    return (isinstance(session_key, str) and unsign(session_key)) or session_key


def is_whole_session(session_class: type[SessionBase], cookie: str) -> bool:
    """Whether the cookie is the session itself, and not the id of one."""
    is_cookie = getattr(session_class, "is_cookie", None)
    if is_cookie is None:
        return issubclass(session_class, DjangoSignedCookies)
    return bool(is_cookie(cookie))


def open_session(session_class: type[SessionBase], cookie: str | None) -> SessionBase:
    """Return the session of the cookie; a new one if the cookie is refused."""
    if cookie is None or is_whole_session(session_class, cookie):
        return session_class(cookie)
    session_key, signs = unsign(cookie), signs_ids()
    is_signed = session_key is not None
    if not is_signed and (not signs or accepts_unsigned()):
        session_key = cookie
    session = session_class(session_key)
    if is_signed != signs:
        # The response sets the current form.
        session.has_old_cookie = True  # type: ignore[attr-defined]
    return session


def is_read(session: Any) -> bool:
    """Whether the request has read the session, and it is still stored under its key.

    A key that was not looked up may be made up, and must not be signed. A session that was merely
    created, for example by a middleware, has no ``Vary`` header: a shared cache would hand its
    cookie to others. A sign-in under way may have replaced the key since it was read.
    """
    if not (session.accessed and hasattr(session, "_session_cache")) or session.is_empty():
        return False
    if getattr(session, "is_late", False):
        return False
    with suppress(StoreError):
        return bool(session.exists(session.session_key))
    return False


def has_old_cookie(session: Any) -> bool:
    """Whether the cookie of the request has another form than one that is set now."""
    return getattr(session, "has_old_cookie", False)


def set_current_form(request: HttpRequest, response: HttpResponse) -> None:
    """Give the session cookie of the response its form, and replace one of the other form.

    A request that has not read its session leaves the cookie as it is.
    """
    session: Any = getattr(request, "session", None)
    is_old = has_old_cookie(session)
    if session is None or not (is_old or signs_ids()):
        return
    session_key = session.session_key
    cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
    if not session_key or is_whole_session(type(session), session_key):
        return
    # As Django, which sets no cookie with an error.
    is_error = response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    if cookie is None and (not is_old or is_error or not is_read(session)):
        return
    value = sign(session_key) if signs_ids() else session_key
    if cookie is None:
        age = None if session.get_expire_at_browser_close() else session.get_expiry_age()
        cookie = cookie_from_settings("SESSION_COOKIE", value, age)
        response.cookies[settings.SESSION_COOKIE_NAME] = cookie
    elif cookie.value == session_key:
        cookie.set(cookie.key, value, value)
