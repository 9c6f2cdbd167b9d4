"""From signed cookies to a server: the cookie becomes a session key."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.utils.crypto import get_random_string, salted_hmac

from cookieproj.engines.base import Engine
from cookieproj.engines.constants import HANDOVER_LABEL, MADE_WITH
from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.entries import Entry
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.merge import Data
from cookieproj.engines.revocation_check import is_revoked
from cookieproj.engines.store import Store

from .kept_expiry import KeepsExpiryMixin
from .move_one import expiry_of_data, insert
from .server_to_cookie import pop_exchanged_key


class CookieToServer(KeepsExpiryMixin, Engine):
    """A session of the new engine, or what a signed cookie of the old one holds.

    An entry in the new store, under a name that follows from the cookie, says that this
    cookie has been exchanged, and stays until it expires. So two requests at once with
    one cookie get one session, and a cookie whose session has ended opens nothing.
    """

    _new: type[Engine]
    _old: type[CookieSession]

    # What the session key of this request was exchanged for.
    _exchanged: str | None = None

    def __init__(self, session_key: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(session_key, *args, **kwargs)
        self._cookie = session_key if self._old.is_cookie(session_key) else None

    def _accepts_key(self, session_key: str) -> bool:
        return not self._old.is_cookie(session_key) and super()._accepts_key(session_key)

    @property
    def session_key(self) -> str | None:
        """The session key; before the exchange the cookie, as no key at all would be a reason to
        make another session.
        """
        return self._cookie or self._session_key

    def exchange(self) -> None:
        """Put the session of the cookie into the store, once, and go by its key from now on.

        SessionMiddleware does so before the view, and whatever reads or changes the session first.
        Raises StoreError; then the cookie is as it was.
        """
        if self._cookie:
            self._session_key = self._key_for(self._cookie)
            self._exchanged, self._cookie = self._cookie, None
            # So that the response sets it.
            self.modified = self.modified or self._session_key is not None

    def is_empty(self) -> bool:
        """A cookie that nobody has looked at yet is not to be deleted."""
        return not self._cookie and super().is_empty()

    def load(self) -> Data:
        self.exchange()
        is_first = not hasattr(self, "_session_cache")
        data = super().load()
        if is_first and self._session_key is None:
            # What the cookie was exchanged for has ended, or has got another key: see
            # SessionMiddleware.
            self.modified = False
        return data

    def _get_session(self, no_load: bool = False) -> Data:
        self.exchange()
        data: Data = super()._get_session(no_load)
        return data

    async def _aget_session(self, no_load: bool = False) -> Data:
        return await sync_to_async(self._get_session)(no_load)

    def create(self) -> None:
        """A new session, whatever was in the cookie."""
        cookie, self._cookie = self._cookie, None
        try:
            super().create()
        except Exception:
            self._cookie = cookie
            raise

    def _store_under_new_key(self, store: Callable[[], None]) -> None:
        """What is stored under one has nothing to do with the cookie any more."""
        self._exchanged = None
        super()._store_under_new_key(store)

    def delete(self, session_key: str | None = None) -> None:
        """Also of a session that is in a cookie; none with that cookie can come back."""
        is_mine = session_key in {None, self._cookie, self._session_key}
        session = self if is_mine else type(self)(session_key)
        session.exchange()
        session._exchanged = None
        super().delete(session._key)

    def save(self, must_create: bool = False) -> None:
        self._get_session(no_load=must_create)
        if self._base and self._exchanged:
            self._exchange_again(self._exchanged)
        has_more = must_create or self._apply_to_stored or self._replaced
        if self._base and self._is_unchanged_since_move() and not has_more:
            return
        super().save(must_create)
        self._moved = None

    def _exchange_again(self, cookie: str) -> None:
        """If this request stored it in a transaction that was rolled back."""
        if store_of(self._new).read(self._key) is None:
            self._session_key = self._key_for(cookie) or self._session_key
        self._exchanged = None

    def _load(self) -> Entry | None:
        """Nothing that this site has refused: another copy of a cookie may have become it."""
        stored = super()._load()
        if stored is None or MADE_WITH in (stored.data or {}):
            return None
        return None if is_revoked(stored.data or {}, self._key) else stored

    def _key_for(self, cookie: str) -> str | None:
        new = store_of(self._new)
        previous = self._old(cookie)
        data: Data = dict(previous.items())
        if not data:
            return None
        key, is_settled = pop_exchanged_key(data, new)
        if key and not is_settled:
            return self._still_stored(new, key)
        self._moved = data, previous._expires(data)
        stored_key = stored_key_of(new, cookie, previous._secret, *self._moved)
        if key:
            # Not before: until the session is stored, a late answer's cookie may stand on it.
            new.delete(key)
        return stored_key

    def _still_stored(self, new: Store, key: str) -> str | None:
        """Before it was in the cookie it was here, and it has not left yet."""
        stored = new.read(key, with_expiry=True) if new.can_hold(key) else None
        if stored is None:
            return None
        data = stored.data or {}
        self._moved = data, stored.expires or expiry_of_data(self._new, data)
        return key


def stored_key_of(
    new: Store, cookie: str, secret: str, data: Data, expires: datetime
) -> str | None:
    """The key under which that is stored; of two requests with the cookie the first decides."""
    mark = hashed(cookie, secret)
    marked = new.read(mark)
    if marked is None:
        made_with = get_random_string(32, VALID_KEY_CHARS)
        key = hashed(cookie, secret, made_with)
        insert(new, key, data, expires)
        marked = insert(new, mark, {MADE_WITH: made_with}, expires)
        if marked is None:
            # Another request with this cookie was quicker.
            new.delete(key)
            marked = new.read(mark)
    how = ((marked and marked.data) or {}).get(MADE_WITH)
    return hashed(cookie, secret, how) if how else None


def hashed(cookie: str, secret: str, made_with: str = "") -> str:
    """A session key that only this site can make of the cookie.

    By the secret key that the cookie was made with, so it stays the same when SECRET_KEY becomes
    another one.
    """
    salt = f"{HANDOVER_LABEL}{made_with}"
    return salted_hmac(salt, cookie, secret=secret, algorithm="sha256").hexdigest()[:40]
