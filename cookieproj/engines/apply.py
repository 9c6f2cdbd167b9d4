"""``apply``: compute a new value from the stored one, however many requests do so concurrently."""

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
    """The method ``apply``, for sessions on the server: a save of one key and nothing else."""

    # While ``apply`` saves: the function that turns the stored data into the data to store.
    _apply_to_stored: Callable[[], None] | None = None

    # The keys and functions applied since ``cycle_key``, until the old key is ended. Other
    # requests may change the same values under the old key meanwhile.
    _applied_since_new_key: Sequence[tuple[str, Callable[[Any], Any]]] = ()

    # The entry that ``apply`` has stored, and the second (since 1970) in which it expires.
    _applied: tuple[Entry | None, int] | None = None

    def apply(self, key: str, function: Callable[[Any], Any], default: Any = NOT_GIVEN) -> Any:
        """Store and return what ``function`` returns for the value that is stored now.

        No change is lost when several requests apply changes to one key: if another request stored
        first, the function is called again with the newly stored value. So it may be called several
        times, and should only compute. It gets a copy of the value, which it may change in place
        and return. If nothing is stored under the key, it gets ``default``.

        The new value is stored at once, whatever becomes of the request; inside a transaction, it
        is stored with the commit. Other changes of this request stay unsaved until its own save. An
        unsaved change of the same key is replaced by the new value. A Redis client that is set to
        retry may apply the function twice. The session counts as modified, so the response renews
        its cookie. A session without a key is created.

        Raises KeyError if nothing is stored under the key and no default is given; what the
        function raises; SessionEndedError, which is an UpdateError, if the session has ended
        meanwhile (unhandled, it is a response of 400); and what ``save`` raises for values that it
        cannot store. In all these cases nothing is stored and the session stays as it was. Raises
        StoreError as ``save`` does: after StoreUnavailableError it is unknown whether the value is
        stored.
        """
        ours = self._get_session()
        self._ensure_admitted()
        is_new = self.session_key is None
        if is_new:
            # A session that was flushed still has the base of its old key.
            self._base = None
        # Raises what the serializer raises now: after the new value is stored, such data could
        # not be merged any more.
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
                # The session was cleared before it was read.
                self._rebase(self._refresh(None))
            data, stored = self._save_one_item(apply_to_stored)
        except UpdateError as error:
            # The stored entry that this session was loaded from is gone.
            self._base, self._is_unread = None, False
            raise SessionEndedError from error
        self._rebase(stored)
        ours[key] = data[key]
        self.modified = True
        if self._replaced:
            self._applied_since_new_key = [*self._applied_since_new_key, (key, function)]
        # The entry of a new session disappears if a transaction is rolled back. Its save must
        # find that out, so it must not be skipped.
        self._applied = None if is_new else (self._base, self._expiry_second())
        return ours[key]

    def _save_one_item(self, apply_to_stored: Callable[[], None]) -> tuple[Data, Entry | None]:
        """Save what ``apply_to_stored`` makes of the stored data; return that data and its entry.

        The session's own data and its base stay as they are.
        """
        ours, base = self._session_cache, self._base
        self._session_cache, self._apply_to_stored = {}, apply_to_stored
        try:
            try:
                apply_to_stored()
            except Exception:
                # The function failed on the data that this request has loaded, which may be
                # outdated: try the data that is stored now.
                if base is None:
                    raise
                self._rebase(self._refresh(base))
            self.save()
            return self._session_cache, self._base
        finally:
            self._session_cache, self._base, self._apply_to_stored = ours, base, None

    def _apply_again(self, base: Entry, theirs: Entry) -> None:
        """Apply the functions again to the values that others changed under the old key."""
        base_data, their_data = base.data or {}, theirs.decode() or {}
        changed = {
            key
            for key in their_data
            if key not in base_data or not stored_alike(base_data[key], their_data[key])
        }
        to_repeat = [
            (key, function) for key, function in self._applied_since_new_key if key in changed
        ]
        for key, function in to_repeat:
            their_data[key] = self._session_cache[key] = function(their_data[key])

    def _is_already_stored(self, data: Data) -> bool:
        """Whether ``apply`` has stored this very data, with the expiry that a save gives it."""
        if self._base is None or self._applied is None:
            return False
        if self._applied != (self._base, self._expiry_second()):
            return False
        return same_data(self._base.data or {}, self._store.form(data))

    def _expiry_second(self) -> int:
        """Return the second, since 1970, in which a session that is saved now expires."""
        return int(time.time()) + self.get_expiry_age()
