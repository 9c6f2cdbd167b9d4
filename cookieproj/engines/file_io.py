"""Reads and replaces single files, without following links."""

import errno
import os
import secrets
import stat
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from .constants import UNFINISHED_INFIX

# Bytes: the longest file name, and what a write adds to the name of its temporary file.
NAME_MAX = 255
TEMPORARY_SUFFIX_MAX = 16

# The ends of the names of temporary files. They start at random and go up, so that a number is free
# unless another process happens to use it.
TEMPORARY_NUMBERS = count(secrets.randbelow(10**10))

# Symbolic links are not followed: a user who may create one here could have another file read, or
# its time changed. Opening a pipe does not wait.
FILE_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
READ_FLAGS = os.O_RDONLY | FILE_FLAGS | getattr(os, "O_NONBLOCK", 0)
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE_FLAGS


class SessionFile(NamedTuple):
    payload: bytes
    modified: int  # nanoseconds since 1970


def fits_file_name(path: str) -> bool:
    """Whether the file name of that path is short enough."""
    return len(os.path.basename(path).encode()) <= NAME_MAX


def read_file(path: str) -> SessionFile:
    """Return the file at that path. Raises FileNotFoundError for a link or a pipe as well."""
    try:
        descriptor = os.open(path, READ_FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError from error
        raise
    try:
        status = os.fstat(descriptor)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise FileNotFoundError
        payload = os.read(descriptor, status.st_size + 1)
        # Usually one read. A file here is never changed, only replaced, so its size is final.
        while len(payload) < status.st_size and (rest := os.read(descriptor, status.st_size)):
            payload += rest
        return SessionFile(payload, status.st_mtime_ns)
    finally:
        os.close(descriptor)


def create_temporary(path: str) -> tuple[int, str]:
    """Create a private file beside that one, and return its descriptor and its path."""
    excess = len(os.path.basename(path)) - (NAME_MAX - TEMPORARY_SUFFIX_MAX)
    beginning = path[:-excess] if excess > 0 else path
    while True:
        temporary = f"{beginning}{UNFINISHED_INFIX}{next(TEMPORARY_NUMBERS)}"
        with suppress(FileExistsError):
            return os.open(temporary, CREATE_FLAGS, 0o600), temporary


def write_all(descriptor: int, payload: bytes) -> None:
    """Write all of the payload, in as many steps as the system needs."""
    rest = memoryview(payload)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def replace_file(path: str, file: SessionFile) -> None:
    """Replace the file as a whole. If this fails, the old one stays."""
    descriptor, temporary = create_temporary(path)
    try:
        try:
            write_all(descriptor, file.payload)
            target = descriptor if os.utime in os.supports_fd else temporary
            os.utime(target, ns=(file.modified, file.modified))
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
