"""Sessions in files, one each."""

import logging
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.backends.file import SessionStore as DjangoStore
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _

from .base import Engine
from .clock import is_past, local
from .constants import EXPIRY
from .exceptions import NotListableError, StoreError
from .folder import File, Folder, is_name, lock_of
from .hooks import overrides
from .language import in_english
from .merge import Data
from .stored import Listed, Location, Page, Stored

logger = logging.getLogger("django.contrib.sessions")

# The fraction of a second in the modification time of a file whose session has no expiry
# of its own: of such a file the time alone tells whether it has expired. Django's engine
# writes no such times, but by an accident of one in a billion.
PLAIN = 123_456_789
SECOND = 1_000_000_000

# Files to read for each session that a page is to list, at the most.
FILES_READ = 10


@contextmanager
def passing_over(folder: Folder) -> Iterator[None]:
    """A single file that is another user's, as after a command that root has run, or a folder.

    Where the folder itself is not this user's, that is an error.
    """
    try:
        yield
    except StoreError as error:
        is_of_one = isinstance(error.__cause__, PermissionError | IsADirectoryError)
        if not (is_of_one and folder.is_writable):
            raise
        logger.warning("A session file is passed over. %s", in_english(error))


class SessionStore(Engine, DjangoStore):
    """Files in SESSION_FILE_PATH, which expire by the time of their last change."""

    if TYPE_CHECKING:
        _key_to_file: Callable[[str], str]
        _expiry_date: Callable[[Data], Any]

    def _takes(self, session_key: str) -> bool:
        """Nothing that could lead out of the folder, and no name that is too long for a file."""
        try:
            return is_name(self._key_to_file(session_key))
        except InvalidSessionKey:
            return False

    def _read(self) -> Stored | None:
        file = self._folder.read(self._key)
        if file is None:
            return None
        expires = self._expires(file)
        return None if is_past(expires) else self._stored(file.payload, expires)

    def _insert(self, data: Data) -> Stored:
        with self._folder.locked(self._key):
            if self._is_taken(self._key):
                raise CreateError
            return self._write(data)

    def _swap(self, base: Stored, data: Data) -> Stored | None:
        with self._folder.locked(self._key):
            return self._write(data) if self._holds(base) else None

    def _touch(self, base: Stored) -> bool:
        with self._folder.locked(self._key):
            if not self._holds(base):
                return False
            self._folder.touch(self._key, self._now(base.data or {}))
            return True

    def _remove(self, session_key: str) -> None:
        """Raises InvalidSessionKey for what could lead out of the folder."""
        if is_name(self._key_to_file(session_key)):
            with self._folder.locked(session_key):
                self._folder.remove(session_key)

    def _take(self, base: Stored) -> bool:
        with self._folder.locked(self._key):
            if not self._holds(base):
                return False
            self._folder.remove(self._key)
            return True

    def _make_room(self) -> None:
        self._cleared([self._key])

    def exists(self, session_key: Any) -> bool:
        """Raises InvalidSessionKey for what could lead out of the folder."""
        if not session_key:
            return False
        key = str(session_key)
        file = self._folder.read(key) if is_name(self._key_to_file(key)) else None
        return file is not None and not self._stored(file.payload, None).is_tombstone

    def _is_taken(self, session_key: str) -> bool:
        return self._folder.modified(session_key) is not None

    def _write(self, data: Data) -> Stored:
        file = File(self.encode(data).encode(), self._now(data))
        self._folder.write(self._key, file)
        return self._stored(file.payload, None)

    def _holds(self, base: Stored) -> bool:
        file = self._folder.read(self._key)
        return file is not None and file.payload == base.token

    def _stored(self, payload: bytes, expires: datetime | None) -> Stored:
        return Stored(payload, partial(self._data, payload), expires)

    def _data(self, payload: bytes) -> Data:
        return self.decode(payload.decode("latin-1")) if payload else {}

    def _now(self, data: Data) -> int:
        """The modification time of a file with that data that is written now: never a later one.

        Where the expiry is settled, the time that makes the file expire then.
        """
        expiry = data.get(EXPIRY)
        now = time.time_ns()
        if self._until and not isinstance(expiry, str):
            age = self.get_expiry_age(expiry=expiry)
            now = int((self._until.timestamp() - age) * SECOND)
        plain = (now - PLAIN) // SECOND * SECOND + PLAIN
        return now // SECOND * SECOND if expiry else plain

    def _expires(self, file: File) -> datetime:
        if self._has_own_expiry:
            age = self.get_expiry_age(expiry=self._expiry_date(self._data(file.payload)))
            return local(datetime.now(UTC) + timedelta(seconds=age))
        plain = file.modified % SECOND == PLAIN
        # Django's engine asks for no such date, so one of a subclass is not asked for either.
        date = super().get_expiry_date(
            modification=datetime.fromtimestamp(file.modified / SECOND, UTC),
            expiry=None if plain else self._data(file.payload).get(EXPIRY),
        )
        return local(date)

    @property
    def _has_own_expiry(self) -> bool:
        """Whether a subclass has a part in what Django's engine goes by."""
        return overrides(type(self), "_expiry_date", "_last_modification", "get_expiry_age")

    @cached_property
    def _folder(self) -> Folder:
        file_of = self._key_to_file if overrides(type(self), "_key_to_file") else None
        return Folder(Path(self.storage_path), self.file_prefix, file_of)

    @classmethod
    def walk(cls, page_size: int = 1000) -> Iterator[Listed]:
        """Reads one after the other, so no page is ever in memory."""
        return filter(None, map(cls._listed, cls()._folder.session_keys()))

    @classmethod
    def page(cls, position: str = "", size: int = 100) -> Page:
        """Block by block of the folder, the names in each in their order.

        A position is where a block begins and ends, and the name in it that was reached.
        Where most files have expired a page may end with fewer sessions, or with none.
        """
        if os.scandir not in os.supports_fd:
            raise NotListableError(
                _("Sessions in files cannot be listed by pages on %(system)s.")
                % {"system": platform.system()}
            )
        listed: list[Listed] = []
        reached = position
        for here, name in islice(cls._files(position), FILES_READ * size):
            found = cls._listed(name)
            if found and len(listed) == size:
                return Page(listed, reached)
            if found:
                listed.append(found)
            reached = here
        return Page(listed, reached if next(cls._files(reached), None) else "")

    @classmethod
    def _files(cls, position: str) -> Iterator[tuple[str, str]]:
        """The session keys of the files from there on, each with the position after it."""
        folder = cls()._folder
        blocks = folder.blocks(0)
        if position:
            start, end, last = position.split(":")
            rest = [name for name in folder.block(int(start), int(end)) if name > last]
            blocks = chain([(int(start), int(end), rest)], folder.blocks(int(end)))
        for begin, finish, names in blocks:
            for name in sorted(names):
                yield f"{begin}:{finish}:{name}", name

    @classmethod
    def _listed(cls, name: str) -> Listed | None:
        store = cls(name)
        if store.session_key is None:
            return None
        stored: Stored | None = Stored(b"", lambda: None)
        with passing_over(store._folder):
            stored = store._read()
        is_live = stored is not None and not stored.is_tombstone
        return Listed(name, stored.token, stored) if stored and is_live else None

    @classmethod
    def count(cls) -> int:
        store = cls()
        return sum(map(store._validate_session_key, store._folder.session_keys()))

    @classmethod
    def _clear(cls, batch_size: int) -> Iterator[int]:
        store = cls()
        names = store._folder.session_keys()
        while batch := list(islice(names, batch_size)):
            yield store._cleared(batch)

    @classmethod
    def count_expired(cls) -> int:
        store = cls()
        keys = filter(store._validate_session_key, store._folder.session_keys())
        return sum(map(store._has_expired, keys))

    def _cleared(self, names: Iterable[str]) -> int:
        """Remove those that have expired, each lock taken once: how many went."""
        gone, expired = 0, []
        for name in names:
            if not self._validate_session_key(name):
                self._folder.remove_interrupted(name)
            elif self._has_expired(name):
                expired.append(name)
        expired.sort(key=lock_of)
        for _lock, those in groupby(expired, lock_of):
            first, *rest = those
            with self._folder.locked(first):
                # Somebody may have saved one since.
                for key in (first, *rest):
                    if self._has_expired(key):
                        with passing_over(self._folder):
                            self._folder.remove(key)
                            gone += 1
        return gone

    def _has_expired(self, session_key: str) -> bool:
        """By the file's time; the file itself is opened only where that does not tell."""
        modified = self._folder.modified(session_key)
        if modified is None:
            return False
        if self._has_own_expiry:
            return type(self)(session_key)._read() is None
        if modified % SECOND == PLAIN:
            return modified <= time.time_ns() - self.get_session_cookie_age() * SECOND
        with passing_over(self._folder):
            file = self._folder.read(session_key)
            return file is not None and is_past(self._expires(file))
        return False

    def locate(self) -> list[Location]:
        stored = self._read() if self.session_key else None
        if stored is None:
            return []
        name = f"{settings.SESSION_COOKIE_NAME}{self._key}"
        return [Location(self._place(), name, stored.token, stored.expires)]

    @classmethod
    def _place(cls) -> str | Promise:
        return cls()._folder.place

    @classmethod
    def _id(cls) -> str:
        return f"files {cls()._folder.prefix}"
