"""Requests that only read their session, and SESSION_IDLE_AGE.

Such a request renews its session: the response moves the expiry, in the store and in the browser,
and writes nothing else. It does so once in a tenth of SESSION_IDLE_AGE, so an idle session may end
up to a tenth earlier. A passive request renews nothing. If it changes the session, the expiry stays
as it is.
"""

import logging
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import Any

from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest, HttpResponse

from .clock import aware
from .english import in_english
from .exceptions import StoreError
from .key_renewal import KeyRenewalMixin, renew_age
from .quick_settings import setting
from .session_response import SERVER_ERROR, save_and_set_cookie, vary_by_cookie
from .timeouts import NO_TIMEOUTS, TimeoutsMixin, lacks_auth_time, timeouts

logger = logging.getLogger("django.contrib.sessions")

# A script sends the header X-Session-Passive, with any value, to say that the user has not asked
# for its request. This is its name in ``META``: ``request.headers`` would convert those of all.
PASSIVE_HEADER = "HTTP_X_SESSION_PASSIVE"

# On a request: whether its view is passive.
PASSIVE_ATTRIBUTE = "session_is_passive"

# A renewal is due after this part of SESSION_IDLE_AGE, or of what is left to a session that ends
# earlier.
RENEWED_AFTER = 0.1

# A process checks after this part of it whether a renewal is due. A cache has to be asked for that.
CHECKED_AFTER = 0.01

NOT_RENEWED = "A session is not renewed. %s"

# The sessions that this process has lately checked or renewed.
recent_checks = LocMemCache("cookieproj.engines.renewal", {"OPTIONS": {"MAX_ENTRIES": 10_000}})


def is_passive(request: HttpRequest) -> bool:
    """Whether SESSION_IDLE_AGE is set, and the request is no activity of the user."""
    if timeouts().idle is None:
        return False
    return PASSIVE_HEADER in request.META or hasattr(request, PASSIVE_ATTRIBUTE)


def decide_renewal(request: HttpRequest) -> None:
    """Set ``is_renewed`` of a session that this request has read and not changed, if it is due."""
    session: Any = request.session
    if not may_be_renewed(session) or session.is_renewed:
        return
    # A view may have set a value, and ``modified`` back: then there is no key.
    is_read = session.accessed and not session.modified and bool(session.session_key)
    session.is_renewed = is_read and not is_passive(request) and is_due(session)


def may_be_renewed(session: Any) -> bool:
    """Whether the settings, or what is stored under its key, let a session be renewed at all."""
    if timeouts() == NO_TIMEOUTS and renew_age() is None:
        return getattr(session, "is_led_here", False) or getattr(session, "is_renewed", False)
    return isinstance(session, TimeoutsMixin)


def keeping_expiry(session: Any) -> AbstractContextManager[None]:
    """Within the block, saves leave the expiry of the session as it is, if it is known."""
    if isinstance(session, TimeoutsMixin):
        return session.expiring_at(session.stored_expiry())
    return nullcontext()


def is_only_renewed(session: Any, response: HttpResponse) -> bool:
    """Whether the response renews a session that would otherwise not be saved."""
    is_saved = session.modified or setting("SESSION_SAVE_EVERY_REQUEST")
    is_error = response.status_code >= SERVER_ERROR
    return getattr(session, "is_renewed", False) and not is_saved and not is_error


def has_key_to_renew(session: Any) -> bool:
    return isinstance(session, KeyRenewalMixin) and session.has_key_to_renew()


def is_due(session: Any) -> bool:
    if lacks_auth_time(session) or has_key_to_renew(session):
        return True
    idle = timeouts().idle
    if idle is None:
        return False
    name, lifetime = name_of_check(session), renewal_lifetime(session, idle)
    if not recent_checks.add(name, True, lifetime * CHECKED_AFTER):
        return False
    try:
        expires = session.stored_expiry()
    except StoreError as error:
        logger.warning(NOT_RENEWED, in_english(error))
        return False
    # A session from before the setting expires much later.
    moves = expires and abs((aware(session.get_expiry_date()) - aware(expires)).total_seconds())
    if moves is not None and moves < lifetime * RENEWED_AFTER:
        return False
    recent_checks.set(name, True, lifetime * RENEWED_AFTER)
    return True


def renewal_lifetime(session: Any, idle: int) -> int:
    """Return the seconds from a renewal to the end of the session, which may be less than idle."""
    return min(idle, int(session.get_expiry_age()))


def name_of_check(session: Any) -> str:
    return sha256(session.session_key.encode()).hexdigest()


def retry_renewal(session: Any) -> None:
    """Let the next request renew the session, as the response of this one has not."""
    if getattr(session, "is_renewed", False) and session.session_key:
        recent_checks.delete(name_of_check(session))


def renew(session: Any, response: HttpResponse) -> None:
    """Renew the session, unless it has ended or its store fails: the response is served anyway."""
    vary_by_cookie(response)
    # Without SESSION_IDLE_AGE a request that only reads moves no expiry, as with Django.
    keeps_expiry = timeouts().idle is None and not lacks_auth_time(session)
    try:
        with keeping_expiry(session) if keeps_expiry else nullcontext():
            save_and_set_cookie(session, response)
    except SessionInterrupted:
        pass
    except StoreError as error:
        logger.warning(NOT_RENEWED, in_english(error))
        retry_renewal(session)
