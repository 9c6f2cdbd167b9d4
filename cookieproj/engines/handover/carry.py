"""One session, carried from a store to another."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.utils import timezone

from cookieproj.engines.base import Engine
from cookieproj.engines.merge import Data
from cookieproj.engines.stored import Stored

logger = logging.getLogger("django.contrib.sessions")

# In a session that was copied ahead of time: the one it was made from counts, while there is one.
COPY = "_session_copy"

# Under the key of a session that has ended: who read it before that cannot store it again.
ENDED: Data = {"_session_ended": True}

# Seconds that it stays there: longer than any request lasts.
LATE = 300


def is_copy(stored: Stored) -> bool:
    return COPY in (stored.data or {})


def has_ended(stored: Stored) -> bool:
    return stored.data == ENDED


def carry(
    old: type[Engine], new: type[Engine], key: str, *, is_copied: bool = False
) -> Stored | None:
    """Move the session with that key: what the new store holds now, None if neither has it.

    What is put into the new store comes first and what is taken from the old one after,
    so that it is always in one of them.
    """
    former, session = old(key), new(key)
    copy = session._read() if is_copied else None
    if copy and not is_copy(copy):
        return copy
    found = former._inspect() if former.session_key else None
    if found is None or not found.data:
        if copy:
            session._take(copy)
        # Another request may have carried it over since this one has looked.
        now = session._read()
        return None if now and is_copy(now) else now
    try:
        held = put(session, found, copy)
        if held is None:
            return session._read()
        return follow(former, session, found, held)
    except (TypeError, ValueError) as error:
        # A pickled session may hold what JSON cannot.
        logger.error("A session cannot be kept in %s: %s", session._place(), error)
        return None


def put(session: Engine, found: Stored, base: Stored | None = None) -> Stored | None:
    """Store what was found, until it would have expired there; None if somebody was quicker."""
    session._until = found.expires
    # Where no expiry is told it is that of the data, which Django asks the session for.
    session._session_cache = data = found.data or {}
    try:
        return session._swap(base, data) if base else session._insert(data)
    except CreateError:
        return None


def follow(former: Engine, session: Engine, found: Stored, held: Stored) -> Stored | None:
    """Take from the old store what was put into the new; what changed there since follows."""
    session._base = held
    while not former._take(found):
        newer = former._inspect()
        if newer is None or not newer.data:
            break
        session._until = newer.expires
        session._session_cache = newer.decode() or {}
        try:
            session.save()
        except UpdateError:
            return None
        found = newer
    return session._base


def end(old: Any, new: type[Engine], key: str) -> None:
    """End the session in both stores, for requests too that have read it in the old one."""
    former = old(key)
    if former.session_key:
        former.delete()
    session = new(key)
    session.delete(key)
    if session.session_key:
        bury(session)


def bury(session: Engine) -> None:
    session._until = soon()
    while True:
        with suppress(CreateError):
            session._insert(ENDED)
            return
        stored = session._read()
        # A row that has expired keeps its place until it is cleared.
        if stored is None or session._swap(stored, ENDED):
            return


def soon() -> datetime:
    return timezone.now() + timedelta(seconds=LATE)
