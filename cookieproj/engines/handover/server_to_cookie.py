"""From a server to signed cookies: the session key becomes a cookie."""

import copy
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from hashlib import sha256

from django.core import signing
from django.utils import timezone

from cookieproj.engines.base import Engine
from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from cookieproj.engines.clock import as_django_stores, aware, from_now
from cookieproj.engines.constants import (
    COOKIE_SALT,
    EXCHANGED_FOR_COOKIE,
    EXCHANGED_KEY,
    EXPIRY_ITEM,
    HANDOVER_LABEL,
)
from cookieproj.engines.english import in_english
from cookieproj.engines.entries import Location
from cookieproj.engines.exceptions import CookieTooLargeError, StoreError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.merge import Data
from cookieproj.engines.revocation_check import is_revoked
from cookieproj.engines.signed_cookies import SessionStore as SignedCookies
from cookieproj.engines.signed_cookies import is_signed
from cookieproj.engines.store import Store

from . import marks_of_old_versions
from .copy_marks import without_copy_mark
from .kept_expiry import KeepsExpiryMixin

logger = logging.getLogger("django.contrib.sessions")

# Hexadecimal digits of the last.
NAME = 12


class Phase(Enum):
    """How far the exchange of a session key for a cookie has come, by what this request sent."""

    # Neither: the session is new, or was always in a cookie.
    NONE = auto()
    # The session key; the response offers the cookie for it.
    OFFERED = auto()
    # The cookie, for the first time: with this save it becomes the session.
    CONFIRMED = auto()
    # The session key, though the browser has sent the cookie before.
    LATE = auto()
    # The cookie, which is the session.
    SETTLED = auto()


@dataclass
class Exchange:
    """``previous`` is the session in the old store: once it is settled, only the key is left of it.

    That key ends with the session.
    """

    phase: Phase = Phase.NONE
    previous: Engine | None = None

    @property
    def old_session(self) -> Engine | None:
        """What this session is saved in as well."""
        return None if self.phase is Phase.SETTLED else self.previous

    @property
    def key(self) -> str | None:
        return self.previous.session_key if self.previous else None

    @property
    def has_cookie(self) -> bool:
        """Whether the browser is known to have the cookie."""
        return self.phase in {Phase.CONFIRMED, Phase.LATE, Phase.SETTLED}


class ServerToCookie(KeepsExpiryMixin, SignedCookies):
    """A session in a signed cookie, or in the old store under a session key.

    A response that exchanges the one for the other may get lost, or cross others. So the
    old store goes on holding the session, and what requests with the session key write,
    until the browser sends the new cookie; that request gathers what they wrote. From
    then on the cookie is the session, and its end is that of the old one too.
    """

    _old: type[Engine]

    # None until somebody has looked what this request has sent.
    _exchange: Exchange | None = None

    # As of other engines: whether a save is sure to follow.
    save_follows = False

    def load(self) -> Data:
        sent = self.session_key or ""
        data = super().load()
        self._session_key = sent
        key, is_settled = pop_exchanged_key(data, store_of(self._old))
        if data and key is None:
            exchange = Exchange()
        elif is_settled:
            exchange = Exchange(Phase.SETTLED, self._old(key))
        else:
            exchange, data = self._load_old(key or sent, is_confirmed=key is not None)
        # Not where the old store has failed, or refuses the event loop: then it is asked again.
        self._exchange = exchange
        return data

    def _load_old(self, key: str, *, is_confirmed: bool) -> tuple[Exchange, Data]:
        previous = self._old(None if is_signed(key) else key)
        found = store_of(self._old).read(key, with_expiry=True) if previous.session_key else None
        data = without_copy_mark((found and found.decode()) or {})
        if found is None or not data or is_revoked(data, self.session_key or ""):
            return Exchange(), self._empty()
        is_late = data.pop(EXCHANGED_FOR_COOKIE, False)
        previous.replace_data(data, found)
        self._moved = copy.deepcopy(data), found.expires or previous.get_expiry_date()
        # So that the response sets the cookie; a late request has nothing to exchange.
        self.modified = is_confirmed or not is_late
        if is_confirmed:
            return Exchange(Phase.CONFIRMED, previous), data
        return Exchange(Phase.LATE if is_late else Phase.OFFERED, previous), data

    def _exchange_of_request(self) -> Exchange:
        """Also where the session was emptied unread."""
        if self._exchange is None:
            if self.session_key:
                self.load()
            self._exchange = self._exchange or Exchange()
        return self._exchange

    def save(self, must_create: bool = False) -> None:
        """Sign the session anew; before the exchange is settled, save it in the old store as well.

        Raises UpdateError if it was ended there meanwhile.
        """
        self._get_session()
        exchange = self._exchange_of_request()
        if exchange.old_session:
            self._save_old(exchange, exchange.old_session)
        self._sign(must_create)
        if exchange.phase is Phase.CONFIRMED:
            exchange.phase = Phase.SETTLED
        self._moved = None

    def _sign(self, must_create: bool = False) -> None:
        try:
            super().save(must_create)
        except (TypeError, ValueError) as error:
            self._keep_in_old(error)

    def _save_old(self, exchange: Exchange, previous: Engine) -> None:
        ours = self._get_session()
        as_carried = self._is_unchanged_since_move()
        expires = self.get_expiry_date()
        is_last = exchange.phase is Phase.CONFIRMED
        if as_carried and not (is_last or previous.has_replaced_keys):
            return
        previous.replace_data(ours)
        until = expires if as_carried else None
        if exchange.has_cookie:
            ours[EXCHANGED_FOR_COOKIE] = True
            # From now on the cookie is the session. Only requests under way still have the key.
            until = as_django_stores(min(aware(expires), from_now(TOMBSTONE_TTL)))
        try:
            with previous.expiring_at(until):
                previous.save()
        finally:
            ours.pop(EXCHANGED_FOR_COOKIE, None)
        if as_carried:
            # Together with what others have written meanwhile.
            self._moved = copy.deepcopy(ours), expires

    def _get_session_key(self) -> str:
        """The cookie; one that is merely exchanged expires when the session would have."""
        data = self._get_session()
        signed = timezone.now()
        expiry = data.get(EXPIRY_ITEM)
        if self._is_unchanged_since_move() and not isinstance(expiry, str):
            signed = self.get_expiry_date() - timedelta(seconds=self.get_expiry_age(expiry=expiry))
        exchange = self._exchange or Exchange()
        is_settled = exchange.phase in {Phase.CONFIRMED, Phase.SETTLED}
        name = name_of_store(store_of(self._old))
        mark = {EXCHANGED_KEY: [exchange.key, is_settled, name]} if exchange.key else {}
        return SignerAtMoment(signed).sign_object(
            data | mark, serializer=self.serializer, compress=True
        )

    def _report_too_large(self, error: CookieTooLargeError) -> None:
        if self._exchange_of_request().old_session:
            self._keep_in_old(error)
        else:
            super()._report_too_large(error)

    def _keep_in_old(self, error: Exception) -> None:
        """In the old store, as long as that is there, with what no cookie can hold."""
        exchange = self._exchange_of_request()
        if exchange.old_session is None:
            raise error
        self._session_key = exchange.key
        exchange.phase = Phase.OFFERED
        place = in_english(store_of(self._old).label)
        logger.warning("A session stays in %s. %s", place, in_english(error))

    def cycle_key(self) -> None:
        """Whoever knew the session key is out: the old store holds the session under another."""
        self._get_session()
        exchange = self._exchange_of_request()
        if previous := exchange.old_session:
            previous.replace_data(self._get_session())
            # What follows is a save of both.
            previous.save_follows = self.save_follows
            previous.cycle_key()
            if exchange.phase is Phase.LATE:
                exchange.phase = Phase.OFFERED
            self._sign()
            return
        try:
            self._end_key(exchange)
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
        self._end_key(self._exchange_of_request())
        super().delete()

    def _end_key(self, exchange: Exchange) -> None:
        if exchange.previous:
            exchange.previous.delete()
            exchange.previous, exchange.phase = None, Phase.NONE

    def locate(self) -> list[Location]:
        """In the old store, until this session is signed into a cookie."""
        previous = type(self)(self.session_key)._exchange_of_request().old_session
        if previous and previous.session_key == self.session_key:
            return previous.locate()
        return super().locate()

    def exists(self, session_key: str | None = None) -> bool:
        """In the old store: of what clients hold nobody can tell."""
        previous = self._old(session_key)
        return bool(previous.session_key and previous.exists(previous.session_key))

    @classmethod
    def _live_keys(cls, keys: Collection[str]) -> set[str]:
        previous = {key for key in keys if not is_signed(key) and cls._old(key).session_key}
        return super()._live_keys(set(keys) - previous) | store_of(cls._old).live_keys(previous)


def pop_exchanged_key(data: Data, store: Store) -> tuple[str | None, bool]:
    """The session key in that store that a cookie was exchanged for, and whether that is settled.

    None for a cookie that was not, or for one in another store. The data is left without it.
    """
    match data.pop(EXCHANGED_KEY, None):
        case [str(key), bool(is_settled), str(name)] if is_name_of_store(name, store):
            return key, is_settled
    return None, False


def name_of_store(store: Store) -> str:
    """The same for the same store only; it tells nothing of where that is.

    Nobody but the site signs a cookie, so this needs no secret, and stays when that is another.
    """
    return sha256(f"{HANDOVER_LABEL} {store.id}".encode()).hexdigest()[:NAME]


def is_name_of_store(name: str, store: Store) -> bool:
    return name == name_of_store(store) or marks_of_old_versions.is_old_store_name(name, store)


class SignerAtMoment(signing.TimestampSigner):
    """Signs as if it were another time."""

    def __init__(self, moment: datetime) -> None:
        super().__init__(salt=COOKIE_SALT)
        self.moment = moment

    def timestamp(self) -> str:
        return signing.b62_encode(int(self.moment.timestamp()))
