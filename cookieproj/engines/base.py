"""The base class of the engines that keep sessions on the server: load, merge, retry, expiry.

How a save works:

- A request loads an entry from the store and keeps it as its base.
- The save does not read first. It sends the base and the session's data, and the store compares the
  base and writes the data in one round trip (``put``).
- If the data is stored already, only the expiry is moved.
- If another request saved first, the save reloads the stored entry (``refresh``), applies to it key
  by key what this request changed since its base (``merge``), takes the reloaded entry as the new
  base, and retries.
- If nothing is stored any more, the session has ended: the save raises UpdateError.

A new key is inserted first. The old key is ended after the save that follows. So if the answer of
any step gets lost, the key in the browser still opens the session.
"""

from datetime import UTC, datetime
from typing import Any

from django.contrib.sessions.backends.base import UpdateError

from . import checks  # noqa: F401 - they register themselves
from .apply import ApplyMixin
from .clock import as_django_stores, from_now
from .entries import Entry
from .exceptions import TRY_AGAIN, StoreUnavailableError
from .key_renewal import KeyRenewalMixin
from .listing import ListingMixin
from .merge import Data, merge, stored_alike
from .quick_settings import setting
from .session_keys import SAVE_ATTEMPTS, SAVES_REFUSED
from .signatures import dumps, sign
from .signed_ids import without_signature
from .subclass_hooks import signed_content, signs_like_django
from .timeouts import TimeoutsMixin, has_timed_out, lacks_auth_time, set_auth_time
from .validation import validate


class Engine(ApplyMixin, KeyRenewalMixin, ListingMixin, TimeoutsMixin):
    """A session whose data is stored on the server, where other requests can change it too."""

    def _load(self) -> Entry | None:
        return self._store.load(self._key)

    def _insert(self, data: Data, *, save_follows: bool = False) -> Entry:
        store = self._store
        insert = store.insert_before_save if save_follows else store.insert
        return insert(self._key, data, self._expires())

    def _expires(self) -> datetime:
        """Return the moment at which data stored now expires."""
        return self._fixed_expiry or from_now(int(self._overridden("get_expiry_age")()))

    # Django's interface.

    def encode(self, session_dict: Data) -> str:
        if signs_like_django(self):
            return sign(dumps(session_dict), self.key_salt)
        return super().encode(session_dict)

    def decode(self, session_data: Any) -> Data:
        return signed_content(self, session_data)()

    def load(self) -> Data:
        """Return the stored data. If nothing is stored, return {} and drop the session key.

        Raises StoreError if the store does not answer, so that an unreachable store is never taken
        for a session that has ended.
        """
        if hasattr(self, "_session_cache"):
            # The caller wants to see what is stored now. The base stays that of the loaded data.
            stored = self._refresh(None) if self.session_key else None
            return (stored and stored.decode()) or {}
        self._base = self._load() if self.session_key else None
        data = self._base.decode() if self._base else None
        # Only an entry without data may lead on: to look for that in others decodes them twice.
        while data is None and self._is_led_on(self._base, opens=True):
            self._base = self._load()
            data = self._base.decode() if self._base else None
        if self._base and data is None:
            self.was_copied = self.was_copied or self._base.was_copied
        if data and has_timed_out(data):
            data = None
        self._is_unread = data is None
        if data is None:
            self._base = self._session_key = None
            return {}
        return data

    def save(self, must_create: bool = False) -> None:
        """Store what this request changed, merged with what other requests have stored meanwhile.

        Of two saves that change the same key the later one wins; ``apply`` computes a new value
        from the stored one. If nothing changed, only the expiry is written.

        Raises CreateError if ``must_create`` and the key is taken, UpdateError if the session has
        ended meanwhile, StoreUnavailableError if the store does not answer, ValueError if the data
        is nested too deeply or holds a value that Django could not use, and what the serializer
        raises for values that it cannot store.
        """
        data = self._get_session(no_load=must_create)
        self._ensure_admitted()
        validate(data)
        if lacks_auth_time(data):
            set_auth_time(data)
        if self.session_key is None:
            self._overridden("create")()
            return
        if must_create:
            self._base, self._is_unread = self._insert(dict(data)), False
            return
        if not self._is_already_stored(data):
            self._write(data)
        if self._replaced and not self._apply_to_stored:
            self._end_replaced_keys()

    def _write(self, data: Data) -> None:
        store = self._store
        for _attempt in range(SAVE_ATTEMPTS):
            if self._base is None or self._base.is_copy:
                stored = self._refresh(self._base, store)
                if (stored is None or stored.data is None) and self._is_unread:
                    # The session was cleared before it was read, and nothing is stored: create
                    # it, as for a browser without a key.
                    self._session_key = None
                    self._overridden("create")()
                    return
                self._rebase(stored)
            base: Entry = self._base  # type: ignore[assignment]
            # A copy, as another thread of this request may go on changing the data.
            if new_entry := store.put(self._key, base, dict(data), self._expires()):
                self._set_base(new_entry)
                return
            self._rebase(self._refresh(base, store))
        raise StoreUnavailableError(store.label, SAVES_REFUSED, TRY_AGAIN)

    def _set_base(self, new_entry: Entry) -> None:
        """Take the entry that was just written as the base of the next save."""
        self._base = new_entry

    def _rebase(self, theirs: Entry | None) -> None:
        """Apply this request's changes to ``theirs``, which becomes the new base.

        Changes the session's dict in place, so that references to the values in it stay valid.
        Raises UpdateError if ``theirs`` is no session: nothing is stored any more.
        """
        if theirs is None or theirs.data is None:
            raise UpdateError
        self._is_unread = False
        if self._apply_to_stored:
            self._base = theirs
            self._apply_to_stored()
            return
        # Without a base the session was cleared before it was read: then it replaces all that is
        # stored.
        base = (self._base or theirs).data or {}
        ours: Data = self._get_session()
        unserialized = dict(ours)
        serialized = self._store.form(unserialized)
        merged = merge(base, theirs.data, serialized)
        # The serializer may change keys, 1 to "1" in JSON: from now on the session has the
        # changed ones.
        ours |= {key: serialized[key] for key in serialized.keys() - unserialized.keys()}
        for key in (unserialized.keys() | serialized.keys()) - merged.keys():
            ours.pop(key, None)
        changed = [
            key
            for key in merged
            if key not in serialized or not stored_alike(serialized[key], merged[key])
        ]
        # Decoded once more, as the values of the base must not change.
        new_values = (theirs.decode() if changed else None) or {}
        ours |= {key: new_values[key] for key in changed}
        self._base = theirs

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        date: datetime = super().get_expiry_date(**kwargs)
        if kwargs or setting("USE_TZ") or self._fixed_expiry is not None:
            return date
        # Without USE_TZ the expiry is a local time. "In an hour", added to the clock's time, is
        # too early if the clock is put forward within that hour. If it is put back, the sum is
        # too late, but the correct local time may be past already by the clock before the
        # change. So take the later of the two.
        later = super().get_expiry_date(modification=datetime.now(UTC))
        return self._at_most_timeout(max(as_django_stores(date), as_django_stores(later)))

    def stored_expiry(self) -> datetime | None:
        stored = self._base if self._session_key else None
        if stored and stored.expires is None:
            stored = self._store.read(self._key, with_expiry=True)
        return stored.expires if stored else None

    @property
    def loaded(self) -> Data:
        """The stored data that this session was loaded from, read-only; {} for a new session.

        It is read now if the session was cleared before it was read. After a save it is the saved
        data.
        """
        if self._base is None and hasattr(self, "_session_cache"):
            self._ensure_admitted()
            self._base = self._refresh(None) if self.session_key else None
        return (self._base and self._base.data) or {}

    def replace_data(self, data: Data, stored: Entry | None = None) -> None:
        """Make that very dict the session's data, and ``stored`` its base if it is given."""
        self._session_cache = data
        if stored:
            self._base, self._is_unread = stored, False

    def exists(self, session_key: Any) -> bool:
        return bool(session_key) and self._store.exists(str(without_signature(session_key)))

    def delete(self, session_key: Any = None) -> None:
        """Delete the session with that key, by default this one with all keys that it replaced.

        A key of any type is converted to its text, as by Django's ORM.
        """
        if session_key is None or str(without_signature(session_key)) == self._key:
            self._ensure_admitted()
            session_key = None
        key = self.session_key if session_key is None else without_signature(session_key)
        if str(key) == self._key:
            for old_key, _base in self._replaced:
                self._delete(old_key)
            self._replaced = ()
        if key:
            self._delete(str(key))
