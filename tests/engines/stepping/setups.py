"""The engines and the pairs of a handover: which processes run, and with what sessions."""

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

# Which processes run at the same time: "old" knows of the old engine alone, "back" runs that and
# hands over from the new one, "new" runs the new one and hands over from the old.
TOGETHER = [
    ("old", "back"),
    ("back", "new"),
    ("old", "new"),
    ("new",),
    ("new", "movesessions"),
    ("back", "new", "movesessions"),
]


REFUSED, UNAVAILABLE = 400, 503


class Pickles:
    """A serializer that knows of sets."""

    def dumps(self, data: Any) -> bytes:
        return pickle.dumps(data)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


@dataclass(frozen=True)
class Process:
    """It answers requests with sessions of its own kind."""

    name: str
    Store: Any
    middleware: Any

    @property
    def merges(self) -> bool:
        """Not where a browser holds the session."""
        return not issubclass(self.Store, SignedCookies)


@dataclass
class World:
    name: str
    processes: dict[str, Process]
    together: list[tuple[str, ...]]
    movesessions: Callable[[], object] = list
    # Whether what the one engine stores is there for the other already.
    share_rows: bool = False
    # Whether the cache has nothing but copies of rows.
    has_copies: bool = False

    @property
    def first(self) -> Process:
        return next(iter(self.processes.values()))

    @property
    def last(self) -> Process:
        """That which all sessions end up with."""
        return list(self.processes.values())[-1]

    @property
    def aware(self) -> list[Process]:
        """Those who know all there is to know, the last first."""
        known = [process for process in self.processes.values() if process.name != "old"]
        return known[::-1] if all(process.merges for process in known) else [self.last]

    def forget_copies(self) -> None:
        caches[settings.SESSION_CACHE_ALIAS].clear()

    def empty(self) -> None:
        """The stores."""
        forget_pending()
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {Session._meta.db_table}")
        caches[settings.SESSION_CACHE_ALIAS].clear()
        documents(settings.SESSION_MONGODB_URL).delete_many({})
        for file in Path(settings.SESSION_FILE_PATH).iterdir():
            if "lock" not in file.name:
                file.unlink()


def world(name: str) -> World:
    """By its name: ``db``, ``Django's db``, ``db to cache``."""
    if " to " in name:
        return handover(*name.split(" to "))
    owner, path = (
        (DJANGO_ENGINES, name[9:]) if name.startswith("Django's ") else (OUR_ENGINES, name)
    )
    middleware = DjangosMiddleware if owner == DJANGO_ENGINES else SessionMiddleware
    process = made("new", f"{owner}{path}", "", middleware)
    return World(name, {"new": process}, [("new",)], has_copies=path == "cached_db")


def handover(old: str, new: str) -> World:
    processes = [made("old", old, ""), made("back", old, new), made("new", new, old)]
    return World(
        f"{old} to {new}",
        {process.name: process for process in processes},
        list(together(old, new)),
        movesessions=lambda: list(move(handover_engine(old), handover_engine(new), 10)),
        share_rows={old, new} == {"db", "cached_db"},
        has_copies=new == "cached_db" and old != "cache",
    )


def together(old: str, new: str) -> Iterator[tuple[str, ...]]:
    for processes in TOGETHER:
        # Each has the sessions that it has signed itself, or reads of a copy what was a row.
        is_apart = IN_COOKIES & {old, new} or (old, new) == ("db", "cached_db")
        # Nobody walks through the memory of a process, or through browsers.
        is_listed = old != "cache" and not IN_COOKIES & {old, new}
        if not (is_apart and "old" in processes) and (is_listed or "movesessions" not in processes):
            yield processes


def made(name: str, engine: str, previous: str, middleware: Any = SessionMiddleware) -> Process:
    path = engine if "." in engine else f"{OUR_ENGINES}{engine}"
    with override_settings(SESSION_ENGINE=path, SESSION_HANDOVER_FROM=previous):
        handler = middleware(respond)
        kind = import_module(path).SessionStore
        if not previous:
            handler.SessionStore = kind
        elif compose := class_and_composer(kind)[1]:
            # With this former engine for good, whatever the settings of another process are.
            both = property(lambda session: compose(session.make_store()))
            handler.SessionStore = same_named_subclass(kind, _store=both)
        return Process(name, handler.SessionStore, handler)


def respond(request: HttpRequest) -> HttpResponse:
    """As Django answers: what is known to have ended is a 400, and saved all the same."""
    view: Any = request.view  # type: ignore[attr-defined]
    try:
        view(request.session)
    except SessionInterrupted:
        return HttpResponse(status=REFUSED)
    except UpdateError:
        return HttpResponse(status=500)
    except StoreError as error:
        found = SessionMiddleware(respond).process_exception(request, error)
        return found or HttpResponse(status=UNAVAILABLE)
    return HttpResponse()


NAMES = [
    name for name in (*PROFILES, *map(" to ".join, PAIRS)) if MONGODB not in name.split(" to ")
]
# A server's steps take longer, so that fewer schedules are tried there.
NAMES_ON_MONGODB = [MONGODB, *(" to ".join(pair) for pair in PAIRS if MONGODB in pair)]
