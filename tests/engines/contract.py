"""The engines and stores that are held to the contract, and how a promise is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from cookieproj.engines.constants import DJANGO_ENGINES, OUR_ENGINES
from cookieproj.engines.handover_mixin import HandoverMixin
from tests.families import IN_COOKIES

# Engine, database, cache: what of it each engine has.
STORES = [
    ("db", "sqlite", ""),
    ("db", "postgresql", ""),
    ("db", "mariadb", ""),
    ("cache", "", "redis"),
    ("cache", "", "memory"),
    ("cache", "", "memcached"),
    ("file", "", ""),
    ("cached_db", "sqlite", "memory"),
    ("cached_db", "sqlite", "memcached"),
    ("cached_db", "postgresql", "redis"),
    ("cached_db", "mariadb", "redis"),
    ("signed_cookies", "", ""),
    ("encrypted_cookies", "", ""),
]

# Further servers of the protocol of Redis, for modules about what a store does. In the fast tier
# are those that no other is like.
REDISES = ["redis7", "redis8", "valkey8", "valkey", "cluster"]
UNLIKE = ["valkey", "cluster"]


@dataclass(frozen=True)
class Engine:
    """An engine on a store."""

    path: str
    database: str
    cache: str

    @property
    def name(self) -> str:
        """Of one of neither family it is the path."""
        return self.path.removeprefix(OUR_ENGINES).removeprefix(DJANGO_ENGINES)

    @property
    def ours(self) -> bool:
        """Or made of ours."""
        return issubclass(self.Store, HandoverMixin)

    @property
    def djangos(self) -> bool:
        return self.path.startswith(DJANGO_ENGINES)

    @property
    def on_server(self) -> bool:
        return self.name not in IN_COOKIES

    @property
    def on_redis(self) -> bool:
        """Whether its cache speaks the protocol of Redis."""
        return self.cache in {"redis", *REDISES}

    @property
    def Store(self) -> Any:  # noqa: N802 - a class
        return import_module(self.path).SessionStore

    def __str__(self) -> str:
        owner = "django" if self.djangos else "ours" if self.path.startswith(OUR_ENGINES) else ""
        return "-".join(filter(None, [owner, self.name, self.database, self.cache]))


def on_engines(which: Callable[[Engine], bool]) -> pytest.MarkDecorator:
    """Run a test, or a module's, on some engines only."""
    return pytest.mark.engines(which=which)


# Of Django's engines, those that are known to break a promise.
ALL = frozenset({"db", "cache", "file", "cached_db"})
NONE: frozenset[str] = frozenset()

Open = Callable[..., "Request"]


class Request:
    """One request's session, used through one half of Django's interface, sync or async."""

    def __init__(self, store: Any, half: str) -> None:
        self.store = store
        self.half = half

    def __getattr__(self, name: str) -> Any:
        if self.half == "async" and hasattr(self.store, f"a{name}"):
            return async_to_sync(getattr(self.store, f"a{name}"))
        return getattr(self.store, name)

    def set(self, **values: Any) -> "Request":
        self.update(values)
        return self

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.items())


def kept(engine: Engine, promise: bool, seen: object, broken_by: frozenset[str] = NONE) -> None:
    """The promise holds; or it is Django's engine, known to break it, and still does."""
    if engine.djangos and engine.name in broken_by:
        assert not promise, f"Django keeps this now: {seen}"
        pytest.xfail(str(seen))
    assert promise, seen
