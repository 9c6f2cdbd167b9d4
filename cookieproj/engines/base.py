"""What the engines share: merge and retry, keys, expiry.

How a save flows. A request begins with what the store ``load``s, and keeps it as its base. The
save reads nothing: it puts the session's data where the store still holds that base, and the
store compares and writes in one round trip. Where somebody else was quicker, the save asks for
what is stored now (``refresh``), applies to it key by key what this request has changed since
its base (``merge``), takes that for its new base, and tries again. Where nothing is stored any
more the session has ended, and the save is refused: UpdateError. Data that is stored already is
not written again, only its expiry moved. A new key is an insert under that key first, and the
end of the old one after the save that follows, so that whatever answer gets lost, the key that
the browser holds opens the session.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError

from . import checks  # noqa: F401 - they register themselves
from .apply import ApplyMixin
from .clock import as_django_stores, from_now, time_until
from .entries import Entry
from .exceptions import StoreUnavailableError
from .listing import ListingMixin
from .merge import Data, merge, stored_alike
from .session_keys import SAVE_ATTEMPTS, SAVES_REFUSED
from .subclass_hooks import decode_or_empty, signed_loads
from .validation import validate


class Engine(ListingMixin, ApplyMixin):
    """A session whose data is kept in a store on the server, where other requests change it too."""

    # When a save makes it expire, where that is settled: see ``expiring_at``.
    _fixed_expiry: datetime | None = None

    def _load(self) -> Entry | None:
        return self._store.load(self._key)

    def _insert(self, data: Data, *, save_follows: bool = False) -> Entry:
        store = self._store
        insert = store.insert_before_save if save_follows else store.insert
        return insert(self._key, data, self._expires())

    def _expires(self) -> datetime:
        """When what is stored now expires."""
        return self._fixed_expiry or from_now(int(self._overridden("get_expiry_age")()))

    # What follows is Django's interface, on top of those.

    def decode(self, session_data: Any) -> Data:
        return decode_or_empty(signed_loads(self), session_data)

    def load(self) -> Data:
        """The stored data; empty, and this session without a key, where nothing is stored.

        Raises StoreError when the store does not answer, so that a store
        which is away for a moment is never taken for a session that has ended.
        """
        if hasattr(self, "_session_cache"):
            # Somebody wants to see what is stored; what this session was made from stays.
            stored = self._store.refresh(self._key, None) if self.session_key else None
            return (stored and stored.decode()) or {}
        self._base = self._load() if self.session_key else None
        data = self._base.decode() if self._base else None
        self._is_unread = data is None
        if data is None:
            self._base = self._session_key = None
            return {}
        return data

    def save(self, must_create: bool = False) -> None:
        """Store what this request changed, on top of what others have stored meanwhile.

        Of two saves that change the same key the later one wins; ``apply`` makes a new value
        out of the one that is stored. Nothing but the expiry is written when nothing was
        changed. Raises CreateError if ``must_create`` and the key is taken, UpdateError if the
        session has ended meanwhile, StoreUnavailableError if the store does not answer, and
        what the serializer raises for what it cannot store; ValueError for what is too deep.
        """
        data = self._get_session(no_load=must_create)
        validate(data)
        if self.session_key is None:
            self._overridden("create")()
            return
        if must_create:
            self._base, self._is_unread = self._insert(dict(data)), False
            return
        if not self._is_already_stored(data):
            self._write(data)
        if not self._apply_to_stored:
            self._end_replaced_keys()

    def _write(self, data: Data) -> None:
        store = self._store
        for _attempt in range(SAVE_ATTEMPTS):
            if self._base is None or self._base.is_copy:
                found = store.refresh(self._key, self._base)
                if (found is None or found.data is None) and self._is_unread:
                    # It was emptied, and there is nothing: as for a browser without a key.
                    self._session_key = None
                    self._overridden("create")()
                    return
                self._rebase(found)
            base: Entry = self._base  # type: ignore[assignment]
            # As it is now: another thread of this request may go on changing it.
            if written := store.put(self._key, base, dict(data), self._expires()):
                self._set_base(written)
                return
            self._rebase(store.refresh(self._key, base))
        raise StoreUnavailableError(store.label, SAVES_REFUSED)

    def _set_base(self, written: Entry) -> None:
        """What this session goes by from now on."""
        self._base = written

    def _rebase(self, theirs: Entry | None) -> None:
        """Apply to what is stored now what this request has changed.

        The session's dict is changed in place: whoever holds a value in it goes on
        holding it. Raises UpdateError where nothing is stored any more.
        """
        if theirs is None or theirs.data is None:
            raise UpdateError
        self._is_unread = False
        if self._apply_to_stored:
            self._base = theirs
            self._apply_to_stored()
            return
        # Without a base the session was emptied unread: then it replaces all there is.
        base = (self._base or theirs).data or {}
        ours: Data = self._get_session()
        now = dict(ours)
        form = self._store.form(now)
        merged = merge(base, theirs.data, form)
        # Keys that are stored as others, 1 as "1": from now on they are those.
        ours |= {key: form[key] for key in form.keys() - now.keys()}
        for key in (now.keys() | form.keys()) - merged.keys():
            ours.pop(key, None)
        new = [key for key in merged if key not in form or not stored_alike(form[key], merged[key])]
        # Of their own, as the base must stay as it was read.
        values = (theirs.decode() if new else None) or {}
        ours |= {key: values[key] for key in new}
        self._base = theirs

    def get_expiry_age(self, **kwargs: Any) -> int:
        if self._fixed_expiry is None or kwargs:
            return int(super().get_expiry_age(**kwargs))
        return int(time_until(self._fixed_expiry).total_seconds())

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        if kwargs:
            return super().get_expiry_date(**kwargs)
        if self._fixed_expiry is not None:
            return self._fixed_expiry
        date = super().get_expiry_date()
        if settings.USE_TZ:
            return date
        # An hour later on the clock is too early if it is put forward before that. If it is put
        # back it is too late, but the right one may be past already, by the clock of now.
        return max(
            as_django_stores(date),
            as_django_stores(super().get_expiry_date(modification=datetime.now(UTC))),
        )

    @property
    def loaded(self) -> Data:
        """The stored data that this session was made from, to be read only; empty for a new one.

        Read now if it was emptied unread. After a save it is what was saved.
        """
        if self._base is None and self.session_key and hasattr(self, "_session_cache"):
            self._base = self._store.refresh(self._key, None)
        return (self._base and self._base.data) or {}

    def replace_data(self, data: Data, stored: Entry | None = None) -> None:
        """Go by that very dict from now on; loaded from what is ``stored``, if that is given."""
        self._session_cache = data
        if stored:
            self._base, self._is_unread = stored, False

    @contextmanager
    def expiring_at(self, moment: datetime | None) -> Iterator[None]:
        """Meanwhile it expires then, whatever its data says; None changes nothing."""
        before, self._fixed_expiry = self._fixed_expiry, moment
        try:
            yield
        finally:
            self._fixed_expiry = before

    def exists(self, session_key: Any) -> bool:
        return bool(session_key) and self._store.exists(str(session_key))

    def delete(self, session_key: Any = None) -> None:
        """A key of any type is taken for its text, as Django's ORM takes it."""
        key = self.session_key if session_key is None else session_key
        if str(key) == self._key:
            for old, _base in self._replaced:
                self._store.delete(old)
            self._replaced = ()
        if key:
            self._store.delete(str(key))
