"""From signed cookies to a server: a response exchanges the signed cookie for a session key."""

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
from cookieproj.engines.signed_ids import unsign
from cookieproj.engines.store import Store

from .keeps_expiry import KeepsExpiryMixin
from .move_one import expiry_of_data, insert
from .server_to_cookie import pop_exchanged_key


class CookieToServer(KeepsExpiryMixin, Engine):
    """A session of the new engine, opened by its key or by a signed cookie of the old engine.

    An entry in the new store marks a cookie as exchanged. Its name follows from the cookie, and
    it stays until the session would have expired. So two requests with one cookie at the same
    time get one session, and a cookie whose session has ended opens nothing.
    """

    _new: type[Engine]
    _old: type[CookieSession]

    # The cookie that this request exchanged for its session key.
    _exchanged_cookie: str | None = None

    def __init__(self, session_key: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(session_key, *args, **kwargs)
        # The cookie, until it is exchanged.
        self._cookie = session_key if self.is_cookie(session_key) else None

    def _accepts_key(self, session_key: str) -> bool:
        return not self._old.is_cookie(session_key) and super()._accepts_key(session_key)

    @classmethod
    def is_cookie(cls, session_key: str | None) -> bool:
        """Whether it is a session of the old engine, and not a signed id of the same form."""
        return cls._old.is_cookie(session_key) and unsign(str(session_key)) is None

    @property
    def session_key(self) -> str | None:
        """The session key; before the exchange the cookie.

        Not None, because callers would create another session.
        """
        return self._cookie or self._session_key

    def exchange(self) -> None:
        """Store the session of the cookie, unless that is done, and use its key from now on.

        SessionMiddleware calls this before the view. Otherwise the first read or change of the
        session does. Raises StoreError; then the cookie stays as it is.
        """
        if self._cookie:
            self._session_key = self._key_for(self._cookie)
            self._exchanged_cookie, self._cookie = self._cookie, None
            # Makes the response set the key.
            self.modified = self.modified or self._session_key is not None

    def is_empty(self) -> bool:
        """Whether the session is empty: not while it has a cookie, which must not be deleted."""
        return not self._cookie and super().is_empty()

    def load(self) -> Data:
        self.exchange()
        is_first_load = not hasattr(self, "_session_cache")
        data = super().load()
        if is_first_load and self._session_key is None:
            # The session that the cookie was exchanged for has ended or has another key. The
            # response must not delete the cookie: see SessionMiddleware.
            self.modified = False
        return data

    def _get_session(self, no_load: bool = False) -> Data:
        self.exchange()
        data: Data = super()._get_session(no_load)
        return data

    async def _aget_session(self, no_load: bool = False) -> Data:
        return await sync_to_async(self._get_session)(no_load)

    def create(self) -> None:
        """Create a new session and drop the cookie. If that fails, the cookie stays."""
        self._ensure_admitted_to_replace()
        cookie, self._cookie = self._cookie, None
        try:
            super().create()
        except Exception:
            self._cookie = cookie
            raise

    def _store_under_new_key(self, store: Callable[[], None]) -> None:
        """Store the session under a key that does not follow from the cookie."""
        self._exchanged_cookie = None
        super()._store_under_new_key(store)

    def delete(self, session_key: str | None = None) -> None:
        """Delete this session, or another by its key or cookie.

        A cookie is exchanged first, so that it opens nothing afterwards.
        """
        is_this_session = session_key in {None, self._cookie, self._session_key}
        if is_this_session:
            self._ensure_admitted()
        session = self if is_this_session else type(self)(session_key)
        session.exchange()
        session._exchanged_cookie = None
        super().delete(session._key)

    def save(self, must_create: bool = False) -> None:
        self._get_session(no_load=must_create)
        if self._base and self._exchanged_cookie:
            self._exchange_again_if_rolled_back(self._exchanged_cookie)
        has_more = must_create or self._apply_to_stored or self._replaced
        if self._base and self._is_unchanged_since_move() and not has_more:
            return
        super().save(must_create)
        self._moved = None

    def _exchange_again_if_rolled_back(self, cookie: str) -> None:
        """Exchange the cookie again if the transaction of the first exchange was rolled back."""
        if store_of(self._new).read(self._key) is None:
            self._session_key = self._key_for(cookie) or self._session_key
        self._exchanged_cookie = None

    def _load(self) -> Entry | None:
        """Return the stored entry, but no exchange mark and no session that the site refuses.

        Another copy of a refused cookie may have been exchanged for the session.
        """
        entry = super()._load()
        if entry is None or MADE_WITH in (entry.data or {}):
            return None
        return None if is_revoked(entry.data or {}, self._key) else entry

    def _key_for(self, cookie: str) -> str | None:
        """Return the session key that the cookie is exchanged for; None if it opens nothing."""
        new = store_of(self._new)
        old_session = self._old(cookie)
        data: Data = dict(old_session.items())
        if not data:
            return None
        key, is_settled = pop_exchanged_key(data, new)
        if key and not is_settled:
            return self._still_stored(new, key)
        self._moved = data, old_session._expires(data)
        stored_key = exchange_for_key(new, cookie, old_session._secret, *self._moved)
        if key:
            # Only now: until the session is stored, a cookie of a late response may depend on this
            # key.
            new.delete(key)
        return stored_key

    def _still_stored(self, new: Store, key: str) -> str | None:
        """Return the key if its session is still in the new store.

        An earlier switch began to exchange this key for the cookie, and did not settle it.
        """
        entry = new.read(key, with_expiry=True) if new.can_hold(key) else None
        if entry is None:
            return None
        data = entry.data or {}
        self._moved = data, entry.expires or expiry_of_data(self._new, data)
        return key


def exchange_for_key(
    new: Store, cookie: str, secret: str, data: Data, expires: datetime
) -> str | None:
    """Store the session of the cookie. Return its key, or None if there is no mark to read it from.

    The first of two requests with the cookie decides the key. The session is stored before the
    mark that leads to it.
    """
    mark_key = key_from_cookie(cookie, secret)
    mark = new.read(mark_key)
    if mark is None:
        random = get_random_string(32, VALID_KEY_CHARS)
        key = key_from_cookie(cookie, secret, random)
        insert(new, key, data, expires)
        mark = insert(new, mark_key, {MADE_WITH: random}, expires)
        if mark is None:
            # Another request with this cookie was quicker.
            new.delete(key)
            mark = new.read(mark_key)
    made_with = ((mark and mark.data) or {}).get(MADE_WITH)
    return key_from_cookie(cookie, secret, made_with) if made_with else None


def key_from_cookie(cookie: str, secret: str, made_with: str = "") -> str:
    """Return a session key that only this site can derive from the cookie.

    It is derived with the secret key that made the cookie, so it survives a change of SECRET_KEY.
    """
    salt = f"{HANDOVER_LABEL}{made_with}"
    return salted_hmac(salt, cookie, secret=secret, algorithm="sha256").hexdigest()[:40]
