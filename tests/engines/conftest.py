"""Fixtures of the engine tests: every engine on each of its stores, and every switch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.db import DatabaseError, connections
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.engines.constants import (
    DJANGO_ENGINE_NAMES,
    DJANGO_ENGINES,
    MONGODB,
    OUR_ENGINES,
)
from cookieproj.settings.caches import caches
from tests.conftest import connected, empty_mongodb, forget_folder, new_database
from tests.stores import forget_pending

from .contract import FAST_REDIS_COMPATIBLE, REDIS_COMPATIBLE, STORES, Engine, Open, Request
from .handover_switch import PAIRS, Switch

ENGINES = [
    Engine(f"{family}{name}", *store)
    for family in (OUR_ENGINES, DJANGO_ENGINES)
    for name, *store in STORES
    if family == OUR_ENGINES or (name in DJANGO_ENGINE_NAMES and store[0] != "pgbouncer")
]

# The example store of docs/stores.md, and the tests that the page recommends for new stores.
EXAMPLE = Engine("tests.engines.example", "", "")
ON_ANY_STORE = {"test_contract", "test_keys", "test_store"}
ON_ANY_REDIS = {*ON_ANY_STORE, "test_listing", "test_round_trips"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" not in metafunc.fixturenames:
        return
    option = metafunc.config.getoption
    path = option("--engine")
    engines = [Engine(path, option("--database"), option("--cache"))] if path else ENGINES
    module = metafunc.module.__name__.rpartition(".")[2]
    if not path and module in ON_ANY_STORE:
        engines = [*engines, EXAMPLE]
    if not path and module in ON_ANY_REDIS:
        engines = [
            *engines,
            *(Engine(f"{OUR_ENGINES}cache", "", server) for server in REDIS_COMPATIBLE),
        ]
    for marker in metafunc.definition.iter_markers("engines"):
        engines = [engine for engine in engines if marker.kwargs["which"](engine)]
    metafunc.parametrize("engine", list(map(parameter, engines)), ids=str, indirect=True)


def parameter(engine: Engine) -> Any:
    is_in_matrix_only = engine.cache in set(REDIS_COMPATIBLE) - set(FAST_REDIS_COMPATIBLE)
    return pytest.param(engine, marks=[pytest.mark.matrix] if is_in_matrix_only else [])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --engine, run only the tests that use that engine."""
    if not config.getoption("--engine"):
        return

    def uses_engine(item: pytest.Item) -> bool:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        return isinstance(parameters.get("engine"), Engine)

    deselected = [item for item in items if not uses_engine(item)]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if uses_engine(item)]


@pytest.fixture(params=["sync", "async"])
def request_for(engine: Engine, request: pytest.FixtureRequest) -> Open:
    """Opens the session of a request whose cookie has the given key."""
    return lambda session_key=None: Request(engine.Store(session_key), request.param)


@pytest.fixture
def key(request_for: Open) -> str:
    """The key of a stored session."""
    session = request_for().set(a=1, b=2)
    session.save()
    session_key: str = session.session_key
    return session_key


@pytest.fixture
def environment(
    engine: Engine, request: pytest.FixtureRequest, settings: Settings, tmp_path: Path
) -> dict[str, str]:
    """Environment variables with which another process uses the same store."""
    return {
        "DJANGO_SETTINGS_MODULE": "cookieproj.settings.cached_db",
        "SESSION_ENGINE": engine.path,
        "SESSION_FILE_PATH": str(tmp_path),
        "DATABASE_URL": request.getfixturevalue(f"{engine.database or 'sqlite'}_sessions_url"),
        "CACHE_URL": request.getfixturevalue(f"{engine.cache or 'memory'}_url"),
        **({"MONGODB_URL": settings.SESSION_MONGODB_URL} if engine.name == MONGODB else {}),
    }


@pytest.fixture
def engine(
    request: pytest.FixtureRequest,
    settings: Settings,
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Engine]:
    """An engine with an empty store. Other threads and processes see its writes."""
    engine: Engine = request.param
    settings.SESSION_ENGINE = engine.path
    settings.SESSION_FILE_PATH = tmp_path
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.CACHES = caches(request.getfixturevalue(f"{engine.cache or 'memory'}_url"))
    cache_connections["sessions"].clear()
    if engine.name == MONGODB:
        empty_mongodb(settings, request.getfixturevalue("mongodb_url"))
    forget_pending()
    forget_folder()
    url = request.getfixturevalue(f"{engine.database or 'sqlite'}_sessions_url")
    with django_db_blocker.unblock(), database(url):
        yield engine
    forget_folder()


@pytest.fixture(params=PAIRS, ids=" to ".join)
def switch(
    request: pytest.FixtureRequest,
    settings: Settings,
    empty_stores: None,
    sqlite_sessions_url: str,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Switch]:
    with django_db_blocker.unblock(), database(sqlite_sessions_url):
        old, new = request.param
        yield Switch(old, new, settings)


@contextmanager
def database(url: str) -> Iterator[None]:
    """Delete that database's sessions and make it ``default`` in the block, in new threads too."""
    with connected(url):
        try:
            with connections["default"].cursor() as cursor:
                cursor.execute(f"DELETE FROM {Session._meta.db_table}")
        except DatabaseError:
            # The table does not exist yet.
            with connections["default"].schema_editor() as editor:
                editor.create_model(Session)
        yield


@pytest.fixture(scope="session")
def postgresql_sessions_url(postgresql_url: str) -> str:
    """A separate database, as other tests migrate the server's first one."""
    return new_database(postgresql_url, "sessions")


@pytest.fixture(scope="session")
def pgbouncer_sessions_url(postgresql_url: str, pgbouncer_port: int) -> str:
    new_database(postgresql_url, "pooled")
    return f"postgresql://postgres@127.0.0.1:{pgbouncer_port}/pooled"


@pytest.fixture(scope="session")
def mariadb_sessions_url(mariadb_url: str) -> str:
    return new_database(mariadb_url, "sessions")


@pytest.fixture(scope="session")
def sqlite_sessions_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/sessions.sqlite3"


@pytest.fixture(scope="session")
def memory_url() -> str:
    return "locmem://"
