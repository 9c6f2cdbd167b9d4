"""The engines and stores that the contract is held against, Django's own among them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.db import DatabaseError, connections
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, OUR_ENGINES
from cookieproj.settings.caches import caches
from tests.conftest import connected, forget_folder, new_database
from tests.stores import forget_pending

from .contract import REDISES, STORES, UNLIKE, Engine, Open, Request
from .handover_switch import PAIRS, Switch

ENGINES = [
    Engine(f"{owner}{name}", *store)
    for owner in (OUR_ENGINES, DJANGO_ENGINES)
    for name, *store in STORES
    if owner == OUR_ENGINES or name in DJANGO_ENGINE_NAMES
]

# What docs/stores.md tells to run on a store of one's own, and here runs on its example.
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
        engines = [*engines, *(Engine(f"{OUR_ENGINES}cache", "", server) for server in REDISES)]
    for marker in metafunc.definition.iter_markers("engines"):
        engines = [engine for engine in engines if marker.kwargs["which"](engine)]
    metafunc.parametrize("engine", list(map(parameter, engines)), ids=str, indirect=True)


def parameter(engine: Engine) -> Any:
    is_repetition = engine.cache in REDISES and engine.cache not in UNLIKE
    return pytest.param(engine, marks=[pytest.mark.matrix] if is_repetition else [])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --engine, only what is held against that engine."""
    if not config.getoption("--engine"):
        return

    def about_it(item: pytest.Item) -> bool:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        return isinstance(parameters.get("engine"), Engine)

    others = [item for item in items if not about_it(item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if about_it(item)]


@pytest.fixture(params=["sync", "async"])
def request_for(engine: Engine, request: pytest.FixtureRequest) -> Open:
    """A request with that session key in its cookie."""
    return lambda session_key=None: Request(engine.Store(session_key), request.param)


@pytest.fixture
def key(request_for: Open) -> str:
    """The key of a stored session."""
    first = request_for().set(a=1, b=2)
    first.save()
    session_key: str = first.session_key
    return session_key


@pytest.fixture
def environment(engine: Engine, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The variables that give another process the same store."""
    return {
        "DJANGO_SETTINGS_MODULE": "cookieproj.settings.cached_db",
        "SESSION_ENGINE": engine.path,
        "SESSION_FILE_PATH": str(tmp_path),
        "DATABASE_URL": request.getfixturevalue(f"{engine.database or 'sqlite'}_sessions_url"),
        "CACHE_URL": request.getfixturevalue(f"{engine.cache or 'memory'}_url"),
    }


@pytest.fixture
def engine(
    request: pytest.FixtureRequest,
    settings: Settings,
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Engine]:
    """An engine with its store, empty; real commits, so that threads and processes see them."""
    engine: Engine = request.param
    settings.SESSION_ENGINE = engine.path
    settings.SESSION_FILE_PATH = tmp_path
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.CACHES = caches(request.getfixturevalue(f"{engine.cache or 'memory'}_url"))
    cache_connections["sessions"].clear()
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
    """That database, less its sessions, is ``default`` till the block ends, in new threads too."""
    with connected(url):
        try:
            with connections["default"].cursor() as cursor:
                cursor.execute(f"DELETE FROM {Session._meta.db_table}")
        except DatabaseError:
            # There is no table yet.
            with connections["default"].schema_editor() as editor:
                editor.create_model(Session)
        yield


@pytest.fixture(scope="session")
def postgresql_sessions_url(postgresql_url: str) -> str:
    """A database of its own, as others migrate the server's first."""
    return new_database(postgresql_url, "sessions")


@pytest.fixture(scope="session")
def mariadb_sessions_url(mariadb_url: str) -> str:
    return new_database(mariadb_url, "sessions")


@pytest.fixture(scope="session")
def sqlite_sessions_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/sessions.sqlite3"


@pytest.fixture(scope="session")
def memory_url() -> str:
    return "locmem://"
