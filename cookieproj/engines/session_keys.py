"""Session keys: their validation, new ones, and the replacement of one by another."""

import copy
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
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
from .exceptions import TRY_AGAIN, StoreUnavailableError
from .handover_mixin import HandoverMixin
from .merge import Data
from .signed_ids import without_signature
from .store import Store
from .subclass_hooks import overrides
from .validation import validate

logger = logging.getLogger("django.contrib.sessions")

KEY_LENGTH = 32

# Characters of a session key that may be shown to people.
VISIBLE_KEY_CHARS = 8

# A new key is already taken with a chance of 1 in 36 ** 32. Several in a row mean a broken store.
NEW_KEY_ATTEMPTS = 5

# A save fails only if another one succeeded first. So many failures in a row mean a store that
# cannot compare.
SAVE_ATTEMPTS = 1000

KEY_TYPES = (str, Promise)

# The methods of which Django's ``cycle_key`` consists.
CYCLE_KEY_HOOKS = ("create", "save", "delete")

NEW_KEYS_REJECTED = format_lazy(
    _("The store rejected {number} new session keys in a row."), number=NEW_KEY_ATTEMPTS
)
SAVES_REFUSED = format_lazy(
    _("The store refused to save one session {number} times in a row."), number=SAVE_ATTEMPTS
)


# Maps each byte to a character of a key, seven bytes to each, so that all are equally likely.
# Four of the 256 bytes are left over.
CHARACTER_OF_BYTE = (VALID_KEY_CHARS * 8)[:256].encode()
UNUSED_BYTES = bytes(range(252, 256))


def random_key() -> str:
    """Return a key as random as Django's, with one system call instead of one per character."""
    # To leave fewer than KEY_LENGTH, 65 of the 96 bytes would have to be among the four: that
    # does not happen.
    characters = secrets.token_bytes(3 * KEY_LENGTH).translate(CHARACTER_OF_BYTE, UNUSED_BYTES)
    return characters[:KEY_LENGTH].decode()


def is_usual_key(session_key: str) -> bool:
    """Whether it has the form of the keys that Django and ``random_key`` make."""
    return len(session_key) == KEY_LENGTH and session_key.isascii() and session_key.isalnum()


class SessionKeys(HandoverMixin):
    """The part of an engine that handles session keys."""

    # The stored entry that this session's data was loaded from. None until it is loaded or created.
    _base: Entry | None = None

    # Whether this object has not yet read or written any stored entry of the session.
    _is_unread = True

    # The keys that ``cycle_key`` has replaced and that are not ended yet, each with its base.
    _replaced: Sequence[tuple[str, Entry | None]] = ()

    # Whether SessionMiddleware is sure to save this session with the response.
    save_follows = False

    if TYPE_CHECKING:
        _apply_again: Callable[[Entry, Entry], None]
        _delete: Callable[[str], None]
        _expires: Callable[[], datetime]
        _follow: Callable[[Entry | None], Entry | None]
        _insert: Callable[..., Entry]
        _note_new_key: Callable[[], None]
        _rebase: Callable[[Entry | None], None]
        _write: Callable[[Data], None]

    def __init__(self, session_key: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Also of a signed id: Channels and others pass the value of the cookie."""
        # Only a signed id has a colon.
        if isinstance(session_key, str) and ":" in session_key:
            session_key = without_signature(session_key)
        super().__init__(session_key, *args, **kwargs)

    @property
    def _key(self) -> str:
        """The session key as text, for methods that are only called if there is one."""
        return str(self._session_key or "")

    def _validate_session_key(self, key: Any) -> bool:
        """Whether it can be a key: long enough for Django, and one that the store accepts."""
        if not isinstance(key, KEY_TYPES):
            return False
        is_long_enough: Any = super()._validate_session_key(key)  # type: ignore[misc]
        return bool(is_long_enough) and self._accepts_key(str(key))

    def _accepts_key(self, session_key: str) -> bool:
        return self.make_store().can_hold(session_key)

    def _get_new_session_key(self) -> str:
        """Return a random key. Its insert finds out whether it is free, no look-up before it.

        But if a subclass overrides ``exists``, that is called.
        """
        while True:
            key = random_key()
            if not (overrides(type(self), "exists", "aexists") and self._overridden("exists")(key)):
                return key

    def create(self) -> None:
        """Store this session under a new key. Raises StoreError if the store accepts none."""
        self._ensure_admitted_to_replace()
        self._store_under_new_key(partial(self._overridden("save"), must_create=True))
        self.modified = True

    def _store_under_new_key(self, insert: Callable[[], None]) -> None:
        previous_key = self._session_key
        for _attempt in range(NEW_KEY_ATTEMPTS):
            key = self._overridden("_get_new_session_key")()
            if not self._validate_session_key(key):
                raise InvalidSessionKey("The store cannot hold the new session key of a subclass.")
            self._session_key = key
            self._note_new_key()
            try:
                insert()
            except Exception as error:
                # Nothing is stored under the new key. The old one is restored, as a response for a
                # session without a key would delete the browser's cookie.
                self._session_key = previous_key
                if not isinstance(error, CreateError):
                    raise
                refusal = error
            else:
                return
        raise StoreUnavailableError(self._store.label, NEW_KEYS_REJECTED, TRY_AGAIN) from refusal

    def cycle_key(self) -> None:
        """Store the session under a new key and end the old one, which then opens nothing.

        The data that this request has read is stored even if another request has moved or ended the
        session meanwhile, as on Django's engines. After two concurrent sign-ins with one session
        the browser keeps the later key, and a new key is only requested for somebody who has just
        proved who they are. A sign-out everywhere still ends the session, because it changes the
        hash with which Django checks the user's sessions. A late save under the old key is still
        refused.

        The new entry is inserted first and the old one is ended after it; under SessionMiddleware,
        after the new one was saved with the response. So if any answer of the store gets lost, the
        key in the browser still opens the session. Raises as ``save`` does.
        """
        data = self._get_session()
        self._ensure_admitted()
        validate(data)
        if self.session_key is None:
            self.create()
            return
        if self._base and self._base.is_copy:
            self._load_behind_copy()
        old_key, base = self._key, self._base
        if overrides(type(self), *CYCLE_KEY_HOOKS, *map(async_half, CYCLE_KEY_HOOKS)):
            # A subclass has a part in it, so do as Django does: create under a new key and
            # delete the old one.
            self._create_and_delete()
            return

        def insert() -> None:
            self._base = self._insert(dict(data), save_follows=True)

        self._store_under_new_key(insert)
        self.modified = True
        self._replaced = [*self._replaced, (old_key, base)]
        if not self.save_follows:
            self._end_replaced_keys()

    def _refresh(self, old: Entry | None, store: Store | None = None) -> Entry | None:
        """Return what is stored now; ``old`` is what this request has read before."""
        return self._follow((store or self._store).refresh(self._key, old))

    def _load_behind_copy(self) -> None:
        try:
            self._rebase(self._refresh(self._base))
        except UpdateError:
            # Nothing is stored: the data of the copy is stored as a new entry.
            self._base = None

    def _session_with_key(self, key: str) -> Self:
        """Return this session if it has that key, else an unloaded copy of it with that key."""
        if key == self._key:
            return self
        session = copy.copy(self)
        session._session_key = key
        for name in ("_session_cache", "_fixed_expiry"):
            vars(session).pop(name, None)
        return session

    @property
    def has_replaced_keys(self) -> bool:
        """Whether any key that ``cycle_key`` has replaced still has to be ended."""
        return bool(self._replaced)

    def _end_replaced_keys(self) -> None:
        """End the old keys, after merging what other requests have stored under them.

        If the store does not answer, the next save tries again. That signs nobody out.
        """
        for replaced in self._replaced:
            try:
                self._end_key(*replaced)
            except StoreUnavailableError as error:
                if self._store.in_transaction:
                    raise
                logger.warning("A replaced session key may still open. %s", in_english(error))
            else:
                self._replaced = [other for other in self._replaced if other is not replaced]

    def _end_key(self, old_key: str, base: Entry | None) -> None:
        store = self._store
        for _attempt in range(SAVE_ATTEMPTS):
            if base and store.compare_and_delete(old_key, base):
                return
            theirs = store.refresh(old_key, base)
            if theirs is None or theirs.data is None:
                # Another request has ended it, and may not have known of every copy.
                store.delete(old_key)
                if theirs and theirs.renewed_to:
                    self._end_key(theirs.renewed_to, base)
                return
            if base:
                self._merge_from_old_key(base, theirs)
            base = theirs
        raise StoreUnavailableError(store.label, SAVES_REFUSED, TRY_AGAIN)

    def _merge_from_old_key(self, base: Entry, theirs: Entry) -> None:
        """Apply the changes stored under the old key to the session, and save it under its own."""
        own_base, self._base = self._base, base
        self._rebase(theirs)
        self._apply_again(base, theirs)
        self._base = own_base
        if own_base:
            self._write(self._get_session())

    def _create_and_delete(self) -> None:
        data, key = self._get_session(), self.session_key
        self._base = None
        self._overridden("create")()
        self._session_cache = data
        self._overridden("delete")(key)


def masked(session_key: str) -> str:
    """Return the beginning of a session key: enough to tell two apart, too little to use.

    Of a key's 165 bits (32 characters out of 36) 124 stay hidden.
    """
    return f"{session_key[:VISIBLE_KEY_CHARS]}…"
