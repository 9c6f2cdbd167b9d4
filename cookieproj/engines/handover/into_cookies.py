"""From a server to signed cookies: the session key becomes a cookie."""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.utils import timezone

from cookieproj.engines.base import Engine
from cookieproj.engines.exceptions import CookieTooLargeError
from cookieproj.engines.merge import Data
from cookieproj.engines.signed_cookies import SALT
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies

from .exchange import Exchange

logger = logging.getLogger("django.contrib.sessions")

# In a cookie: the session key that it was exchanged for, and the second in which that one expires
# in the old store; 0 until the browser has sent this cookie back.
FORMER = "_session_former"

# In the old store: the browser has sent back what its session key was exchanged for.
EXCHANGED = "_session_exchanged"


class IntoCookies(Exchange, SignedCookies):  # type: ignore[misc]
    """A session in a signed cookie, or in the old store under a session key.

    A response that exchanges the one for the other may get lost, or cross others. So the
    old store goes on holding the session, and what requests with the session key write,
    until the browser sends the new cookie; that request gathers what they wrote. From
    then on the cookie is the session, and the old store is asked only to end it there.
    """

    _old: type[Engine]

    # The session in the old store, where this one came from there.
    _former: Engine | None = None

    # Whether the browser has sent the new cookie, so that this save is the last in the old store.
    _settles = False

    # What stands in the cookie under FORMER.
    _left: tuple[str, int] | None = None

    _is_loaded = False

    def load(self) -> Data:
        self._is_loaded = True
        came = self.session_key or ""
        data = super().load()
        left = data.pop(FORMER, None)
        if data and left is None:
            return data
        key, until = left or (came, 0)
        if until:
            self._left = (key, until) if until > timezone.now().timestamp() else None
            return data
        return self._load_former(key, settles=left is not None)

    def _load_former(self, key: str, *, settles: bool) -> Data:
        former = self._old(key)
        found = former._inspect() if former.session_key else None
        data = (found and found.decode()) or {}
        if found is None or not data or self._is_refused(data):
            self.create()
            return {}
        is_late = data.pop(EXCHANGED, False)
        former._base = found
        former._session_cache = data
        self._former, self._settles = former, settles
        self._carried = dict(data), found.expires or former.get_expiry_date()
        # So that the response sets the cookie; a late request has nothing to exchange.
        self.modified = settles or not is_late
        return data

    def save(self, must_create: bool = False) -> None:
        """Sign the session anew; before the exchange is settled, save it in the old store as well.

        Raises UpdateError if it was ended there meanwhile.
        """
        self._get_session()
        if self._former:
            self._save_former(self._former)
        super().save(must_create)
        if self._settles:
            self._former = None
        self._settles, self._carried = False, None

    def _save_former(self, former: Engine) -> None:
        ours = self._get_session()
        as_carried = self._is_as_carried()
        expires = self.get_expiry_date()
        if self._settles or not as_carried:
            former._session_cache = ours
            former._until = expires if as_carried else None
            ours |= {EXCHANGED: True} if self._settles else {}
            former.save()
            ours.pop(EXCHANGED, None)
            if as_carried:
                # Together with what others have written meanwhile.
                self._carried = dict(ours), expires
        self._left = (former.session_key or "", int(expires.timestamp()) if self._settles else 0)

    def _get_session_key(self) -> str:
        """The cookie; one that is merely exchanged expires when the session would have."""
        data = self._get_session()
        signed = timezone.now()
        expiry = data.get("_session_expiry")
        if self._is_as_carried() and not isinstance(expiry, str):
            signed = self.get_expiry_date() - timedelta(seconds=self.get_expiry_age(expiry=expiry))
        marked = data | ({FORMER: self._left} if self._left else {})
        return SignerAt(signed).sign_object(marked, serializer=self.serializer, compress=True)

    def _is_too_large(self, error: CookieTooLargeError) -> None:
        """The session stays in the old store, as long as that is there."""
        if self._former is None:
            super()._is_too_large(error)
            return
        self._session_key = self._former.session_key
        self._left, self._settles = None, False
        logger.warning("A session stays in %s. %s", self._former._place(), error)

    def cycle_key(self) -> None:
        """Whoever knew the session key is out: it ends in the old store."""
        self._get_session()
        self._end_former()
        super().cycle_key()

    def delete(self, session_key: str | None = None) -> None:
        """In the old store as well; there alone, if a session key is given."""
        if session_key:
            self._old().delete(session_key)
            return
        if not self._is_loaded and self.session_key:
            self.load()
        self._end_former()
        super().delete()

    def _end_former(self) -> None:
        key = self._former.session_key if self._former else self._left and self._left[0]
        if key:
            self._old().delete(key)
        self._former, self._left, self._settles = None, None, False

    def _form(self, data: Data) -> Data:
        serializer: Any = self.serializer()
        form: Data = serializer.loads(serializer.dumps(data))
        return form

    @classmethod
    def alive(cls, keys: Collection[str]) -> set[str]:
        former = {key for key in keys if cls._old(key).session_key}
        return super().alive(set(keys) - former) | cls._old.alive(former)


class SignerAt(signing.TimestampSigner):
    """Signs as if it were another time."""

    def __init__(self, moment: datetime) -> None:
        super().__init__(salt=SALT)
        self.moment = moment

    def timestamp(self) -> str:
        return signing.b62_encode(int(self.moment.timestamp()))
