"""One session, carried from a store to another."""

import logging
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.db import SessionStore as DBStore
from django.db import router, transaction
from django.utils import timezone
from django.utils.asyncio import async_unsafe

from cookieproj.engines.base import Engine
from cookieproj.engines.caches.other import GRAVE_SECONDS
from cookieproj.engines.constants import ENDED, EXPIRY, MOVED, REMOVED
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.language import in_english
from cookieproj.engines.merge import Data, merge
from cookieproj.engines.stored import Stored

from .copies import is_copy, unmarked

logger = logging.getLogger("django.contrib.sessions")

# So often a session may go to and fro between the stores while one request looks for it.
ROUNDS = 10


def former_of(former: Engine) -> Stored | None:
    """What the old store holds of it that is worth carrying, with its expiry."""
    found = former._inspect() if former.session_key else None
    return found if found and found.data else None


def is_own(stored: Stored | None, old: Any) -> bool:
    """Whether the new store holds a session, or the tombstone of one.

    Else the old one's may replace it: a copy of that, or what the new one cannot read. In one
    Redis, with another serializer, that may be the old session itself.
    """
    if stored is None or stored.data is None:
        return stored is not None and stored.has_ended
    return not is_copy(stored, old)


def carry(
    old: type[Engine],
    new: type[Engine],
    key: str,
    *,
    is_taken: bool = False,
    rounds: int = ROUNDS,
) -> Stored | None:
    """Move the session with that key: what the new store holds now, None if neither has it.

    What is put into the new store comes first and what is taken from the old one after,
    so that it is always in one of them. ``is_taken`` tells that something is under the
    key in the new store already.
    """
    former, session = old(key), new(key)
    found = former._inspect() if former.session_key else None
    if found and found.has_ended:
        # What another request may have put into the new store is about to be removed again.
        return None
    if found is None or not found.data or is_copy(found, new):
        # Another request may have carried it over since this one has looked.
        there = session._read()
        if there and is_copy(there, old):
            session._take(there)
        return there if is_own(there, old) else None
    there = session._read() if is_taken else None
    try:
        held = arrive(session, found, there, old)
    except (TypeError, ValueError) as error:
        say_it_stays(session, error)
        return None
    # Where that did not arrive, somebody was quicker: to carry it over, or to end it.
    there = taken(former, session, found, held) if held else session._read()
    if is_own(there, old) or rounds == 1:
        return there
    # It has ended, or has gone back meanwhile.
    return carry(old, new, key, is_taken=there is not None, rounds=rounds - 1)


def taken(former: Engine, session: Engine, found: Stored, held: Stored) -> Stored | None:
    """Take from the old store what the new one has now; what that holds then."""
    if in_transaction(session):
        take_later(former, session, found, held)
        return held
    try:
        return follow(former, session, found, held)
    except (TypeError, ValueError) as error:
        say_it_stays(session, error)
        return session._base
    except StoreError as error:
        # Whether that still holds it nobody can tell; ``movesessions`` takes what has stayed.
        logger.warning("A session that was moved may be left behind as well. %s", in_english(error))
        return held


def say_it_stays(session: Engine, error: Exception) -> None:
    """A pickled session may hold what JSON cannot."""
    logger.error("A session cannot be kept in %s: %s", in_english(session._place()), error)


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
    """Take from the old store what was put into the new; what changed there since follows.

    Gives what the new store holds then. Where the session has ended in the old store
    meanwhile, what was put into the new one is removed again: None, or a tombstone. Raises what
    the new store's serializer raises for what the session has become in the old one.
    """
    session._base = held
    while not former._take(found):
        newer = former._inspect()
        if newer and newer.data is None and not newer.is_tombstone:
            # In one Redis, with another serializer, it is what was put into the new store.
            break
        latest = newer and what_was_moved(newer, found)
        if latest is None or not latest.data:
            return undo(session)
        if not catch_up(session, found, latest):
            return None
        if latest is not newer:
            break
        found = latest
    return session._base


def what_was_moved(newer: Stored, found: Stored) -> Stored:
    """What ``movesessions`` took from there since it was found; as it is, if it did not."""
    moved = ((newer.is_tombstone and newer.content()) or {}).get(MOVED)
    return Stored(newer.token, lambda: moved, found.expires) if moved else newer


def catch_up(session: Engine, found: Stored, newer: Stored) -> bool:
    """Apply to what the new store holds what changed in the old one; False where it has ended."""
    before, after = (session._form(unmarked(each.data or {})) for each in (found, newer))
    session._until = newer.expires
    there = session._base
    while there and there.data is not None:
        session._session_cache = merge(before, there.data, after)
        if written := session._put(there, session._session_cache):
            session._base = written
            return True
        there = session._read()
    return False


def undo(session: Engine) -> Stored | None:
    """Remove what was put there, and what others have made of it since."""
    while there := session._read():
        if there.has_ended:
            return there
        if session._take(there):
            break
    return None


def remove_left(former: Engine, session: Engine, found: Stored) -> None:
    """Take from the old store what the new one has had all along.

    A tombstone takes its place: who has put it into the new one may be about to take it, and
    not finding it would be the end of the session. What has changed there since goes with it.
    It is marked in the new one first: who carries it back may be about to take it from there.
    """
    there = session._inspect()
    if there is None or not is_own(there, former) or is_one_entry(former, session):
        return
    if there.has_ended or put(session, there, (there.data or {}) | REMOVED, there):
        former._until = timezone.now() + timedelta(seconds=GRAVE_SECONDS)
        former._swap(found, {MOVED: found.data})


def end(old: Any, new: type[Engine], key: str) -> None:
    """End the session in both stores, for requests too that have read it in the old one.

    The old store comes last: what a process of its own engine has just carried back is there.
    """
    refuse_event_loop(old)
    session = new(key)
    if session.session_key is None:
        end_former(old, session, key)
        session.delete(key)
        return
    # First of all, so that it ends in none of them where this one fails, or refuses the event loop.
    stored = session._read()
    session.delete(key)
    try:
        bury(session, GRAVE_SECONDS)
    except StoreError as error:
        # It has ended in both: a tombstone needs room, and a deletion none.
        logger.warning(
            "A late request may store a session under its old key. %s", in_english(error)
        )
    end_former(old, session, key, (stored and stored.data) or {})


def refuse_event_loop(old: Any) -> None:
    """As Django would later: by then the session would have ended in the new store alone."""
    if issubclass(old, DBStore):
        async_unsafe(lambda: None)()


def end_former(old: Any, session: Engine, key: str, data: Data | None = None) -> None:
    """End it in the old store; else a tombstone in the new one lasts as long as it may live there.

    ``data`` is what the new store had of it. Raises StoreError where neither can be done.
    """
    former = old(key)
    if not former.session_key or is_one_entry(former, session):
        return
    try:
        former.delete()
    except StoreError as error:
        if session.session_key is None:
            raise
        own = session.get_expiry_age(expiry=(data or {}).get(EXPIRY))
        try:
            bury(session, max(own, session.get_session_cookie_age()))
        except StoreError:
            raise error from error.__cause__
        logger.warning("A session has ended in one of two stores. %s", in_english(error))


def is_one_entry(former: Any, session: Any) -> bool:
    """Whether the two differ in the serializer alone: then the tombstone is there already."""
    if not all(isinstance(store, CacheStore) for store in (former, session)):
        return False
    one, other = (
        (store._entries.place, store._cache.make_key(store.cache_key))
        for store in (former, session)
    )
    return bool(one == other)


def bury(session: Engine, seconds: int) -> None:
    session._until = timezone.now() + timedelta(seconds=seconds)
    while True:
        with suppress(CreateError):
            session._insert(ENDED)
            return
        stored = session._read()
        if stored is None:
            session._make_room()
        elif session._swap(stored, ENDED):
            return
