"""The copy mark: what tells a copy of a session, made ahead of a switch, from a session.

While the old store has the original, the original counts. The mark is a digest in the copy's own
data, which only the site writes. A user who managed to mark their own session would only lose it.
So the mark needs no secret, and it survives a change of SECRET_KEY.
"""

from cookieproj.engines.constants import COPY_MARK
from cookieproj.engines.entries import Entry
from cookieproj.engines.merge import Data
from cookieproj.engines.store import Store

from . import legacy_marks
from .data_digest import digest

# Hexadecimal digits.
COPY_MARK_LENGTH = 32


def mark_copy(data: Data, old: Store) -> Data:
    """Return the data with the mark of a copy from ``old``.

    ``data`` must be in the form in which the new store returns it (``Store.form``). Otherwise the
    mark does not match what is read later: JSON, for example, returns a tuple as a list.
    """
    bare = without_copy_mark(data)
    return bare | {COPY_MARK: copy_mark(bare, old)}


def without_copy_mark(data: Data) -> Data:
    return {key: value for key, value in data.items() if key != COPY_MARK}


def is_copy(entry: Entry, old: Store) -> bool:
    """Whether the entry is an unchanged copy from ``old``. A copy that changed is a session."""
    data = entry.data or {}
    mark = data.get(COPY_MARK)
    if not isinstance(mark, str):
        return False
    bare = without_copy_mark(data)
    return mark == copy_mark(bare, old) or legacy_marks.is_legacy_copy_mark(mark, bare, old)


def copy_mark(data: Data, old: Store) -> str:
    return digest([old.id, data])[:COPY_MARK_LENGTH]
