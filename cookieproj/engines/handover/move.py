"""All sessions of a store, moved to another."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any

from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.db import SessionStore as DBStore
from django.core import signing
from django.core.cache.backends.locmem import LocMemCache
from django.db import router, transaction
from django.utils.translation import gettext as _

from cookieproj.engines.base import Engine
from cookieproj.engines.merge import unchanged
from cookieproj.engines.stored import Listed, Stored

from .carry import COPY, follow, is_copy, put
from .homes import Home, shares_rows

logger = logging.getLogger("django.contrib.sessions")


class Outcome(StrEnum):
    MOVED = "moved"
    THERE = "there"
    UNREADABLE = "unreadable"


@dataclass
class Batch:
    """What became of some sessions; ``keys`` are those of the ones that are served anew."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    keys: list[str] = field(default_factory=list, repr=False)


def why_not(old: Home, new: Home) -> str:
    """Why sessions cannot be moved between the two, in a sentence; empty if they can."""
    if old == new:
        return _("Both are %(name)s: name the engine that ran, and the one that is to run.") % {
            "name": old.name
        }
    if old.is_held_by_client or new.is_held_by_client:
        return _(
            "With signed cookies each browser holds its own session, so only the browser can bring "
            "or take it: run the new engine with SESSION_HANDOVER_FROM=%(name)s, and each session "
            "is moved as it is used."
        ) % {"name": old.name}
    if issubclass(new.store, CacheStore) and isinstance(new.store()._cache, LocMemCache):
        return _(
            "The cache is this process's memory: what is moved there ends with this command. "
            "Set CACHE_URL to that of the site."
        )
    return ""


def move(old: Home, new: Home, batch_size: int, *, keep: bool = False) -> Iterator[Batch]:
    """Move the live sessions under their keys, a batch at each step.

    What the new store holds already stays as it is. With ``keep`` they are copied: as
    long as the old store has the original, a handover goes by that, and where the
    original has ended the copy opens nothing. Stopped anywhere, this can be begun again.

    Raises NotListableError for a store that tells no keys, StoreUnavailableError for one
    that does not answer.
    """
    listed = old.store.walk(batch_size)
    while sessions := list(islice(listed, batch_size)):
        if shares_rows(old, new):
            yield forget_copies_in_cache(old.store, sessions)
        else:
            yield Mover(old.store, new.store, keep=keep).move(sessions)
    if not keep and not shares_rows(old, new):
        end_copies(new.store, batch_size)


def rehearse(old: Home, new: Home, batch_size: int) -> Iterator[Batch]:
    """What ``move`` would do, by batches."""
    listed = old.store.walk(batch_size)
    while sessions := list(islice(listed, batch_size)):
        yield Batch(Counter(rehearsed(old, new, session) for session in sessions))


def rehearsed(old: Home, new: Home, listed: Listed) -> Outcome:
    if not can_be_read(old.store, listed):
        return Outcome.UNREADABLE
    there = new.store(listed.key)._read()
    return Outcome.THERE if there and not is_copy(there) else Outcome.MOVED


def can_be_read(store: Any, listed: Listed) -> bool:
    """Of what Django cannot decode it says that it is empty."""
    if listed.stored.data or issubclass(store, CacheStore):
        return listed.stored.data is not None
    try:
        signing.loads(listed.payload.decode(), salt=store().key_salt, serializer=store.serializer)
    except Exception:  # noqa: BLE001 - a serializer may raise anything
        return False
    return True


@dataclass
class Mover:
    """A batch of them: first all are put into the new store, then all are taken from the old."""

    old: Any
    new: Any
    keep: bool

    def move(self, sessions: list[Listed]) -> Batch:
        arrived = [(listed, *self.put(listed)) for listed in sessions]
        batch = Batch(Counter(outcome for _listed, outcome, _held in arrived))
        if not self.keep:
            with in_one_go(self.old):
                for listed, outcome, held in arrived:
                    self.take(listed, outcome, held)
            batch.keys = [
                listed.key for listed, outcome, _held in arrived if outcome != Outcome.UNREADABLE
            ]
        return batch

    def put(self, listed: Listed) -> tuple[Outcome, Stored | None]:
        session: Engine = self.new(listed.key)
        if not (session.session_key and can_be_read(self.old, listed)):
            return Outcome.UNREADABLE, None
        found = marked(listed.stored) if self.keep else listed.stored
        try:
            held = put(session, found)
            if held is None:
                there = session._read()
                if there and is_copy(there) and not same_data(there, found):
                    held = put(session, found, there)
        except (TypeError, ValueError) as error:
            logger.error("A session cannot be kept in %s: %s", self.new._place(), error)
            return Outcome.UNREADABLE, None
        return (Outcome.MOVED, held) if held else (Outcome.THERE, None)

    def take(self, listed: Listed, outcome: Outcome, held: Stored | None) -> None:
        former: Engine = self.old(listed.key)
        if held:
            follow(former, self.new(listed.key), listed.stored, held)
        elif outcome == Outcome.THERE:
            former._take(listed.stored)


def same_data(one: Stored, other: Stored) -> bool:
    return unchanged(one.data or {}, other.data or {})


def marked(stored: Stored) -> Stored:
    return replace(stored, decode=lambda: (stored.decode() or {}) | {COPY: True})


def in_one_go(store: Any) -> AbstractContextManager[Any]:
    """One transaction, where the store is a database: a commit for each row takes its time."""
    if not issubclass(store, DBStore):
        return nullcontext()
    return transaction.atomic(using=router.db_for_write(store.get_model_class()))


def end_copies(store: Any, batch_size: int) -> None:
    """Those that are left: what they were copied from has ended since."""
    for listed in store.walk(batch_size):
        if is_copy(listed.stored):
            store(listed.key)._take(listed.stored)


def forget_copies_in_cache(store: Any, sessions: list[Listed]) -> Batch:
    """Between db and cached_db: the rows are the same, only copies beside them may get old."""
    for listed in sessions:
        if hasattr(store, "_bury_copy"):
            session = store(listed.key)
            session._bury_copy(session.cache_key)
    keys = [listed.key for listed in sessions]
    return Batch(Counter({Outcome.THERE: len(sessions)}), keys)
