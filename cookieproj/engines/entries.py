"""A session as its store holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.utils.functional import Promise

from .constants import MOVED_TOMBSTONE, SESSION_TOMBSTONE
from .merge import Data


# Not frozen: that would take four times as long to make, at each step of a session.
@dataclass(eq=False)
class Entry:
    """What a store held when it was read, and what a save compares against.

    ``token`` is equal only to that of the same stored form; ``content`` gives what is there anew
    at each call, a tombstone too, or None for what cannot be read. ``expires`` is None where
    reading did not tell it. ``is_cache_tombstone`` tells what a cache itself keeps for a while in
    the place of a session from what cannot be read. What ``is_copy`` may be behind the store:
    nothing is compared with it. ``copy`` is what a cache in front of the store held beside this.
    """

    token: Any
    content: Callable[[], Data | None]
    expires: datetime | None = None
    is_cache_tombstone: bool = False
    is_copy: bool = False
    copy: Entry | None = None

    def decode(self) -> Data | None:
        """The data anew at each call; None where nothing there is a session."""
        content = self.content()
        is_tombstone = content == SESSION_TOMBSTONE or (
            content is not None and content.keys() == {MOVED_TOMBSTONE}
        )
        return None if is_tombstone else content

    @cached_property
    def data(self) -> Data | None:
        """The data once and for all, so to be read only."""
        return self.decode()

    @cached_property
    def is_tombstone(self) -> bool:
        return self.data is None and self.content() is not None

    @cached_property
    def has_ended(self) -> bool:
        return self.is_tombstone and self.content() == SESSION_TOMBSTONE


@dataclass(frozen=True, eq=False)
class ListedSession:
    """One of a store's sessions, as ``walk`` finds it.

    The key is a password, and the payload holds what the site keeps about somebody:
    neither shows when this is printed or logged.
    """

    key: str = field(repr=False)
    payload: bytes = field(repr=False)
    stored: Entry = field(repr=False)

    @property
    def expires(self) -> datetime | None:
        return self.stored.expires

    @property
    def size(self) -> int:
        """Bytes that the store holds for it, less its key."""
        return len(self.payload)

    @property
    def data(self) -> Data:
        return self.stored.data or {}

    @property
    def user_id(self) -> str | None:
        """The primary key of the user who is signed in with it, as text; None for nobody."""
        user_id = self.data.get(SESSION_KEY)
        return None if user_id is None else str(user_id)


@dataclass(frozen=True)
class Page:
    """A part of a store's sessions.

    ``next`` is the position at which the page after it begins, empty for none. It may
    hold a session key, so nobody gets to see it.
    """

    sessions: list[ListedSession]
    next: str = field(repr=False)


@dataclass(frozen=True)
class Location:
    """Where a session lives.

    ``place`` can be shown to anybody (table, server, folder). ``name`` is what it is
    called there and ``payload`` the exact bytes: both hold secrets. ``expires`` is
    when it is forgotten there, None where the place does not tell.
    """

    place: str | Promise
    name: str = field(repr=False)
    payload: bytes = field(repr=False)
    expires: datetime | None
