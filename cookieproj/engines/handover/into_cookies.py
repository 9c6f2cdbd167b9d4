"""From a server to signed cookies: the session key becomes a cookie."""

import copy
import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from django.core import signing
from django.utils import timezone

from cookieproj.engines.base import Engine
from cookieproj.engines.caches.other import GRAVE_SECONDS
from cookieproj.engines.clock import aware, local
from cookieproj.engines.constants import COOKIE_SALT, EXCHANGED, EXPIRY, FORMER, HANDOVER_LABEL
from cookieproj.engines.exceptions import CookieTooLargeError, StoreError
from cookieproj.engines.language import in_english
from cookieproj.engines.merge import Data
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies
from cookieproj.engines.signed_cookies import is_signed
from cookieproj.engines.stored import Location

from . import earlier
from .carry import former_of
from .copies import unmarked
from .exchange import Exchange

logger = logging.getLogger("django.contrib.sessions")

# Hexadecimal digits of the last.
NAME = 12


class IntoCookies(Exchange, SignedCookies):  # type: ignore[misc]
    """A session in a signed cookie, or in the old store under a session key.

    A response that exchanges the one for the other may get lost, or cross others. So the
    old store goes on holding the session, and what requests with the session key write,
    until the browser sends the new cookie; that request gathers what they wrote. From
    then on the cookie is the session, and its end is that of the old one too.
    """

    _old: type[Engine]

    # The session in the old store, while this one stands on it.
    _former: Engine | None = None

    # Whether the browser has sent the new cookie, so that this save is the last in the old store.
    _settles = False

    # Whether it had done so before: this request still has the session key.
    _is_late = False

    # The session key that this cookie was exchanged for, once that is settled.
    _left: str | None = None

    # As of other engines: whether a save is sure to follow.
    _save_follows = False

    _is_loaded = False

    def load(self) -> Data:
        came = self.session_key or ""
        data = super().load()
        self._session_key = came
        key, is_settled = exchanged_from(data, self._old)
        if data and key is None:
            pass
        elif is_settled:
            self._left = key
        else:
            data = self._load_former(key or came, settles=key is not None)
        # Not where the old store has failed, or refuses the event loop: then it is asked again.
        self._is_loaded = True
        return data

    def _load_former(self, key: str, *, settles: bool) -> Data:
        former = self._old(None if is_signed(key) else key)
        found = former_of(former)
        data = unmarked((found and found.decode()) or {})
        if found is None or not data or self._is_refused(data):
            return self._nothing()
        self._is_late = data.pop(EXCHANGED, False)
        former._base = found
        former._session_cache = data
        self._former, self._settles = former, settles
        self._carried = copy.deepcopy(data), found.expires or former.get_expiry_date()
        # So that the response sets the cookie; a late request has nothing to exchange.
        self.modified = settles or not self._is_late
        return data

    def save(self, must_create: bool = False) -> None:
        """Sign the session anew; before the exchange is settled, save it in the old store as well.

        Raises UpdateError if it was ended there meanwhile.
        """
        self._get_session()
        self._know_former()
        if self._former:
            self._save_former(self._former)
        self._sign(must_create)
        if self._settles and self._former:
            self._left, self._former = self._former.session_key, None
        self._settles, self._carried = False, None

    def _sign(self, must_create: bool = False) -> None:
        try:
            super().save(must_create)
        except (TypeError, ValueError) as error:
            self._stay(error)

    def _save_former(self, former: Engine) -> None:
        ours = self._get_session()
        as_carried = self._is_as_carried()
        expires = self.get_expiry_date()
        if as_carried and not (self._settles or former._replaced):
            return
        former._session_cache = ours
        former._until = expires if as_carried else None
        if self._settles or self._is_late:
            ours[EXCHANGED] = True
            # From now on the cookie is the session. Only requests under way still have the key.
            late = datetime.now(UTC) + timedelta(seconds=GRAVE_SECONDS)
            former._until = local(min(aware(expires), late))
        try:
            former.save()
        finally:
            ours.pop(EXCHANGED, None)
        if as_carried:
            # Together with what others have written meanwhile.
            self._carried = copy.deepcopy(ours), expires

    def _get_session_key(self) -> str:
        """The cookie; one that is merely exchanged expires when the session would have."""
        data = self._get_session()
        signed = timezone.now()
        expiry = data.get(EXPIRY)
        if self._is_as_carried() and not isinstance(expiry, str):
            signed = self.get_expiry_date() - timedelta(seconds=self.get_expiry_age(expiry=expiry))
        key = self._former.session_key if self._former else self._left
        is_settled = self._settles or self._former is None
        mark = {FORMER: [key, is_settled, name_of(self._old)]} if key else {}
        return SignerAt(signed).sign_object(data | mark, serializer=self.serializer, compress=True)

    def _is_too_large(self, error: CookieTooLargeError) -> None:
        if self._former is None:
            super()._is_too_large(error)
        else:
            self._stay(error)

    def _stay(self, error: Exception) -> None:
        """In the old store, as long as that is there, with what no cookie can hold."""
        if self._former is None:
            raise error
        self._session_key = self._former.session_key
        self._settles = False
        place = in_english(self._former._place())
        logger.warning("A session stays in %s. %s", place, in_english(error))

    def _know_former(self) -> None:
        """Also where the session was emptied unread."""
        if not self._is_loaded and self.session_key:
            self.load()

    def cycle_key(self) -> None:
        """Whoever knew the session key is out: the old store holds the session under another."""
        self._get_session()
        self._know_former()
        if self._former:
            self._former._session_cache = self._get_session()
            # What follows is a save of both.
            self._former._save_follows = self._save_follows
            self._former.cycle_key()
            self._is_late = False
            self._sign()
            return
        try:
            self._end_left()
        except StoreError as error:
            # It stays in the cookie, so that the sign-out, or the next new key, ends it.
            logger.warning("A replaced session key may still open. %s", in_english(error))
        super().cycle_key()

    def delete(self, session_key: str | None = None) -> None:
        """In the old store as well; there alone, if a session key is given."""
        if session_key:
            if not is_signed(session_key):
                self._old().delete(session_key)
            return
        self._know_former()
        if self._former:
            self._former.delete()
            self._former = None
        self._end_left()
        super().delete()

    def locate(self) -> list[Location]:
        """In the old store, until this session is signed into a cookie."""
        found = type(self)(self.session_key)
        found._know_former()
        if found._former and found._former.session_key == self.session_key:
            return found._former.locate()
        return super().locate()

    def exists(self, session_key: str | None = None) -> bool:
        """In the old store: of what clients hold nobody can tell."""
        former = self._old(session_key)
        return bool(former.session_key and former.exists(former.session_key))

    def _end_left(self) -> None:
        if self._left:
            self._old().delete(self._left)
            self._left = None

    def _is_as_carried(self) -> bool:
        try:
            return super()._is_as_carried()
        except (TypeError, ValueError):
            # A pickled session may hold what no cookie can.
            return False

    def _form(self, data: Data) -> Data:
        serializer: Any = self.serializer()
        form: Data = serializer.loads(serializer.dumps(data))
        return form

    @classmethod
    def alive(cls, keys: Collection[str]) -> set[str]:
        former = {key for key in keys if not is_signed(key) and cls._old(key).session_key}
        return super().alive(set(keys) - former) | cls._old.alive(former)


def exchanged_from(data: Data, store: type[Engine]) -> tuple[str | None, bool]:
    """The session key in that store that a cookie was exchanged for, and whether that is settled.

    None for a cookie that was not, or for one in another store. The data is left without it.
    """
    match data.pop(FORMER, None):
        case [str(key), bool(is_settled), str(name)] if is_name_of(name, store):
            return key, is_settled
    return None, False


def name_of(store: type[Engine]) -> str:
    """The same for the same store only; it tells nothing of where that is.

    Nobody but the site signs a cookie, so this needs no secret, and stays when that is another.
    """
    return sha256(f"{HANDOVER_LABEL} {store._id()}".encode()).hexdigest()[:NAME]


def is_name_of(name: str, store: type[Engine]) -> bool:
    return name == name_of(store) or earlier.is_name(name, store)


class SignerAt(signing.TimestampSigner):
    """Signs as if it were another time."""

    def __init__(self, moment: datetime) -> None:
        super().__init__(salt=COOKIE_SALT)
        self.moment = moment

    def timestamp(self) -> str:
        return signing.b62_encode(int(self.moment.timestamp()))
