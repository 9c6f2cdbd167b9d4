"""The processes that run at the same time, on one engine or on the two of a handover."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangosMiddleware
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import override_settings

from cookieproj.engines.constants import DJANGO_ENGINES, MONGODB, OUR_ENGINES
from cookieproj.engines.engine_registry import same_named_subclass
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover.move_all import move
from cookieproj.engines.handover_mixin import class_and_composer
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.mongodb_client import documents
from cookieproj.profiles import PROFILES
from tests.engines.handover_switch import PAIRS
from tests.families import IN_COOKIES
from tests.stores import forget_pending

# Sets of processes that run at the same time. "old" runs the old engine without a handover, "back"
# runs it with a handover from the new one, and "new" runs the new one with a handover from the old.
PROCESS_SETS = [
    ("old", "back"),
    ("back", "new"),
    ("old", "new"),
    ("new",),
    ("new", "movesessions"),
    ("back", "new", "movesessions"),
]


REFUSED, UNAVAILABLE = 400, 503


class PickleSerializer:
    def dumps(self, data: Any) -> bytes:
        return pickle.dumps(data)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


@dataclass(frozen=True)
class Process:
    """A server process, with its session class and middleware."""

    name: str
    Store: Any
    middleware: Any

    @property
    def merges(self) -> bool:
        """Whether concurrent saves are merged. In a cookie they are not."""
        return not issubclass(self.Store, SignedCookies)


@dataclass
class Setup:
    name: str
    processes: dict[str, Process]
    process_sets: list[tuple[str, ...]]
    movesessions: Callable[[], object] = list
    # Whether both engines read the same rows.
    share_rows: bool = False
    # Whether the cache contains only copies of rows.
    has_copies: bool = False

    @property
    def first(self) -> Process:
        return next(iter(self.processes.values()))

    @property
    def last(self) -> Process:
        """The process of the engine that all sessions move to."""
        return list(self.processes.values())[-1]

    @property
    def complete_processes(self) -> list[Process]:
        """The processes that find every session, the last one first."""
        processes = [process for process in self.processes.values() if process.name != "old"]
        return processes[::-1] if all(process.merges for process in processes) else [self.last]

    def clear_cache(self) -> None:
        caches[settings.SESSION_CACHE_ALIAS].clear()

    def empty(self) -> None:
        """Delete all sessions."""
        forget_pending()
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {Session._meta.db_table}")
        self.clear_cache()
        documents(settings.SESSION_MONGODB_URL).delete_many({})
        for file in Path(settings.SESSION_FILE_PATH).iterdir():
            if "lock" not in file.name:
                file.unlink()


def setup_named(name: str) -> Setup:
    """Return the setup of a name like ``db``, ``Django's db`` or ``db to cache``."""
    if " to " in name:
        return handover(*name.split(" to "))
    owner, path = (
        (DJANGO_ENGINES, name[9:]) if name.startswith("Django's ") else (OUR_ENGINES, name)
    )
    middleware = DjangosMiddleware if owner == DJANGO_ENGINES else SessionMiddleware
    process = make_process("new", f"{owner}{path}", "", middleware)
    return Setup(name, {"new": process}, [("new",)], has_copies=path == "cached_db")


def handover(old: str, new: str) -> Setup:
    processes = [
        make_process("old", old, ""),
        make_process("back", old, new),
        make_process("new", new, old),
    ]
    return Setup(
        f"{old} to {new}",
        {process.name: process for process in processes},
        list(process_sets(old, new)),
        movesessions=lambda: list(move(handover_engine(old), handover_engine(new), 10)),
        share_rows={old, new} == {"db", "cached_db"},
        has_copies=new == "cached_db" and old != "cache",
    )


def process_sets(old: str, new: str) -> Iterator[tuple[str, ...]]:
    # Without a handover, a process rejects the other engine's cookies, or does not update copies.
    needs_handover = IN_COOKIES & {old, new} or (old, new) == ("db", "cached_db")
    # Local memory and cookies cannot be listed.
    is_listable = old != "cache" and not IN_COOKIES & {old, new}
    for processes in PROCESS_SETS:
        if "old" in processes and needs_handover:
            continue
        if "movesessions" in processes and not is_listable:
            continue
        yield processes


def make_process(
    name: str, engine: str, previous: str, middleware: Any = SessionMiddleware
) -> Process:
    path = engine if "." in engine else f"{OUR_ENGINES}{engine}"
    with override_settings(SESSION_ENGINE=path, SESSION_HANDOVER_FROM=previous):
        handler = middleware(respond)
        store_class = import_module(path).SessionStore
        if not previous:
            handler.SessionStore = store_class
        elif compose := class_and_composer(store_class)[1]:
            # The settings of another process must not change the previous engine of this one.
            store = property(lambda session: compose(session.make_store()))
            handler.SessionStore = same_named_subclass(store_class, _store=store)
        return Process(name, handler.SessionStore, handler)


def respond(request: HttpRequest) -> HttpResponse:
    """Respond like Django: a session that has ended gives a 400, and the middleware saves it."""
    view: Any = request.view  # type: ignore[attr-defined]
    try:
        view(request.session)
    except SessionInterrupted:
        return HttpResponse(status=REFUSED)
    except UpdateError:
        return HttpResponse(status=500)
    except StoreError as error:
        response = SessionMiddleware(respond).process_exception(request, error)
        return response or HttpResponse(status=UNAVAILABLE)
    return HttpResponse()


NAMES = [
    name for name in (*PROFILES, *map(" to ".join, PAIRS)) if MONGODB not in name.split(" to ")
]
# A server's steps take longer, so that fewer schedules are tried there.
NAMES_ON_MONGODB = [MONGODB, *(" to ".join(pair) for pair in PAIRS if MONGODB in pair)]
