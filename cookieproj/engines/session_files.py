"""The folder of session files.

A file is never changed, only replaced as a whole by another, so that reading takes no
lock. Whoever replaces one holds for that moment one of a few lock files, picked by the
session's key; they are never removed, as somebody may be waiting for one.
"""

import errno
import os
import stat
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, takewhile
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from django.core.files import locks
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .constants import LOCK_NAME, LOCKS, UNFINISHED
from .exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from .round_trips import StoreCall

# Bytes of a file's name, and of what is added to it while the file is written.
NAME_MAX = 255
ROOM = 16

# Seconds after which an unfinished write is one that was interrupted.
INTERRUPTED = 3600

# A link is not followed: whoever may place one here could have another file read, or dated anew.
# Nor is a pipe waited for.
READ = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)

# What the file system says by its number, and a remedy where the error has none of its own.
Answer = tuple[type[StoreError], Promise | None]
FULL: Answer = StoreFullError, None
READ_ONLY: Answer = (
    StoreReadOnlyError,
    _("Mount it writable, or name another folder in SESSION_FILE_PATH."),
)
NO_FOLDER: Answer = (
    StoreMisconfiguredError,
    _("Create or mount this folder, or name another in SESSION_FILE_PATH."),
)
NO_RIGHT: Answer = (
    StoreMisconfiguredError,
    _(
        "Give the user who runs this process write access, or name another folder in "
        "SESSION_FILE_PATH."
    ),
)
ANSWERS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.ENOENT: NO_FOLDER,
    errno.ENOTDIR: NO_FOLDER,
    errno.EACCES: NO_RIGHT,
    errno.EPERM: NO_RIGHT,
}


class SessionFile(NamedTuple):
    payload: bytes
    modified: int  # nanoseconds since 1970


def lock_of(session_key: str) -> int:
    """Which of the locks is that session's."""
    return zlib.crc32(session_key.encode()) % LOCKS


def is_name(path: str) -> bool:
    """Whether a file can have that name."""
    return len(os.path.basename(path).encode()) <= NAME_MAX


def contents(path: str) -> SessionFile:
    """Raises FileNotFoundError for a link as well, and for a pipe or the like."""
    try:
        number = os.open(path, READ)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError from error
        raise
    try:
        status = os.fstat(number)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise FileNotFoundError
        payload = os.read(number, status.st_size + 1)
        # One step for what is whole in one: a file here is never changed, only replaced.
        while len(payload) < status.st_size and (rest := os.read(number, status.st_size)):
            payload += rest
        return SessionFile(payload, status.st_mtime_ns)
    finally:
        os.close(number)


def write_all(number: int, payload: bytes) -> None:
    left = memoryview(payload)
    while left:
        left = left[os.write(number, left) :]


@dataclass(frozen=True)
class SessionFolder:
    """Files whose names begin with that prefix, the session key after it.

    Every method raises StoreError when the file system refuses.
    """

    path: Path
    prefix: str

    # Where the file of a session is, if not there.
    file_of: Callable[[str], str] | None = None

    def read(self, session_key: str) -> SessionFile | None:
        """The file; None where there is none."""
        try:
            with self.store_call():
                return contents(self._file(session_key))
        except FileNotFoundError:
            return None

    def modified(self, session_key: str) -> int | None:
        """Its modification time, without opening it; None for a folder, which nobody removes."""
        try:
            with self.store_call():
                status = os.lstat(self._file(session_key))
        except FileNotFoundError:
            return None
        return None if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns

    def write(self, session_key: str, file: SessionFile) -> None:
        """All of it or nothing: where this fails, what was there before stays."""
        path = self._file(session_key)
        with self.store_call():
            folder, name = os.path.split(path)
            number, unfinished = tempfile.mkstemp(
                dir=folder, prefix=f"{name[: NAME_MAX - ROOM]}{UNFINISHED}"
            )
            try:
                try:
                    write_all(number, file.payload)
                    os.utime(unfinished, ns=(file.modified, file.modified))
                finally:
                    os.close(number)
                os.replace(unfinished, path)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(unfinished)
                raise

    def touch(self, session_key: str, modified: int) -> None:
        with self.store_call():
            os.utime(self._file(session_key), ns=(modified, modified))

    def remove(self, session_key: str) -> None:
        with self.store_call(), suppress(FileNotFoundError):
            os.unlink(self._file(session_key))

    @contextmanager
    def locked(self, session_key: str) -> Iterator[None]:
        """Nobody else changes that session's file meanwhile, nor another with the same lock."""
        with self.store_call():
            lock = self._open_lock(session_key)
        try:
            with self.store_call():
                locks.lock(lock, locks.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def session_keys(self) -> Iterator[str]:
        """What follows the prefix in the name of each file, in no order."""
        with self.store_call(), os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith(self.prefix):
                    yield entry.name.removeprefix(self.prefix)

    def entries(self, start: int) -> Iterator[tuple[int, str]]:
        """The same from an offset in the folder on, 0 being its beginning.

        With each the offset at which the system goes on after the block of names that
        this one came in. It stays valid whatever files come and go.
        """
        with self.store_call():
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.lseek(folder, start, os.SEEK_SET)
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name.startswith(self.prefix):
                            end = os.lseek(folder, 0, os.SEEK_CUR)
                            yield end, entry.name.removeprefix(self.prefix)
            finally:
                os.close(folder)

    def blocks(self, start: int) -> Iterator[tuple[int, int, list[str]]]:
        """From that offset on, block by block: where it begins and ends, and its names."""
        for end, block in groupby(self.entries(start), itemgetter(0)):
            yield start, end, [key for _end, key in block]
            start = end

    def block(self, start: int, end: int) -> list[str]:
        """What lies between those offsets now, which one block may not be any more."""
        beyond = next(self.entries(end), (end, None))[1]
        return [key for _, key in takewhile(lambda entry: entry[1] != beyond, self.entries(start))]

    def remove_interrupted(self, name: str) -> None:
        """Remove what a write left behind that never came to its end."""
        if UNFINISHED not in name:
            return
        with self.store_call(), suppress(FileNotFoundError):
            if os.lstat(f"{self._start}{name}").st_mtime < time.time() - INTERRUPTED:
                os.unlink(f"{self._start}{name}")

    @property
    def is_writable(self) -> bool:
        by_whom = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
        return os.access(self.path, os.W_OK, **by_whom)

    @property
    def place(self) -> Promise:
        return format_lazy(_("folder {path}"), path=self.path)

    def _file(self, session_key: str) -> str:
        return self.file_of(session_key) if self.file_of else f"{self._start}{session_key}"

    @cached_property
    def _start(self) -> str:
        return os.path.join(self.path, self.prefix)

    def _open_lock(self, session_key: str) -> int:
        """The descriptor of a lock file that whoever else writes here can open too.

        Those that root makes, in clearing say, are the folder's owner's; where anybody
        may write, as in the system's temporary folder, each user has files of their own.
        """
        name = LOCK_NAME.format(prefix=self.prefix, number=lock_of(session_key))
        folder = os.stat(self.path)
        shared = folder.st_mode & stat.S_IWOTH
        has_users = hasattr(os, "geteuid")
        if shared and has_users:
            name += f".{os.geteuid()}"
        path = os.path.join(self.path, name)
        flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            lock = os.open(path, flags | os.O_CREAT, 0o600)
        if not shared and has_users and os.geteuid() == 0:
            os.fchown(lock, folder.st_uid, folder.st_gid)
        return lock

    def store_call(self) -> StoreCall:
        """A step in the file system stands inside this.

        A file that is not there is no error, unless the folder is not there either.
        """
        return StoreCall(self._failed)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, FileNotFoundError) and self.path.is_dir():
            return
        if isinstance(error, OSError):
            raise self.refused(error) from error

    def refused(self, error: OSError) -> StoreError:
        kind, remedy = ANSWERS.get(error.errno or 0, (StoreUnavailableError, None))
        # Not the error's own text: that names the file, and so the session key.
        return kind(self.place, error.strerror or type(error).__name__, remedy)
