"""The idle and the absolute timeout of sessions (OWASP ASVS 5.0, 7.3; NIST SP 800-63B-4, 5.2).

SESSION_IDLE_AGE ends a session so many seconds after the last request that used it, even if that
only read it: see ``renewal``. SESSION_ABSOLUTE_AGE ends it so many seconds after its user last
signed in, whatever is done meanwhile. Both are None by default. SESSION_COOKIE_AGE and
``set_expiry`` apply as before, and the earliest of all ends the session.

A timeout is the session's expiry, in the store and in the browser. So no store and no other program
has to know of it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .clock import as_django_stores, aware, from_now, time_until
from .constants import AUTH_TIME, EXPIRY_ITEM
from .merge import Data
from .subclass_hooks import overrides


class Timeouts(NamedTuple):
    """The settings, in seconds."""

    idle: int | None
    absolute: int | None


NO_TIMEOUTS = Timeouts(None, None)


@lru_cache(maxsize=1)
def timeouts() -> Timeouts:
    """Return the settings. Raises ImproperlyConfigured if one is no number of seconds."""
    return Timeouts(seconds_of("SESSION_IDLE_AGE"), seconds_of("SESSION_ABSOLUTE_AGE"))


def seconds_of(name: str) -> int | None:
    seconds: Any = getattr(settings, name, None)
    if seconds is None or (type(seconds) is int and seconds > 0):
        return seconds
    text = _("%(name)s = %(value)r must be a whole number of seconds, at least 1, or None.")
    raise ImproperlyConfigured(text % {"name": name, "value": seconds})


def end_by_timeout(data: Data, renewed: float) -> float | None:
    """Return when a session with that data, renewed at that moment, ends by a timeout.

    Both are in seconds since 1970. None if no timeout applies.
    """
    idle, absolute = timeouts()
    ends = []
    if idle is not None:
        ends.append(renewed + idle)
    if absolute is not None and SESSION_KEY in data:
        ends.append(auth_time_of(data, renewed) + absolute)
    return min(ends, default=None)


def auth_time_of(data: Data, default: float) -> float:
    auth_time = data.get(AUTH_TIME)
    return auth_time if type(auth_time) is int else default


def has_timed_out(data: Data, renewed: float | None = None) -> bool:
    """Whether a session with that data, renewed at that moment, by default now, has ended."""
    if timeouts() == NO_TIMEOUTS:
        return False
    now = time.time()
    end = end_by_timeout(data, now if renewed is None else renewed)
    return end is not None and end <= now


def lacks_auth_time(data: Data) -> bool:
    """Whether the absolute timeout cannot be known: the session is older than the setting."""
    return timeouts().absolute is not None and SESSION_KEY in data and AUTH_TIME not in data


def set_auth_time(session: SessionBase | Data) -> None:
    session[AUTH_TIME] = int(time.time())


def on_signed_in(request: HttpRequest | None, **kwargs: Any) -> None:
    """Also of a user who was signed in already: a new proof begins the absolute age anew."""
    session = getattr(request, "session", None)
    if session is not None and timeouts().absolute is not None:
        set_auth_time(session)


user_logged_in.connect(on_signed_in, dispatch_uid="cookieproj.engines.timeouts")


class TimeoutsMixin(SessionBase):
    """A session that expires at its timeout, if that is earlier than its expiry would be.

    With arguments the two methods compute as Django's do, from these arguments alone.
    """

    # The moment at which a save makes the session expire, if ``expiring_at`` has fixed it. None
    # means that it follows from the session's data and the settings.
    _fixed_expiry: datetime | None = None

    if TYPE_CHECKING:
        _get_session: Callable[[], Data]

    # Whether the response renews the session, although this request changes nothing in it.
    is_renewed = False

    def get_expiry_age(self, **kwargs: Any) -> int:
        if self._fixed_expiry is not None and not kwargs:
            return int(time_until(self._fixed_expiry).total_seconds())
        expiry = kwargs["expiry"] if "expiry" in kwargs else self.get(EXPIRY_ITEM)
        if not expiry and not overrides(type(self), "get_expiry_age"):
            # As Django's method, which looks at the clock first.
            age = int(self.get_session_cookie_age())
        else:
            age = int(super().get_expiry_age(**kwargs))
        if kwargs or timeouts() == NO_TIMEOUTS:
            return age
        now = time.time()
        end = end_by_timeout(self._get_session(), now)
        return age if end is None else min(age, round(end - now))

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        if kwargs:
            return super().get_expiry_date(**kwargs)
        if self._fixed_expiry is not None:
            return self._fixed_expiry
        return self._at_most_timeout(super().get_expiry_date())

    def _at_most_timeout(self, moment: datetime) -> datetime:
        if timeouts() == NO_TIMEOUTS:
            return moment
        now = time.time()
        end = end_by_timeout(self._get_session(), now)
        if end is None:
            return moment
        return min(moment, as_django_stores(from_now(end - now)), key=aware)

    @contextmanager
    def expiring_at(self, moment: datetime | None) -> Iterator[None]:
        """Within the block, saves make the session expire at that moment; None changes nothing."""
        previous, self._fixed_expiry = self._fixed_expiry, moment
        try:
            yield
        finally:
            self._fixed_expiry = previous

    def stored_expiry(self) -> datetime | None:
        """Return when the session expires unless this request moves its expiry.

        None if it is new, or its store does not know. Raises StoreError if the store has to be
        asked and fails.
        """
        raise NotImplementedError


def forget_settings(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith("SESSION_"):
        timeouts.cache_clear()


setting_changed.connect(forget_settings, dispatch_uid="cookieproj.engines.timeouts")
