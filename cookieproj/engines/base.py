"""What the engines share: merge and retry, keys, expiry.

An engine names its store in six short methods (``_read`` to ``_remove``), each one
round trip. Everything that is promised of all of them stands here, once.
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.backends.base import (
    UpdateError,
)
from django.core import signing
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from . import checks  # noqa: F401 - they register themselves
from .apply import Apply
from .asynchronous import Async
from .clock import left, local
from .exceptions import StoreUnavailableError
from .hands_over import HandsOver
from .hooks import overrides
from .keys import SAVES, Keys
from .listable import Listable
from .merge import Data, merge, same, unchanged
from .sound import check, checked
from .stored import Stored


class Engine(HandsOver, Keys, Apply, Listable, Async):
    """A session whose data is kept on the server, where other requests change it too."""

    # What this session's data was made from; None until it is loaded or created.
    _base: Stored | None = None

    # Whether nothing that is stored has been seen of it yet.
    _is_unread = True

    # When a save makes it expire, where that is settled: a session moved here expires as there.
    _until: datetime | None = None

    if TYPE_CHECKING:
        _get_session: Callable[..., Data]
        key_salt: str
        _session_cache: Data
        serializer: Any

    # Each of these is one engine's, and one round trip.

    def _read(self) -> Stored | None:
        """What the store holds of this session; None where it holds nothing, or it has expired."""
        raise NotImplementedError

    def _load(self) -> Stored | None:
        """What a request is served from, where that may be a copy behind what ``_read`` finds."""
        return self._read()

    def _find(self) -> Stored | None:
        """What a save goes by, where a session may be in more places than ``_read`` knows."""
        return self._read()

    def _insert(self, data: Data) -> Stored:
        """Store the data under a key that is new. Raises CreateError if it is taken."""
        raise NotImplementedError

    def _insert_replacing(self, data: Data) -> Stored:
        """As ``_insert``, under a key that replaces another; a save of the session follows."""
        return self._insert(data)

    def _swap(self, base: Stored, data: Data) -> Stored | None:
        """Store the data if the store still holds ``base``, else None."""
        raise NotImplementedError

    def _touch(self, base: Stored) -> bool:
        """Move the expiry, and write nothing else, if the store still holds ``base``."""
        raise NotImplementedError

    def _remove(self, session_key: str) -> None:
        raise NotImplementedError

    def _take(self, base: Stored) -> bool:
        """Remove the session if the store still holds ``base``."""
        raise NotImplementedError

    def _make_room(self) -> None:
        """Remove what has expired under this key, where a store keeps that until it is cleared."""

    def _inspect(self) -> Stored | None:
        """As ``_read``, with the expiry too, where the store tells it at all."""
        return self._read()

    def _form(self, data: Data) -> Data:
        """The data as it would be read after a save: in JSON a tuple is a list.

        What is compared with what is stored is this, so that only a change is one.
        """
        if overrides(type(self), "encode", "decode"):
            return self.decode(self.encode(data))
        serializer = self.serializer()
        form: Data = serializer.loads(serializer.dumps(data))
        return form

    def decode(self, session_data: Any) -> Data:
        """Empty, with a line in the log, for what is no session: Django logs a wrong signature."""
        loads = partial(signing.loads, salt=self.key_salt, serializer=self.serializer)
        return checked(loads, session_data) or {}

    def _put(self, base: Stored, data: Data) -> Stored | None:
        """As ``_swap``; data that is stored already is not written again, only the expiry moved."""
        if unchanged(base.data or {}, self._form(data)):
            return base if self._touch(base) else None
        return self._swap(base, data)

    # What follows is Django's interface, on top of those.

    def load(self) -> Data:
        """The stored data; empty, and this session without a key, where nothing is stored.

        Raises StoreError when the store does not answer, so that a store
        which is away for a moment is never taken for a session that has ended.
        """
        if hasattr(self, "_session_cache"):
            # Somebody wants to see what is stored; what this session was made from stays.
            stored = self._find() if self.session_key else None
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
        check(data)
        if self.session_key is None:
            self._half("create")()
            return
        if must_create:
            self._base, self._is_unread = self._insert(dict(data)), False
            return
        if not self._is_stored(data):
            self._store(data)
        if not self._application:
            self._end_replaced()

    def _store(self, data: Data) -> None:
        for _attempt in range(SAVES):
            if self._base is None:
                found = self._find()
                if (found is None or found.data is None) and self._is_unread:
                    # It was emptied, and there is nothing: as for a browser without a key.
                    self._session_key = None
                    self._half("create")()
                    return
                self._rebase(found)
            base: Stored = self._base  # type: ignore[assignment]
            # As it is now: another thread of this request may go on changing it.
            if written := self._put(base, dict(data)):
                self._move_base(written)
                return
            self._rebase(self._find())
        raise StoreUnavailableError(
            self._place(),
            format_lazy(
                _("The store refused to save one session {number} times in a row."), number=SAVES
            ),
        )

    def _move_base(self, written: Stored) -> None:
        """What this session goes by from now on."""
        self._base = written

    def _rebase(self, theirs: Stored | None) -> None:
        """Apply to what is stored now what this request has changed.

        The session's dict is changed in place: whoever holds a value in it goes on
        holding it. Raises UpdateError where nothing is stored any more.
        """
        if theirs is None or theirs.data is None:
            raise UpdateError
        self._is_unread = False
        if self._application:
            self._base = theirs
            self._application()
            return
        # Without a base the session was emptied unread: then it replaces all there is.
        base = (self._base or theirs).data or {}
        ours: Data = self._get_session()
        now = dict(ours)
        form = self._form(now)
        merged = merge(base, theirs.data, form)
        # Keys that are stored as others, 1 as "1": from now on they are those.
        ours |= {key: form[key] for key in form.keys() - now.keys()}
        for key in (now.keys() | form.keys()) - merged.keys():
            ours.pop(key, None)
        new = [key for key in merged if key not in form or not same(form[key], merged[key])]
        # Of their own, as the base must stay as it was read.
        values = (theirs.decode() if new else None) or {}
        ours |= {key: values[key] for key in new}
        self._base = theirs

    def get_expiry_age(self, **kwargs: Any) -> int:
        if self._until is None or kwargs:
            return int(super().get_expiry_age(**kwargs))
        return int(left(self._until).total_seconds())

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        if kwargs:
            return super().get_expiry_date(**kwargs)
        if self._until is not None:
            return self._until
        date = super().get_expiry_date()
        if settings.USE_TZ:
            return date
        # An hour later on the clock is too early if it is put forward before that. If it is put
        # back it is too late, but the right one may be past already, by the clock of now.
        return max(local(date), local(super().get_expiry_date(modification=datetime.now(UTC))))

    @property
    def loaded(self) -> Data:
        """The stored data that this session was made from, to be read only; empty for a new one.

        Read now if it was emptied unread. After a save it is what was saved.
        """
        if self._base is None and self.session_key and hasattr(self, "_session_cache"):
            self._base = self._find()
        return (self._base and self._base.data) or {}

    def delete(self, session_key: Any = None) -> None:
        """A key of any type is taken for its text, as Django's ORM takes it."""
        key = self.session_key if session_key is None else session_key
        if str(key) == self._key:
            for old, _base in self._replaced:
                old._remove(old._key)
            self._replaced = ()
        if key:
            self._remove(str(key))

    @classmethod
    def _place(cls) -> str | Promise:
        """What people call the store, without a password: for errors and pages."""
        raise NotImplementedError

    @classmethod
    def _id(cls) -> str:
        """By what a session that was moved or copied knows the store it is from, for weeks.

        So it is of what says where in the store sessions stand, and neither of what words call
        it, nor of a host, a path or a secret, which become others while the store stays.
        """
        raise NotImplementedError

    @classmethod
    def _alive(cls, keys: Collection[str]) -> set[str]:
        return {key for key in keys if cls(key)._is_live()}

    def _is_live(self) -> bool:
        stored = self._read() if self.session_key else None
        return stored is not None and not stored.is_tombstone
