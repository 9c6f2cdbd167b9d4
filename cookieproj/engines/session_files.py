"""The folder of session files.

A file is never changed, only replaced as a whole, so reading takes no lock. A writer holds one of a
few lock files, chosen by the session's key. Lock files are never deleted, as another process may be
waiting for one.
"""

import errno
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, takewhile
from operator import itemgetter
from pathlib import Path

from django.core.files import locks
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .constants import LOCK_COUNT, LOCK_NAME, UNFINISHED_INFIX
from .exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from .file_io import FILE_FLAGS, SessionFile, read_file, replace_file
from .round_trips import StoreCall

# Seconds after which an unfinished write counts as interrupted.
INTERRUPTED_AFTER = 3600

LOCK_FLAGS = os.O_RDWR | FILE_FLAGS

# The StoreError that an errno means, with a remedy if the error class has none.
Meaning = tuple[type[StoreError], Promise | None]
FULL: Meaning = StoreFullError, None
DISK_FAILED: Meaning = StoreUnavailableError, _("Check the disk, or the mount of this folder.")
READ_ONLY: Meaning = (
    StoreReadOnlyError,
    _("Mount it writable, or name another folder in SESSION_FILE_PATH."),
)
NO_FOLDER: Meaning = (
    StoreMisconfiguredError,
    _("Create or mount this folder, or name another in SESSION_FILE_PATH."),
)
NO_RIGHT: Meaning = (
    StoreMisconfiguredError,
    _(
        "Give the user who runs this process write access, or name another folder in "
        "SESSION_FILE_PATH."
    ),
)
MEANINGS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.ENOENT: NO_FOLDER,
    errno.ENOTDIR: NO_FOLDER,
    errno.EACCES: NO_RIGHT,
    errno.EPERM: NO_RIGHT,
}


def lock_number(session_key: str) -> int:
    """Return the number of the session's lock file."""
    return zlib.crc32(session_key.encode()) % LOCK_COUNT


@dataclass(frozen=True)
class SessionFolder:
    """The session files of a folder: their names are the prefix, then the session key.

    Every method raises StoreError if the file system refuses.
    """

    path: Path
    prefix: str

    # A subclass's function from a session key to the path of its file, if it overrides that.
    file_of: Callable[[str], str] | None = None

    def read(self, session_key: str) -> SessionFile | None:
        """Return the session's file; None if there is none."""
        try:
            with self.store_call():
                return read_file(self._file(session_key))
        except FileNotFoundError:
            return None

    def modified(self, session_key: str) -> int | None:
        """Return the file's modification time (ns since 1970) without opening it.

        None if there is no file, or if it is a folder, which is never deleted.
        """
        try:
            with self.store_call():
                status = os.lstat(self._file(session_key))
        except FileNotFoundError:
            return None
        return None if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns

    def write(self, session_key: str, file: SessionFile) -> None:
        """Replace the file as a whole. If this fails, the old one stays."""
        path = self._file(session_key)
        with self.store_call():
            replace_file(path, file)

    def touch(self, session_key: str, modified: int) -> None:
        with self.store_call():
            os.utime(self._file(session_key), ns=(modified, modified))

    def remove(self, session_key: str) -> None:
        with self.store_call(), suppress(FileNotFoundError):
            os.unlink(self._file(session_key))

    @contextmanager
    def locked(self, session_key: str) -> Iterator[None]:
        """Hold the session's lock within the block. Some other sessions have the same lock."""
        with self.store_call():
            lock = self._open_lock(session_key)
        try:
            with self.store_call():
                locks.lock(lock, locks.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def session_keys(self) -> Iterator[str]:
        """Yield what follows the prefix in the name of each file, in no order."""
        with self.store_call(), os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith(self.prefix):
                    yield entry.name.removeprefix(self.prefix)

    def entries(self, start: int) -> Iterator[tuple[int, str]]:
        """Yield the session keys from that offset of the folder on; 0 is its beginning.

        Each comes with the offset at which the system continues after the block of names that it
        was read in. That offset stays valid while files are added and deleted.
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
        """Yield the blocks from that offset on: start, end and session keys of each."""
        for end, block in groupby(self.entries(start), itemgetter(0)):
            yield start, end, [key for _end, key in block]
            start = end

    def block(self, start: int, end: int) -> list[str]:
        """Return the session keys between those offsets now, which may be several blocks by now."""
        following = next(self.entries(end), (end, None))[1]
        return [
            key for _, key in takewhile(lambda entry: entry[1] != following, self.entries(start))
        ]

    def remove_interrupted(self, name: str) -> None:
        """Delete that file if it is a leftover of an interrupted write."""
        if UNFINISHED_INFIX not in name:
            return
        with self.store_call(), suppress(FileNotFoundError):
            if os.lstat(f"{self._path_prefix}{name}").st_mtime < time.time() - INTERRUPTED_AFTER:
                os.unlink(f"{self._path_prefix}{name}")

    @property
    def is_writable(self) -> bool:
        options = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
        return os.access(self.path, os.W_OK, **options)

    @property
    def place(self) -> Promise:
        return format_lazy(_("folder {path}"), path=self.path)

    def _file(self, session_key: str) -> str:
        return self.file_of(session_key) if self.file_of else f"{self._path_prefix}{session_key}"

    @cached_property
    def _path_prefix(self) -> str:
        return os.path.join(self.path, self.prefix)

    @cached_property
    def _lock_paths(self) -> list[str]:
        names = (
            LOCK_NAME.format(prefix=self.prefix, number=number) for number in range(LOCK_COUNT)
        )
        return [os.path.join(self.path, name) for name in names]

    def _open_lock(self, session_key: str) -> int:
        """Return the descriptor of the session's lock file, which all writers can open.

        A lock file that root creates, by ``clearsessions`` for instance, is given to the folder's
        owner. In a folder where everybody may write, such as the system's temporary folder, each
        user has lock files of their own.
        """
        path = self._lock_paths[lock_number(session_key)]
        folder = os.stat(self.path)
        is_shared = folder.st_mode & stat.S_IWOTH
        has_users = hasattr(os, "geteuid")
        if is_shared and has_users:
            path += f".{os.geteuid()}"
        try:
            return os.open(path, LOCK_FLAGS)
        except FileNotFoundError:
            lock = os.open(path, LOCK_FLAGS | os.O_CREAT, 0o600)
        if not is_shared and has_users and os.geteuid() == 0:
            os.fchown(lock, folder.st_uid, folder.st_gid)
        return lock

    def store_call(self) -> StoreCall:
        """Return the context manager for one step in the file system.

        A missing file is no error, unless the folder is missing too.
        """
        return StoreCall(self._raise_store_error)

    def _raise_store_error(self, error: BaseException) -> None:
        if isinstance(error, FileNotFoundError) and self.path.is_dir():
            return
        if isinstance(error, OSError):
            raise self.store_error(error) from error

    def store_error(self, error: OSError) -> StoreError:
        """Return the StoreError that this error means."""
        error_class, remedy = MEANINGS.get(error.errno or 0, DISK_FAILED)
        # The error's own text is left out: it has the file's name, and so the session key.
        return error_class(self.place, error.strerror or type(error).__name__, remedy)
