"""Copies of sessions that were made ahead of time: the original counts, while there is one.

What marks a copy stands in its own data, which the site alone writes, and whoever had one of their
own sessions taken for a copy would only lose it. So it needs no secret, and stays what it is when
SECRET_KEY becomes another.
"""

from cookieproj.engines.constants import COPY_MARK
from cookieproj.engines.entries import Entry
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store

from . import marks_of_old_versions
from .data_digest import digest

# Hexadecimal digits.
LENGTH = 32


def mark_copy(data: Data, old: Store) -> Data:
    """The data as a copy of what that store holds.

    It has to be as the new store gives it back: of what that stores as something else, as JSON
    does a tuple, the mark would not hold.
    """
    bare = without_copy_mark(data)
    return bare | {COPY_MARK: copy_mark(bare, old)}


def without_copy_mark(data: Data) -> Data:
    return {key: value for key, value in data.items() if key != COPY_MARK}


def is_copy(stored: Entry, old: Store) -> bool:
    """Whether it is one from there, as it was made: what has been changed is a session itself."""
    found = (stored.data or {}).get(COPY_MARK)
    if not isinstance(found, str):
        return False
    bare = without_copy_mark(stored.data or {})
    return found == copy_mark(bare, old) or marks_of_old_versions.is_old_copy_mark(found, bare, old)


def copy_mark(data: Data, old: Store) -> str:
    return digest([old.id, data])[:LENGTH]
