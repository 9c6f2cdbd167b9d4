"""A session as its store has it: an entry, a listed session, a page of them, a location."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.utils.functional import Promise

from .constants import (
    COPIED_TOMBSTONE,
    MOVED_TOMBSTONE,
    RENEWAL_ENDED,
    RENEWED_TO,
    SESSION_TOMBSTONE,
)
from .merge import Data

ENDED = (SESSION_TOMBSTONE, COPIED_TOMBSTONE)

# The names in the data of each other tombstone.
TOMBSTONES = ({MOVED_TOMBSTONE}, {RENEWED_TO}, {RENEWED_TO, RENEWAL_ENDED})


# Not frozen, which would make it four times slower to create, at each step of a session.
@dataclass(eq=False)
class Entry:
    """What a store had stored when it was read. A save compares against it.

    ``token`` equals only the token of the same stored form. ``content`` returns the stored data,
    newly decoded at each call, even of a tombstone; None if it cannot be decoded. ``expires`` is
    None if the read did not return it. ``is_cache_tombstone`` marks the tombstone that a cache
    store itself has written, as opposed to an unreadable entry. ``is_copy`` marks a cache copy,
    which may be older than the row, so nothing is compared with it. ``copy`` is the entry of the
    cache in front of the store.
    """

    token: Any
    content: Callable[[], Data | None]
    expires: datetime | None = None
    is_cache_tombstone: bool = False
    is_copy: bool = False
    copy: Entry | None = None

    def decode(self) -> Data | None:
        """Return the data, newly decoded at each call; None if the entry is no session."""
        content = self.content()
        is_tombstone = content in ENDED or (content is not None and content.keys() in TOMBSTONES)
        return None if is_tombstone else content

    @cached_property
    def data(self) -> Data | None:
        """The data, decoded once, so it is read-only; None if the entry is no session."""
        return self.decode()

    @cached_property
    def is_tombstone(self) -> bool:
        """Whether it is a tombstone that a handover or a renewal of the key has stored."""
        return self.data is None and self.content() is not None

    @property
    def renewed_to(self) -> str | None:
        """The session's new key, if the entry is what was stored under its previous one."""
        return (self.content() or {}).get(RENEWED_TO) if self.is_tombstone else None

    @property
    def renewal_ended(self) -> int | None:
        """Since when the browser has the new key, in seconds since 1970, if the entry says so."""
        return (self.content() or {}).get(RENEWAL_ENDED) if self.is_tombstone else None

    @cached_property
    def has_ended(self) -> bool:
        """Whether it is the tombstone of a session that has ended, not of a moved one."""
        return self.is_tombstone and self.content() in ENDED

    @property
    def was_copied(self) -> bool:
        """Whether it is the tombstone of a session that has ended by SESSION_END_COPIED."""
        return self.is_tombstone and self.content() == COPIED_TOMBSTONE


@dataclass(frozen=True, eq=False)
class ListedSession:
    """One of a store's sessions, as ``walk`` yields it.

    The key is a password and the payload is somebody's data, so neither is printed or logged with
    it.
    """

    key: str = field(repr=False)
    payload: bytes = field(repr=False)
    stored: Entry = field(repr=False)

    @property
    def expires(self) -> datetime | None:
        return self.stored.expires

    @property
    def size(self) -> int:
        """The size of the stored payload in bytes, without the key."""
        return len(self.payload)

    @property
    def data(self) -> Data:
        return self.stored.data or {}

    @property
    def user_id(self) -> str | None:
        """The primary key, as text, of the user who is signed in with it; None if nobody is."""
        user_id = self.data.get(SESSION_KEY)
        return None if user_id is None else str(user_id)


@dataclass(frozen=True)
class Page:
    """A part of a store's sessions.

    ``next`` is the position at which the next page begins, empty after the last page. It may
    contain a session key, so it is never shown.
    """

    sessions: list[ListedSession]
    next: str = field(repr=False)


@dataclass(frozen=True)
class Location:
    """A place where a session is stored.

    ``place`` (table, server, folder) can be shown to anybody. ``name`` is the session's name there
    and ``payload`` its exact bytes: both are secret. ``expires`` is the moment at which the place
    forgets it, None if the place does not reveal that.
    """

    place: str | Promise
    name: str = field(repr=False)
    payload: bytes = field(repr=False)
    expires: datetime | None
