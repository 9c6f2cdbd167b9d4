"""The key of a session: what can be one, a new one, and the change of one for another."""

import copy
import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from django.contrib.sessions.backends.base import (
    VALID_KEY_CHARS,
    CreateError,
    UpdateError,
)
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .async_methods import async_half
from .english import in_english
from .entries import Entry
from .exceptions import StoreUnavailableError
from .handover_mixin import HandoverMixin
from .merge import Data
from .subclass_hooks import overrides
from .validation import validate

logger = logging.getLogger("django.contrib.sessions")

KEY_LENGTH = 32

# Characters of a key that people may see.
SHOWN_OF_KEY = 8

# A key is 32 characters out of 36: one that is taken means a broken store, not bad luck.
NEW_KEY_ATTEMPTS = 5

# A save fails only when another one won. So many in a row mean a store that cannot compare.
SAVE_ATTEMPTS = 1000

KEY_TYPES = (str, Promise)

# Of what Django's engines make the change of a key.
CYCLE_KEY_HOOKS = ("create", "save", "delete")

NEW_KEYS_REJECTED = format_lazy(
    _("The store rejected {number} new session keys in a row."), number=NEW_KEY_ATTEMPTS
)
SAVES_REFUSED = format_lazy(
    _("The store refused to save one session {number} times in a row."), number=SAVE_ATTEMPTS
)


# To each byte a character, so that each is as likely: seven bytes to one, and four to none.
CHARACTER_OF_BYTE = (VALID_KEY_CHARS * 8)[:256].encode()
UNUSED_BYTES = bytes(range(252, 256))


def random_key() -> str:
    """As random as Django's, by one call to the system for all of it instead of one a character."""
    # Of three times as many, that fewer are left does not happen: it takes 65 of the four.
    drawn = secrets.token_bytes(3 * KEY_LENGTH).translate(CHARACTER_OF_BYTE, UNUSED_BYTES)
    return drawn[:KEY_LENGTH].decode()


class SessionKeys(HandoverMixin):
    """The part of an engine that has to do with session keys."""

    # What this session's data was made from; None until it is loaded or created.
    _base: Entry | None = None

    # Whether nothing that is stored has been seen of it yet.
    _is_unread = True

    # Each key that ``cycle_key`` replaced, and what was stored under it, until it is ended.
    _replaced: Sequence[tuple[str, Entry | None]] = ()

    # Whether a save is sure to follow, since a response does: see SessionMiddleware.
    save_follows = False

    if TYPE_CHECKING:
        _apply_again: Callable[[Entry, Entry], None]
        _insert: Callable[..., Entry]
        _rebase: Callable[[Entry | None], None]
        _write: Callable[[Data], None]

    @property
    def _key(self) -> str:
        """The session key, in the methods above: they are only called where there is one."""
        return str(self._session_key or "")

    def _validate_session_key(self, key: Any) -> bool:
        """Whether it can be one: as long as Django wants it, and of what the store can hold."""
        if not isinstance(key, KEY_TYPES):
            return False
        is_long_enough: Any = super()._validate_session_key(key)  # type: ignore[misc]
        return bool(is_long_enough) and self._accepts_key(str(key))

    def _accepts_key(self, session_key: str) -> bool:
        return self.make_store().can_hold(session_key)

    def _get_new_session_key(self) -> str:
        """A key that nobody has. Its insert says whether that is so; no look-up before it.

        But where a subclass has its own word on what exists, that is asked.
        """
        while True:
            key = random_key()
            if not (overrides(type(self), "exists", "aexists") and self._overridden("exists")(key)):
                return key

    def create(self) -> None:
        """Store this session under a new key. Raises StoreError if none is taken."""
        self._store_under_new_key(partial(self._overridden("save"), must_create=True))
        self.modified = True

    def _store_under_new_key(self, store: Callable[[], None]) -> None:
        before = self._session_key
        for _attempt in range(NEW_KEY_ATTEMPTS):
            key = self._overridden("_get_new_session_key")()
            if not self._validate_session_key(key):
                raise InvalidSessionKey("The store cannot hold the new session key of a subclass.")
            self._session_key = key
            try:
                store()
            except Exception as error:
                # Nothing is stored under it; without a key the browser's cookie would be deleted.
                self._session_key = before
                if not isinstance(error, CreateError):
                    raise
                refusal = error
            else:
                return
        raise StoreUnavailableError(self._store.label, NEW_KEYS_REJECTED) from refusal

    def cycle_key(self) -> None:
        """Store the session under a new key and end the old one: whoever knew that is out.

        What this request has read is stored even if another one has moved or ended the session
        meanwhile, as on Django's engines: of two sign-ins at once over one session the browser
        keeps the later key, and a new key is only asked for by somebody who has just shown who
        they are. A sign-out everywhere still ends it, since that changes the hash with which the
        user's sessions are checked. What stays refused is a late save under the old key.

        The new entry comes first, and the old one ends after it: in a request of
        SessionMiddleware once the new one has been saved with the response. So whatever answer
        gets lost, the key that the browser holds then opens the session. Raises as ``save`` does.
        """
        data = self._get_session()
        validate(data)
        if self.session_key is None:
            self.create()
            return
        if self._base and self._base.is_copy:
            self._load_behind_copy()
        replaced, base = self._key, self._base
        if overrides(type(self), *CYCLE_KEY_HOOKS, *map(async_half, CYCLE_KEY_HOOKS)):
            # In Django a new key is one that is created, and the old one deleted.
            self._create_and_delete()
            return

        def insert() -> None:
            self._base = self._insert(dict(data), save_follows=True)

        self._store_under_new_key(insert)
        self.modified = True
        self._replaced = [*self._replaced, (replaced, base)]
        if not self.save_follows:
            self._end_replaced_keys()

    def _load_behind_copy(self) -> None:
        try:
            self._rebase(self._store.refresh(self._key, self._base))
        except UpdateError:
            # There is nothing; what the copy held is stored anew.
            self._base = None

    def _session_with_key(self, key: str) -> Self:
        """The session under that key: this one, or one that nobody has looked at yet."""
        if key == self._key:
            return self
        other = copy.copy(self)
        other._session_key = key
        for name in ("_session_cache", "_fixed_expiry"):
            vars(other).pop(name, None)
        return other

    @property
    def has_replaced_keys(self) -> bool:
        """Whether a key that ``cycle_key`` has replaced is still to be ended."""
        return bool(self._replaced)

    def _end_replaced_keys(self) -> None:
        """End what is stored under the old keys; what others have written there comes along.

        Where the store does not answer, the next save tries again: nobody is signed out by that.
        """
        for entry in self._replaced:
            try:
                self._end(*entry)
            except StoreUnavailableError as error:
                if self._store.in_transaction:
                    raise
                logger.warning("A replaced session key may still open. %s", in_english(error))
            else:
                self._replaced = [each for each in self._replaced if each is not entry]

    def _end(self, old_key: str, base: Entry | None) -> None:
        store = self._store
        for _attempt in range(SAVE_ATTEMPTS):
            if base and store.compare_and_delete(old_key, base):
                return
            theirs = store.refresh(old_key, base)
            if theirs is None or theirs.data is None:
                # Ended by somebody else, who may not know of every copy.
                store.delete(old_key)
                return
            if base:
                self._merge_from_old_key(base, theirs)
            base = theirs
        raise StoreUnavailableError(store.label, SAVES_REFUSED)

    def _merge_from_old_key(self, base: Entry, theirs: Entry) -> None:
        """Apply to the session, under its new key, what changed under the old one."""
        stored, self._base = self._base, base
        self._rebase(theirs)
        self._apply_again(base, theirs)
        self._base = stored
        if stored:
            self._write(self._get_session())

    def _create_and_delete(self) -> None:
        data, key = self._get_session(), self.session_key
        self._base = None
        self._overridden("create")()
        self._session_cache = data
        self._overridden("delete")(key)


def masked(session_key: str) -> str:
    """The beginning of a session key: enough to tell two apart, too little to use.

    Of a key's 165 bits (32 characters out of 36) 124 stay hidden.
    """
    return f"{session_key[:SHOWN_OF_KEY]}…"
