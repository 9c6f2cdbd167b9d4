"""The key of a session: what can be one, a new one, and the change of one for another."""

import copy
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib.sessions.backends.base import VALID_KEY_CHARS, CreateError, SessionBase
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .asynchronous import async_half
from .exceptions import StoreUnavailableError
from .hooks import overrides
from .language import in_english
from .merge import Data
from .sound import check
from .stored import Stored

logger = logging.getLogger("django.contrib.sessions")

KEY_LENGTH = 32

# A key is 32 characters out of 36: one that is taken means a broken store, not bad luck.
NEW_KEYS = 5

# A save fails only when another one won. So many in a row mean a store that cannot compare.
SAVES = 1000

# Of what Django's engines make the change of a key.
DJANGOS_WAY = ("create", "save", "delete")

Result = TypeVar("Result")


def random_key() -> str:
    """As random as Django's, by one call to the system for all of it instead of one a character."""
    number = secrets.randbelow(len(VALID_KEY_CHARS) ** KEY_LENGTH)
    key = ""
    for _character in range(KEY_LENGTH):
        number, digit = divmod(number, len(VALID_KEY_CHARS))
        key += VALID_KEY_CHARS[digit]
    return key


class Keys(SessionBase):
    """The part of an engine that has to do with session keys."""

    # The session under each key that ``cycle_key`` replaced, and what it held, until it is ended.
    _replaced: Sequence[tuple["Keys", Stored | None]] = ()

    # Whether a save is sure to follow, since a response does: see SessionMiddleware.
    _save_follows = False

    if TYPE_CHECKING:
        _apply_again: Callable[[Stored, Stored], None]
        _base: Stored | None
        _find: Callable[[], Stored | None]
        _get_session: Callable[..., Data]
        _half: Callable[[str], Callable[..., Any]]
        _insert_replacing: Callable[[Data], Stored]
        _place: Callable[[], str | Promise]
        _rebase: Callable[[Stored | None], None]
        _remove: Callable[[str], None]
        _session_cache: Data
        _store: Callable[[Data], None]
        _take: Callable[[Stored], bool]

    @property
    def _key(self) -> str:
        """The session key, in the methods above: they are only called where there is one."""
        return str(self._session_key or "")

    def _validate_session_key(self, key: Any) -> bool:
        """Whether it can be one: as long as Django wants it, and of what the store can hold."""
        if not isinstance(key, str | Promise):
            return False
        is_long_enough: Any = super()._validate_session_key(key)  # type: ignore[misc]
        return bool(is_long_enough) and self._takes(str(key))

    def _takes(self, session_key: str) -> bool:
        """Whether the store can hold something under it: half a character is an error in most."""
        try:
            session_key.encode()
        except UnicodeEncodeError:
            return False
        return True

    def _get_new_session_key(self) -> str:
        """A key that nobody has. Its insert says whether that is so; no look-up before it.

        But where a subclass has its own word on what exists, that is asked.
        """
        while True:
            key = random_key()
            if not (overrides(type(self), "exists", "aexists") and self._half("exists")(key)):
                return key

    def create(self) -> None:
        """Store this session under a new key. Raises StoreError if none is taken."""
        before = self._session_key

        def insert(key: str) -> None:
            self._session_key = key
            try:
                self._half("save")(must_create=True)
            except Exception:
                # Nothing is stored under it; without a key the browser's cookie would be deleted.
                self._session_key = before
                raise

        self._under_a_new_key(insert)
        self.modified = True

    def _under_a_new_key(self, store: Callable[[str], Result]) -> Result:
        for _attempt in range(NEW_KEYS):
            key = self._half("_get_new_session_key")()
            if not self._validate_session_key(key):
                raise InvalidSessionKey("The store cannot hold the new session key of a subclass.")
            try:
                return store(key)
            except CreateError as error:
                refusal = error
        raise StoreUnavailableError(
            self._place(),
            format_lazy(
                _("The store rejected {number} new session keys in a row."), number=NEW_KEYS
            ),
        ) from refusal

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
        check(data)
        replaced, base = self._session_key, self._base
        if self.session_key is None:
            self.create()
            return
        if overrides(type(self), *DJANGOS_WAY, *map(async_half, DJANGOS_WAY)):
            # In Django a new key is one that is created, and the old one deleted.
            self._create_and_delete()
            return

        def insert(new_key: str) -> None:
            self._session_key = new_key
            try:
                self._base = self._insert_replacing(dict(data))
            except Exception:
                self._session_key = replaced
                raise

        self._under_a_new_key(insert)
        self.modified = True
        self._replaced = [*self._replaced, (self._at(replaced), base)]
        if not self._save_follows:
            self._end_replaced()

    def _at(self, key: str | None) -> "Keys":
        """The session under another key, as nobody has looked at it yet."""
        other = copy.copy(self)
        other._session_key = key
        for name in ("_session_cache", "_until"):
            vars(other).pop(name, None)
        return other

    def _end_replaced(self) -> None:
        """End what is stored under the old keys; what others have written there comes along.

        Where the store does not answer, the next save tries again: nobody is signed out by that.
        """
        for entry in self._replaced:
            try:
                self._end(*entry)
            except StoreUnavailableError as error:
                if self._is_in_transaction():
                    raise
                logger.warning("A replaced session key may still open. %s", in_english(error))
            else:
                self._replaced = [each for each in self._replaced if each is not entry]

    def _end(self, old: "Keys", base: Stored | None) -> None:
        for _attempt in range(SAVES):
            if base and old._take(base):
                return
            theirs = old._find()
            if theirs is None or theirs.data is None:
                # Ended by somebody else, who may not know of every copy.
                old._remove(old._key)
                return
            if base:
                self._take_along(base, theirs)
            base = theirs
        raise StoreUnavailableError(
            self._place(),
            format_lazy(
                _("The store refused to save one session {number} times in a row."), number=SAVES
            ),
        )

    def _is_in_transaction(self) -> bool:
        """Whether what is stored now may yet be rolled back."""
        return False

    def _take_along(self, base: Stored, theirs: Stored) -> None:
        """Apply to the session, under its new key, what changed under the old one."""
        stored, self._base = self._base, base
        self._rebase(theirs)
        self._apply_again(base, theirs)
        self._base = stored
        if stored:
            self._store(self._get_session())

    def _create_and_delete(self) -> None:
        data, key = self._get_session(), self.session_key
        self._base = None
        self._half("create")()
        self._session_cache = data
        self._half("delete")(key)
