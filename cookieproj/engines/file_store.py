"""Sessions in the files of a folder."""

import logging
import os
import platform
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache, partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from .clock import as_django_stores, aware, is_past
from .constants import EXPIRY_ITEM
from .english import in_english
from .entries import Entry, ListedSession, Location, Page
from .exceptions import NotListableError, StoreError
from .merge import Data
from .session_files import SessionFile, SessionFolder, is_name, lock_of
from .store import Store
from .subclass_hooks import can_decode, decoder, overrides, serialized_form

logger = logging.getLogger("django.contrib.sessions")

# The fraction of a second in the modification time of a file whose session has no expiry
# of its own: of such a file the time alone tells whether it has expired. Django's engine
# writes no such times, but by an accident of one in a billion.
NO_EXPIRY_NANOSECONDS = 123_456_789
SECOND = 1_000_000_000

# Files to read for each session that a page is to list, at the most.
READS_BETWEEN_DELETIONS = 10


@contextmanager
def passing_over(folder: SessionFolder) -> Iterator[None]:
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


@lru_cache
def plain_folder(path: str, prefix: str) -> SessionFolder:
    return SessionFolder(Path(path), prefix)


class FileStore(Store):
    """Files in SESSION_FILE_PATH, which expire by the time of their last change.

    ``session`` is one of the engine's: what a subclass has to say of its files, by Django's hooks,
    is asked of it.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self.engine: type = type(session)

    @property
    def default_id(self) -> str:
        return f"files {self.folder.prefix}"

    @property
    def label(self) -> str | Promise:
        return self.folder.place

    @cached_property
    def folder(self) -> SessionFolder:
        folder = plain_folder(self.session.storage_path, self.session.file_prefix)
        if overrides(self.engine, "_key_to_file"):
            return replace(folder, file_of=self.session._key_to_file)
        return folder

    def can_hold(self, key: str) -> bool:
        """Nothing that could lead out of the folder, and no name that is too long for a file."""
        if not super().can_hold(key):
            return False
        try:
            return is_name(self.session._key_to_file(key))
        except InvalidSessionKey:
            return False

    def form(self, data: Data) -> Data:
        return serialized_form(self.session, data)

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        file = self.folder.read(key)
        if file is None:
            return None
        expires = self._expires(key, file)
        return None if is_past(expires) else self._stored(key, file.payload, expires)

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        with self.folder.locked(key):
            if self.folder.modified(key) is not None:
                raise CreateError
            return self._write(key, data, expires)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        with self.folder.locked(key):
            return self._write(key, data, expires) if self._holds(key, old) else None

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        with self.folder.locked(key):
            if not self._holds(key, old):
                return None
            self.folder.touch(key, self._modified(key, old.data or {}, expires))
            return old

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        with self.folder.locked(key):
            if not self._holds(key, old):
                return False
            self.folder.remove(key)
            return True

    def delete(self, key: str) -> None:
        """Raises InvalidSessionKey for what could lead out of the folder."""
        if is_name(self.session._key_to_file(key)):
            with self.folder.locked(key):
                self.folder.remove(key)

    def purge(self, key: str) -> None:
        self._clear([key])

    def exists(self, key: str) -> bool:
        """Raises InvalidSessionKey for what could lead out of the folder."""
        file = self.folder.read(key) if is_name(self.session._key_to_file(key)) else None
        return file is not None and not self._stored(key, file.payload, None).is_tombstone

    def _write(self, key: str, data: Data, expires: datetime) -> Entry:
        text = self.session._session_with_key(key).encode(data)
        file = SessionFile(text.encode(), self._modified(key, data, expires))
        self.folder.write(key, file)
        return self._stored(key, file.payload, None)

    def _holds(self, key: str, old: Entry) -> bool:
        file = self.folder.read(key)
        return file is not None and file.payload == old.token

    def is_readable(self, listed: ListedSession) -> bool:
        text = listed.payload.decode("latin-1")
        return listed.stored.data is not None and can_decode(self.session, text)

    def _stored(self, key: str, payload: bytes, expires: datetime | None) -> Entry:
        return Entry(payload, self._decoder(key, payload), expires)

    def _data(self, key: str, payload: bytes) -> Data:
        return self._decoder(key, payload)()

    def _decoder(self, key: str, payload: bytes) -> Callable[[], Data]:
        return decoder(self.session, key, payload.decode("latin-1")) if payload else dict

    def _modified(self, key: str, data: Data, expires: datetime) -> int:
        """The modification time with which a file of that data expires then, or just before."""
        expiry = data.get(EXPIRY_ITEM)
        modified = time.time_ns()
        if not isinstance(expiry, str):
            with suppress(OverflowError):
                written = aware(expires) - timedelta(seconds=self._age(key, expiry))
                modified = nanoseconds(written)
        plain = (modified - NO_EXPIRY_NANOSECONDS) // SECOND * SECOND + NO_EXPIRY_NANOSECONDS
        return modified // SECOND * SECOND if expiry else plain

    @property
    def _has_own_expiry(self) -> bool:
        """Whether a subclass has a part in what Django's engine goes by."""
        return overrides(self.engine, "_expiry_date", "_last_modification", "get_expiry_age")

    def _age(self, key: str, expiry: Any) -> int:
        return int(self.session._session_with_key(key).get_expiry_age(expiry=expiry))

    def _expires(self, key: str, file: SessionFile) -> datetime:
        if self._has_own_expiry:
            expiry = self.session._session_with_key(key)._expiry_date(self._data(key, file.payload))
            age = self._age(key, expiry)
            return as_django_stores(datetime.now(UTC) + timedelta(seconds=age))
        plain = file.modified % SECOND == NO_EXPIRY_NANOSECONDS
        return as_django_stores(
            self.session.date_of(
                modification=datetime.fromtimestamp(file.modified / SECOND, UTC),
                expiry=None if plain else self._data(key, file.payload).get(EXPIRY_ITEM),
            )
        )

    def walk(self, page_size: int) -> Iterator[ListedSession]:
        """Reads one after the other, so no page is ever in memory."""
        return filter(None, map(self._listed, self.folder.session_keys()))

    def page(self, position: str, size: int) -> Page:
        """Block by block of the folder, the names in each in their order.

        A position is where a block begins and ends, and the name in it that was reached.
        Where most files have expired a page may end with fewer sessions, or with none.
        """
        if os.scandir not in os.supports_fd:
            raise NotListableError(
                _("Sessions in files cannot be listed by pages on %(system)s.")
                % {"system": platform.system()}
            )
        listed: list[ListedSession] = []
        store_call = position
        for here, name in islice(self._names(position), READS_BETWEEN_DELETIONS * size):
            found = self._listed(name)
            if found and len(listed) == size:
                return Page(listed, store_call)
            if found:
                listed.append(found)
            store_call = here
        return Page(listed, store_call if next(self._names(store_call), None) else "")

    def _names(self, position: str) -> Iterator[tuple[str, str]]:
        """The session keys of the files from there on, each with the position after it."""
        blocks = self.folder.blocks(0)
        if position:
            start, end, last = position.split(":")
            rest = [name for name in self.folder.block(int(start), int(end)) if name > last]
            blocks = chain([(int(start), int(end), rest)], self.folder.blocks(int(end)))
        for begin, finish, names in blocks:
            for name in sorted(names):
                yield f"{begin}:{finish}:{name}", name

    def _listed(self, key: str) -> ListedSession | None:
        if not self.session._validate_session_key(key):
            return None
        stored: Entry | None = Entry(b"", lambda: None)
        with passing_over(self.folder):
            stored = self.read(key)
        is_live = stored is not None and not stored.is_tombstone
        return ListedSession(key, stored.token, stored) if stored and is_live else None

    def live_keys(self, keys: Collection[str]) -> set[str]:
        is_live = partial(Store.exists, self)
        return set(filter(is_live, filter(self.session._validate_session_key, keys)))

    def count(self) -> int:
        return sum(map(self.session._validate_session_key, self.folder.session_keys()))

    def clear(self, batch_size: int) -> Iterator[int]:
        names = self.folder.session_keys()
        while batch := list(islice(names, batch_size)):
            yield self._clear(batch)

    def count_expired(self) -> int:
        keys = filter(self.session._validate_session_key, self.folder.session_keys())
        return sum(map(self._has_expired, keys))

    def _clear(self, names: Iterable[str]) -> int:
        """Remove those that have expired, each lock taken once: how many went."""
        gone, expired = 0, []
        for name in names:
            if not self.session._validate_session_key(name):
                self.folder.remove_interrupted(name)
            elif self._has_expired(name):
                expired.append(name)
        expired.sort(key=lock_of)
        for _lock, those in groupby(expired, lock_of):
            first, *rest = those
            with self.folder.locked(first):
                # Somebody may have saved one since.
                for key in (first, *rest):
                    if self._has_expired(key):
                        with passing_over(self.folder):
                            self.folder.remove(key)
                            gone += 1
        return gone

    def _has_expired(self, key: str) -> bool:
        """By the file's time; the file itself is opened only where that does not tell."""
        modified = self.folder.modified(key)
        if modified is None:
            return False
        if self._has_own_expiry:
            return self.read(key) is None
        if modified % SECOND == NO_EXPIRY_NANOSECONDS:
            age: int = self.session.get_session_cookie_age()
            return modified <= time.time_ns() - age * SECOND
        with passing_over(self.folder):
            file = self.folder.read(key)
            return file is not None and is_past(self._expires(key, file))
        return False

    def locate(self, key: str) -> list[Location]:
        stored = self.read(key)
        if stored is None:
            return []
        name = f"{settings.SESSION_COOKIE_NAME}{key}"
        return [Location(self.label, name, stored.token, stored.expires)]


def nanoseconds(moment: datetime) -> int:
    """Since 1970, exactly: a float of it is not."""
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000
