"""A change of what is stored now, however many requests change it at once."""

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.sessions.backends.base import UpdateError

from .entries import Entry
from .exceptions import SessionEndedError
from .merge import Data, same_data, stored_alike
from .session_keys import SessionKeys
from .validation import validate

NOT_GIVEN: Any = object()


class ApplyMixin(SessionKeys):
    """``apply``, for sessions that the server holds: a save of one key and of nothing else."""

    # While ``apply`` saves: makes of what is stored what is to be stored.
    _apply_to_stored: Callable[[], None] | None = None

    # What was applied while an old key was still to end, where others may apply meanwhile.
    _applied_since_new_key: Sequence[tuple[str, Callable[[Any], Any]]] = ()

    # What ``apply`` has stored, and the second in which that expires.
    _applied: tuple[Entry | None, int] | None = None

    def apply(self, key: str, function: Callable[[Any], Any], default: Any = NOT_GIVEN) -> Any:
        """Store what ``function`` makes of the value that is stored now, and return that.

        None of the changes that several requests apply to one key is lost: where another one
        was quicker, the function is called again, with what that one has stored. So it may be
        called several times, and should only compute. It gets a value of its own, which it may
        change in place and return; where nothing is stored under the key it gets ``default``.

        The new value is stored at once, whatever becomes of the request; inside a transaction, with
        that. Other changes of this request stay unsaved until its own save; one of the same key
        gives way to the new value. A client of Redis that is set to retry may apply it twice.
        The session counts as modified, so that the response renews its cookie too. A session that
        has no key yet is created.

        Raises KeyError where nothing is stored under the key and no default is given; what the
        function raises; UpdateError if the session has ended meanwhile, as SessionEndedError,
        which unhandled is a 400; and what ``save`` raises for what it cannot store. Then nothing
        is stored, and the session is as it was. Raises StoreError as ``save`` does: whether the
        value is stored after StoreUnavailableError, nobody knows.
        """
        ours = self._get_session()
        is_new = self.session_key is None
        # What no serializer takes could not be merged, once the new value is stored.
        self._store.form(ours)

        def apply_to_stored() -> None:
            data = self._session_cache
            data.clear()
            data |= (self._base and self._base.decode()) or {}
            if key not in data and default is NOT_GIVEN:
                raise KeyError(key)
            data[key] = function(data[key] if key in data else copy.deepcopy(default))
            validate(data)

        try:
            if self._base is None and self.session_key:
                # It was emptied unread.
                self._rebase(self._store.refresh(self._key, None))
            data, stored = self._save_one_item(apply_to_stored)
        except UpdateError as error:
            # What it was made from is nowhere any more.
            self._base, self._is_unread = None, False
            raise SessionEndedError from error
        self._rebase(stored)
        ours[key] = data[key]
        self.modified = True
        if self._replaced:
            self._applied_since_new_key = [*self._applied_since_new_key, (key, function)]
        # One that is new goes with a transaction that is rolled back: its save finds that out.
        self._applied = None if is_new else (self._base, self._expiry_second())
        return ours[key]

    def _save_one_item(self, apply_to_stored: Callable[[], None]) -> tuple[Data, Entry | None]:
        """What is stored now; the session itself and its base are left as they were."""
        ours, base = self._session_cache, self._base
        self._session_cache, self._apply_to_stored = {}, apply_to_stored
        try:
            try:
                apply_to_stored()
            except Exception:
                # Of what this request has read, which may be behind what is stored by now.
                if base is None:
                    raise
                self._rebase(self._store.refresh(self._key, base))
            self.save()
            return self._session_cache, self._base
        finally:
            self._session_cache, self._base, self._apply_to_stored = ours, base, None

    def _apply_again(self, base: Entry, theirs: Entry) -> None:
        """To what others have made of the same values under the old key."""
        before, now = base.data or {}, theirs.decode() or {}
        changed = {
            key for key in now if key not in before or not stored_alike(before[key], now[key])
        }
        again = [(key, function) for key, function in self._applied_since_new_key if key in changed]
        for key, function in again:
            now[key] = self._session_cache[key] = function(now[key])

    def _is_already_stored(self, data: Data) -> bool:
        """Whether ``apply`` has stored just this, to expire in the second that a save would say."""
        if self._base is None or self._applied is None:
            return False
        if self._applied != (self._base, self._expiry_second()):
            return False
        return same_data(self._base.data or {}, self._store.form(data))

    def _expiry_second(self) -> int:
        return int(time.time()) + self.get_expiry_age()
