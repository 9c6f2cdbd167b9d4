"""Sessions in the files of a folder."""

import logging
import os
import platform
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property, lru_cache, partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from .clock import is_past
from .english import in_english
from .entries import Entry, ListedSession, Location, Page
from .exceptions import NotListableError, StoreError
from .file_expiry import FileExpiry
from .file_io import SessionFile, fits_file_name
from .merge import Data
from .session_files import SessionFolder, lock_number
from .store import Store
from .subclass_hooks import can_decode, decoder, encode, is_stored, overrides, serialized_form

logger = logging.getLogger("django.contrib.sessions")

# The most files that a page reads for each session that it is to list.
READS_PER_SESSION = 10


@contextmanager
def skipping_foreign_files(folder: SessionFolder) -> Iterator[None]:
    """Skip a single file that this user may not open or that is a folder, with a line in the log.

    After a command that root has run, files can belong to another user. If the folder itself is not
    writable, the error is raised.
    """
    try:
        yield
    except StoreError as error:
        is_single_file = isinstance(error.__cause__, PermissionError | IsADirectoryError)
        if not (is_single_file and folder.is_writable):
            raise
        logger.warning("A session file is skipped. %s", in_english(error))


@lru_cache
def cached_folder(path: str, prefix: str) -> SessionFolder:
    return SessionFolder(Path(path), prefix)


def is_expired(entry: Entry) -> bool:
    return entry.expires is not None and is_past(entry.expires)


class FileStore(Store):
    """Files in SESSION_FILE_PATH, whose age counts from their modification time.

    ``session`` is a session of the engine. Its methods, which a subclass may override, decide how
    files are named and encoded, and when they expire.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self.engine: type = type(session)
        self.expiry = FileExpiry(session)

    @property
    def default_id(self) -> str:
        return f"files {self.folder.prefix}"

    @property
    def label(self) -> str | Promise:
        return self.folder.place

    @cached_property
    def folder(self) -> SessionFolder:
        folder = cached_folder(self.session.storage_path, self.session.file_prefix)
        if overrides(self.engine, "_key_to_file"):
            return replace(folder, file_of=self.session._key_to_file)
        return folder

    def can_hold(self, key: str) -> bool:
        """Whether the key's file is inside the folder and its name is short enough."""
        if not super().can_hold(key):
            return False
        try:
            return fits_file_name(self.session._key_to_file(key))
        except InvalidSessionKey:
            return False

    def form(self, data: Data) -> Data:
        return serialized_form(self.session, data)

    def is_stored(self, old: Entry, data: Data) -> bool:
        return is_stored(self.session, old, data)

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        entry = self._read_even_expired(key)
        return None if entry and is_expired(entry) else entry

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        with self.folder.locked(key):
            if self.folder.modified(key) is not None:
                raise CreateError
            return self._write(key, data, expires)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        with self.folder.locked(key):
            return self._write(key, data, expires) if self._is_unchanged(key, old) else None

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        with self.folder.locked(key):
            if not self._is_unchanged(key, old):
                return None
            self.folder.touch(key, self.expiry.modification_time(key, old.data or {}, expires))
            return old

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        with self.folder.locked(key):
            if not self._is_unchanged(key, old):
                return False
            self.folder.remove(key)
            return True

    def delete(self, key: str) -> None:
        """Delete the session's file.

        Raises InvalidSessionKey for a key that leads out of the folder.
        """
        if fits_file_name(self.session._key_to_file(key)):
            with self.folder.locked(key):
                self.folder.remove(key)

    def purge(self, key: str) -> None:
        self._clear([key])

    def exists(self, key: str) -> bool:
        """Whether there is a session, readable or not.

        Raises InvalidSessionKey for a key that leads out of the folder.
        """
        file = self.folder.read(key) if fits_file_name(self.session._key_to_file(key)) else None
        if file is None:
            return False
        return not Entry(file.payload, self._decoder(key, file.payload)).is_tombstone

    def _write(self, key: str, data: Data, expires: datetime) -> Entry:
        text, content = encode(self.session, key, data)
        file = SessionFile(text.encode(), self.expiry.modification_time(key, data, expires))
        self.folder.write(key, file)
        return Entry(file.payload, content)

    def _read_even_expired(self, key: str) -> Entry | None:
        file = self.folder.read(key)
        if file is None:
            return None
        content = self._decoder(key, file.payload)
        return Entry(file.payload, content, self.expiry.expires(key, file.modified, content))

    def _is_unchanged(self, key: str, old: Entry) -> bool:
        file = self.folder.read(key)
        return file is not None and file.payload == old.token

    def is_readable(self, listed: ListedSession) -> bool:
        text = listed.payload.decode("latin-1")
        return listed.stored.data is not None and can_decode(self.session, text)

    def _decoder(self, key: str, payload: bytes) -> Callable[[], Data]:
        return decoder(self.session, key, payload.decode("latin-1")) if payload else dict

    def walk(self, page_size: int) -> Iterator[ListedSession]:
        """Yield the sessions one file at a time, without keeping a page in memory."""
        return filter(None, map(self._listed, self.folder.session_keys()))

    def page(self, position: str, size: int) -> Page:
        """Return a page of the folder, in the order of its blocks, and of the names within a block.

        A position consists of the offsets of a block and the last name read in it. If most files
        have expired, a page may have fewer than ``size`` sessions, or none.
        """
        if os.scandir not in os.supports_fd:
            raise NotListableError(
                _("Sessions in files cannot be listed by pages on %(system)s.")
                % {"system": platform.system()}
            )
        listed: list[ListedSession] = []
        reached = position
        for name_position, name in islice(self._names_from(position), READS_PER_SESSION * size):
            session = self._listed(name)
            if session and len(listed) == size:
                return Page(listed, reached)
            if session:
                listed.append(session)
            reached = name_position
        return Page(listed, reached if next(self._names_from(reached), None) else "")

    def _names_from(self, position: str) -> Iterator[tuple[str, str]]:
        """Yield the names after that position, each with the position after it."""
        blocks = self.folder.blocks(0)
        if position:
            start, end, last_name = position.split(":")
            remaining = [
                name for name in self.folder.block(int(start), int(end)) if name > last_name
            ]
            blocks = chain([(int(start), int(end), remaining)], self.folder.blocks(int(end)))
        for block_start, block_end, names in blocks:
            for name in sorted(names):
                yield f"{block_start}:{block_end}:{name}", name

    def _listed(self, key: str) -> ListedSession | None:
        if not self.session._validate_session_key(key):
            return None
        entry: Entry | None = Entry(b"", lambda: None)
        with skipping_foreign_files(self.folder):
            entry = self.read(key)
        is_live = entry is not None and not entry.is_tombstone
        return ListedSession(key, entry.token, entry) if entry and is_live else None

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
        """Delete those that have expired, taking each lock once; return how many were deleted."""
        deleted, expired = 0, []
        for name in names:
            if not self.session._validate_session_key(name):
                self.folder.remove_interrupted(name)
            elif self._has_expired(name):
                expired.append(name)
        expired.sort(key=lock_number)
        for _lock, keys in groupby(expired, lock_number):
            batch = list(keys)
            with self.folder.locked(batch[0]):
                # Another process may have saved one of them since.
                for key in batch:
                    if self._has_expired(key):
                        with skipping_foreign_files(self.folder):
                            self.folder.remove(key)
                            deleted += 1
        return deleted

    def _has_expired(self, key: str) -> bool:
        """Whether the file has expired. It is opened only if its time does not show that."""
        modified = self.folder.modified(key)
        if modified is None:
            return False
        has_expired = self.expiry.has_expired(modified)
        if has_expired is None:
            with skipping_foreign_files(self.folder):
                entry = self._read_even_expired(key)
                return entry is not None and is_expired(entry)
        return bool(has_expired)

    def locate(self, key: str) -> list[Location]:
        entry = self.read(key)
        if entry is None:
            return []
        name = f"{settings.SESSION_COOKIE_NAME}{key}"
        return [Location(self.label, name, entry.token, entry.expires)]
