"""From a server to signed cookies: a response exchanges the session key for a signed cookie."""

import copy
import logging
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import sha256
from typing import Any

from cookieproj.engines.base import Engine
from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from cookieproj.engines.clock import as_django_stores, aware, from_now
from cookieproj.engines.constants import (
    EXCHANGED_FOR_COOKIE,
    EXCHANGED_KEY,
    HANDOVER_LABEL,
)
from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.english import in_english
from cookieproj.engines.entries import Location
from cookieproj.engines.exceptions import CookieTooLargeError, StoreError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.merge import Data
from cookieproj.engines.revocation_check import is_revoked
from cookieproj.engines.signed_ids import without_signature
from cookieproj.engines.store import Store

from . import legacy_marks
from .copy_marks import without_copy_mark
from .keeps_expiry import KeepsExpiryMixin

logger = logging.getLogger("django.contrib.sessions")

# Hexadecimal digits of ``name_of_store``.
STORE_NAME_LENGTH = 12


class Phase(Enum):
    """How far the exchange of a session key for a cookie has come, by what this request sent."""

    # Neither: the session is new, or has always been in a cookie.
    NONE = auto()
    # The session key. The response offers the cookie for it.
    OFFERED = auto()
    # The cookie, for the first time. With the save of this request the cookie is the session.
    CONFIRMED = auto()
    # The session key, though the browser has sent the cookie before: a late request.
    LATE = auto()
    # The cookie, which is the session.
    SETTLED = auto()


@dataclass
class Exchange:
    """How far the exchange has come, and the session in the old store, if there is one.

    Once the exchange is settled, only the key of ``old_session`` is of use: it ends with the
    session.
    """

    phase: Phase = Phase.NONE
    old_session: Engine | None = None

    @property
    def unsettled_old_session(self) -> Engine | None:
        """The session in the old store, if this session must be saved there as well."""
        return None if self.phase is Phase.SETTLED else self.old_session

    @property
    def key(self) -> str | None:
        return self.old_session.session_key if self.old_session else None

    @property
    def has_cookie(self) -> bool:
        """Whether the browser is known to have the cookie."""
        return self.phase in {Phase.CONFIRMED, Phase.LATE, Phase.SETTLED}


class ServerToCookie(KeepsExpiryMixin, CookieSession):
    """A session in a signed cookie, or in the old store under a session key.

    The response that exchanges the key for the cookie may get lost, or cross other requests. So
    the old store keeps the session, and requests with the session key write to it, until the
    browser sends the cookie. The request that brings the cookie first merges those writes. From
    then on the cookie is the session. When the session ends, the old store's session ends too.
    """

    _old: type[Engine]

    # None until the session is loaded.
    _exchange: Exchange | None = None

    # Whether a save is sure to follow; see SessionKeys.
    save_follows = False

    def __init__(self, session_key: str | None = None, *args: Any, **kwargs: Any) -> None:
        is_id = session_key is not None and not self.is_cookie(session_key)
        super().__init__(without_signature(session_key) if is_id else session_key, *args, **kwargs)

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
        # Stays None if the old store fails or refuses the event loop, so that it is asked again.
        self._exchange = exchange
        return data

    def _load_old(self, key: str, *, is_confirmed: bool) -> tuple[Exchange, Data]:
        """Load the session from the old store.

        ``is_confirmed`` says that the browser has sent the cookie. Otherwise it sent ``key``.
        """
        old_session = self._old(None if self.is_cookie(key) else key)
        old_entry = (
            store_of(self._old).read(key, with_expiry=True) if old_session.session_key else None
        )
        old_entry = old_session._follow(old_entry)
        data = without_copy_mark((old_entry and old_entry.decode()) or {})
        if old_entry is None or not data or is_revoked(data, self.session_key or ""):
            return Exchange(), self._empty()
        is_late = data.pop(EXCHANGED_FOR_COOKIE, False)
        old_session.replace_data(data, old_entry)
        self._moved = copy.deepcopy(data), old_entry.expires or old_session.get_expiry_date()
        # Makes the response set the cookie. A late request has nothing to exchange.
        self.modified = is_confirmed or not is_late
        if is_confirmed:
            return Exchange(Phase.CONFIRMED, old_session), data
        return Exchange(Phase.LATE if is_late else Phase.OFFERED, old_session), data

    @property
    def is_late(self) -> bool:
        """Whether the browser has had the cookie since it sent this request's session key."""
        return self._exchange is not None and self._exchange.phase is Phase.LATE

    def _loaded_exchange(self) -> Exchange:
        """Return the exchange; load it if the session was emptied before it was read."""
        if self._exchange is None:
            if self.session_key:
                self.load()
            self._exchange = self._exchange or Exchange()
        return self._exchange

    def save(self, must_create: bool = False) -> None:
        """Sign the session anew. Until the exchange is settled, save it in the old store as well.

        Raises UpdateError if the session ended in the old store meanwhile.
        """
        self._get_session()
        self._ensure_admitted()
        exchange = self._loaded_exchange()
        if exchange.unsettled_old_session:
            self._save_in_old(exchange, exchange.unsettled_old_session)
        self._sign(must_create)
        if exchange.phase is Phase.CONFIRMED:
            exchange.phase = Phase.SETTLED
        self._moved = None

    def _sign(self, must_create: bool = False) -> None:
        try:
            super().save(must_create)
        except (TypeError, ValueError) as error:
            self._keep_in_old(error)

    def _save_in_old(self, exchange: Exchange, old_session: Engine) -> None:
        data = self._get_session()
        is_unchanged = self._is_unchanged_since_move()
        expires = self.get_expiry_date()
        is_last_save = exchange.phase is Phase.CONFIRMED
        if is_unchanged and not (is_last_save or old_session.has_replaced_keys):
            return
        old_session.replace_data(data)
        old_expires = expires if is_unchanged else None
        if exchange.has_cookie:
            data[EXCHANGED_FOR_COOKIE] = True
            # From now on the cookie is the session. Only requests under way still have the key.
            old_expires = as_django_stores(min(aware(expires), from_now(TOMBSTONE_TTL)))
        try:
            with old_session.expiring_at(old_expires):
                old_session.save()
        finally:
            data.pop(EXCHANGED_FOR_COOKIE, None)
        if is_unchanged:
            # The save has merged what other requests wrote meanwhile.
            self._moved = copy.deepcopy(data), expires

    def _get_session_key(self) -> str:
        """Return the cookie. An exchange alone leaves the session's expiry as it is."""
        exchange = self._exchange or Exchange()
        is_settled = exchange.phase in {Phase.CONFIRMED, Phase.SETTLED}
        name = name_of_store(store_of(self._old))
        mark = {EXCHANGED_KEY: [exchange.key, is_settled, name]} if exchange.key else {}
        return self.make_cookie(self._get_session() | mark, self._moment_of_writing())

    def _report_too_large(self, error: CookieTooLargeError) -> None:
        if self._loaded_exchange().unsettled_old_session:
            self._keep_in_old(error)
        else:
            super()._report_too_large(error)

    def _keep_in_old(self, error: Exception) -> None:
        """Leave a session that no cookie can hold in the old store, under its session key.

        Raises the error if the old store no longer has the session.
        """
        exchange = self._loaded_exchange()
        if exchange.unsettled_old_session is None:
            raise error
        self._session_key = exchange.key
        exchange.phase = Phase.OFFERED
        place = in_english(store_of(self._old).label)
        logger.warning("A session stays in %s. %s", place, in_english(error))

    def cycle_key(self) -> None:
        """End the session key. An unsettled exchange gets another key in the old store."""
        self._get_session()
        self._ensure_admitted()
        exchange = self._loaded_exchange()
        if old_session := exchange.unsettled_old_session:
            old_session.replace_data(self._get_session())
            # The save that follows saves both sessions.
            old_session.save_follows = self.save_follows
            old_session.cycle_key()
            if exchange.phase is Phase.LATE:
                exchange.phase = Phase.OFFERED
            self._sign()
            return
        try:
            self._end_old_session(exchange)
        except StoreError as error:
            # The key stays in the cookie, so the sign-out, or the next new key, ends it.
            logger.warning("A replaced session key may still open. %s", in_english(error))
        super().cycle_key()

    def delete(self, session_key: str | None = None) -> None:
        """Delete this session, also from the old store; or one in the old store, by its key."""
        if session_key:
            if session_key == self.session_key:
                self._ensure_admitted()
                session_key = self.session_key
            if session_key and not self.is_cookie(session_key):
                self._old().delete(session_key)
            return
        self._ensure_admitted()
        self._end_old_session(self._loaded_exchange())
        super().delete()

    def _end_old_session(self, exchange: Exchange) -> None:
        if exchange.old_session:
            exchange.old_session.delete()
            exchange.old_session, exchange.phase = None, Phase.NONE

    def locate(self) -> list[Location]:
        """Return the place in the old store until the session is signed into a cookie."""
        old_session = type(self)(self.session_key)._loaded_exchange().unsettled_old_session
        if old_session and old_session.session_key == self.session_key:
            return old_session.locate()
        return super().locate()

    def exists(self, session_key: str | None = None) -> bool:
        """Whether the old store has the session. The server does not know what browsers hold."""
        old_session = self._old(session_key)
        return bool(old_session.session_key and old_session.exists(old_session.session_key))

    @classmethod
    def _live_keys(cls, keys: Collection[str]) -> set[str]:
        in_old = {key for key in keys if not cls.is_cookie(key) and cls._old(key).session_key}
        return super()._live_keys(set(keys) - in_old) | store_of(cls._old).live_keys(in_old)


def pop_exchanged_key(data: Data, store: Store) -> tuple[str | None, bool]:
    """Remove from a cookie's data the session key that the cookie was exchanged for.

    Return the key and whether the exchange is settled. Return (None, False) for a cookie without
    a key, or with the key of another store.
    """
    match data.pop(EXCHANGED_KEY, None):
        case [str(key), bool(is_settled), str(name)] if is_name_of_store(name, store):
            return key, is_settled
    return None, False


def name_of_store(store: Store) -> str:
    """Return a name that differs for each store and does not reveal where the store is.

    Only the site can sign a cookie, so the name needs no secret and survives a change of
    SECRET_KEY.
    """
    return sha256(f"{HANDOVER_LABEL} {store.id}".encode()).hexdigest()[:STORE_NAME_LENGTH]


def is_name_of_store(name: str, store: Store) -> bool:
    return name == name_of_store(store) or legacy_marks.is_legacy_store_name(name, store)
