"""One session, carried from a store to another."""

import logging
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DBStore
from django.db import router, transaction
from django.utils import timezone

from cookieproj.engines.base import Engine
from cookieproj.engines.caches.other import GRAVE_SECONDS
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.language import in_english
from cookieproj.engines.merge import Data
from cookieproj.engines.stored import Stored

from .copies import is_copy, unmarked

logger = logging.getLogger("django.contrib.sessions")

# Under the key of a session that has ended: who read it before that cannot store it again.
ENDED: Data = {"_session_ended": True}


def has_ended(stored: Stored) -> bool:
    return stored.data == ENDED


def former_of(former: Engine) -> Stored | None:
    """What the old store holds of it that is worth carrying, with its expiry."""
    found = former._inspect() if former.session_key else None
    return found if found and found.data and not has_ended(found) else None


def is_own(stored: Stored | None, old: Any) -> bool:
    """Whether the new store holds a session, and not only what the old one's may replace.

    That is a copy of it, or what the new one cannot read: in one Redis, with another
    serializer, that may be the old session itself.
    """
    return stored is not None and stored.data is not None and not is_copy(stored, old)


def carry(
    old: type[Engine], new: type[Engine], key: str, *, is_taken: bool = False
) -> Stored | None:
    """Move the session with that key: what the new store holds now, None if neither has it.

    What is put into the new store comes first and what is taken from the old one after,
    so that it is always in one of them. ``is_taken`` tells that something is under the
    key in the new store already.
    """
    former, session = old(key), new(key)
    found = former_of(former)
    if found is None or is_copy(found, new):
        # Another request may have carried it over since this one has looked.
        there = session._read()
        if there and is_copy(there, old):
            session._take(there)
        return there if is_own(there, old) else None
    there = session._read() if is_taken else None
    try:
        held = arrive(session, found, there, old)
    except (TypeError, ValueError) as error:
        # A pickled session may hold what JSON cannot.
        logger.error("A session cannot be kept in %s: %s", in_english(session._place()), error)
        return None
    if held is None:
        # Somebody was quicker: to carry it over, or to end it.
        return session._read()
    if in_transaction(session):
        take_later(former, session, found, held)
        return held
    try:
        return follow(former, session, found, held)
    except StoreError as error:
        # Whether that still holds it nobody can tell; ``movesessions`` takes what has stayed.
        logger.warning("A session that was moved may be left behind as well. %s", in_english(error))
        return held


def arrive(session: Engine, found: Stored, there: Stored | None, old: Any) -> Stored | None:
    """Put it into the new store, in the place of what may be replaced; None for a session."""
    data = unmarked(found.data or {})
    if there is None:
        held = put(session, found, data)
        there = None if held else session._read()
        if there is None:
            return held
    return None if is_own(there, old) else put(session, found, data, there)


def put(session: Engine, found: Stored, data: Data, base: Stored | None = None) -> Stored | None:
    """Store the data until what was found would have expired; None if somebody was quicker."""
    session._until = found.expires
    # Where no expiry is told it is that of the data, which Django asks the session for.
    session._session_cache = data
    if base:
        return session._swap(base, data)
    for _ in range(2):
        try:
            return session._insert(data)
        except CreateError:
            if session._read():
                break
            session._make_room()
    return None


def in_transaction(session: Engine) -> bool:
    """Whether what it has stored may yet be rolled back."""
    if not isinstance(session, DBStore):
        return False
    return not transaction.get_autocommit(router.db_for_write(session.model))


def take_later(former: Engine, session: Any, found: Stored, held: Stored) -> None:
    """Once the row is there for everybody: until then the session is where it was."""
    if hasattr(session, "_bury_copy"):
        session._bury_copy(session.cache_key)
    take = partial(follow, former, session, found, held)
    transaction.on_commit(take, using=router.db_for_write(session.model), robust=True)


def follow(former: Engine, session: Engine, found: Stored, held: Stored) -> Stored | None:
    """Take from the old store what was put into the new; what changed there since follows."""
    session._base = held
    while not former._take(found):
        newer = former_of(former)
        if newer is None:
            break
        session._until = newer.expires
        session._session_cache = unmarked(newer.decode() or {})
        try:
            session.save()
        except UpdateError:
            return None
        found = newer
    return session._base


def end(old: Any, new: type[Engine], key: str) -> None:
    """End the session in both stores, for requests too that have read it in the old one."""
    session = new(key)
    # First of all, so that it ends in none of them where this one fails, or refuses the event loop.
    if session.session_key:
        session._read()
    end_former(old, key)
    session.delete(key)
    if session.session_key:
        try:
            bury(session)
        except StoreError as error:
            # It has ended in both: a tombstone needs room, and a deletion none.
            logger.warning(
                "A late request may store a session under its old key. %s", in_english(error)
            )


def end_former(old: Any, key: str) -> None:
    former = old(key)
    if former.session_key:
        former.delete()


def bury(session: Engine) -> None:
    session._until = timezone.now() + timedelta(seconds=GRAVE_SECONDS)
    while True:
        with suppress(CreateError):
            session._insert(ENDED)
            return
        stored = session._read()
        if stored is None:
            session._make_room()
        elif session._swap(stored, ENDED):
            return
