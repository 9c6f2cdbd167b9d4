"""The engines and stores under test, and an assertion for promises that Django's engines break."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, OUR_ENGINES
from cookieproj.engines.handover_mixin import HandoverMixin
from tests.families import IN_COOKIES

# Engine, database and cache. An empty string: the engine uses none.
STORES = [
    ("db", "sqlite", ""),
    ("db", "postgresql", ""),
    ("db", "pgbouncer", ""),
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
    ("mongodb", "", ""),
]

# Other versions of Redis and servers compatible with it, for tests of stores. The fast tier runs
# only on those that work differently.
REDIS_COMPATIBLE = ["redis7", "redis8", "valkey8", "valkey", "cluster"]
FAST_REDIS_COMPATIBLE = ["valkey", "cluster"]


@dataclass(frozen=True)
class Engine:
    """An engine on a store."""

    path: str
    database: str
    cache: str

    @property
    def name(self) -> str:
        """The path without our package or Django's."""
        return self.path.removeprefix(OUR_ENGINES).removeprefix(DJANGO_ENGINES)

    @property
    def ours(self) -> bool:
        """Whether the engine is one of ours or a subclass of one."""
        return issubclass(self.Store, HandoverMixin)

    @property
    def djangos(self) -> bool:
        return self.path.startswith(DJANGO_ENGINES)

    @property
    def on_server(self) -> bool:
        return self.name not in IN_COOKIES

    @property
    def is_mirror(self) -> bool:
        """Whether Django has an engine of that name."""
        return self.name in DJANGO_ENGINE_NAMES

    @property
    def on_redis(self) -> bool:
        """Whether the cache is Redis or compatible with it."""
        return self.cache in {"redis", *REDIS_COMPATIBLE}

    @property
    def Store(self) -> Any:  # noqa: N802 - a class
        return import_module(self.path).SessionStore

    def __str__(self) -> str:
        family = "django" if self.djangos else "ours" if self.path.startswith(OUR_ENGINES) else ""
        return "-".join(filter(None, [family, self.name, self.database, self.cache]))


def on_engines(which: Callable[[Engine], bool]) -> pytest.MarkDecorator:
    """Run a test, or a module's, on some engines only."""
    return pytest.mark.engines(which=which)


# Values of ``broken_by``: the Django engines that are known to break a promise.
ALL = frozenset({"db", "cache", "file", "cached_db"})
NONE: frozenset[str] = frozenset()

Open = Callable[..., "Request"]


class Request:
    """The session of one request, used by its sync or by its async methods."""

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
    """Assert the promise. For a Django engine in ``broken_by``, assert that it is still broken."""
    if engine.djangos and engine.name in broken_by:
        assert not promise, f"Django keeps this promise now: {seen}"
        pytest.xfail(str(seen))
    assert promise, seen
