import fcntl
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib import import_module
from itertools import filterfalse
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
import psycopg
import pymysql
import pytest
from asgiref.sync import SyncToAsync
from django.conf import settings as site_settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.file import SessionStore as DjangoFileStore
from django.core.cache import caches as cache_connections
from django.db import connection, connections
from django.dispatch import receiver
from django.test.signals import setting_changed
from django.utils import translation
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.engines import mongodb_client
from cookieproj.engines.constants import (
    DJANGO_ENGINE_NAMES,
    DJANGO_ENGINES,
    ENGINE_NAMES,
    MONGODB,
)
from cookieproj.engines.file import SessionStore as FileStore
from cookieproj.engines.mongodb_client import documents
from cookieproj.engines.sql_texts import statements
from cookieproj.profiles import PROFILES
from cookieproj.settings.caches import caches
from demo.models import User
from tests.stores import forget_pending

from . import servers
from .clusters import Cluster, redis_cluster
from .sites import QUICK, manage

# The values of --cache. Each has a fixture for its URL.
CACHES = ["memory", "memcached", "redis", "redis7", "redis8", "valkey8", "valkey", "cluster"]

pytest_plugins = ["tests.fault_table", "tests.tiers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--benchmarks", action="store_true", help="run tests/benchmarks, for minutes")
    parser.addoption("--long", action="store_true", help="try faults and fuzzing for much longer")
    parser.addoption("--figures", action="store_true", help="write their figures into docs")
    group = parser.getgroup("session engines", "the engines that tests/engines tests")
    group.addoption("--schedule", help="seed of the schedule to run of tests/engines/stepping")
    group.addoption("--engine", help="dotted path of one engine, instead of ours and Django's")
    group.addoption(
        "--database", default="", choices=["sqlite", "postgresql", "pgbouncer", "mariadb"]
    )
    group.addoption("--cache", default="", choices=CACHES)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more worker than processors, since some wait. Figures are measured in one process.

    Each worker collects all tests and starts its own servers.
    """
    return 0 if measures_figures(config) else (os.cpu_count() or 1) + 1


# Tests without coverage: they use the site from outside, repeatedly, and with threads (see
# test_untraced.py), or with greenlets.
UNCOVERED = {"attacks", "browser", "failures", "fuzzing", "stepping"}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """In a worker pytest-cov starts twice, and ``no_cover`` would pause only the second one."""
    plugin = session.config.pluginmanager.getplugin("_cov")
    if hasattr(session.config, "workerinput") and plugin and plugin.cov_controller:
        plugin.cov_controller.cov.stop()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude the collected tests, which live until the end, from garbage collection.

    Later collections are made less frequent. They took a tenth of the time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


def measures_figures(config: pytest.Config) -> bool:
    return any(map(config.getoption, ("--benchmarks", "--figures", "--long")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run long tests first, so that no worker runs one alone at the end.

    Tests of failures on Django's engines are only run for figures, since they cannot fail.
    """
    config.hook.pytest_deselected(items=list(filter(has_missing_engine, items)))
    items[:] = filterfalse(has_missing_engine, items)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if not measures_figures(config):
        config.hook.pytest_deselected(items=list(filter(is_djangos, items)))
        items[:] = filterfalse(is_djangos, items)
    if not config.getoption("no_cov", default=True):
        for item in items:
            if item.path.parent.name in UNCOVERED:
                item.add_marker("no_cover")


def is_djangos(item: pytest.Item) -> bool:
    """Whether the test records losses of Django's engines: see the fixture ``tally``."""
    callspec = getattr(item, "callspec", None)
    return bool(callspec and callspec.params.get("whose") == "Django's")


def has_missing_engine(item: pytest.Item) -> bool:
    """Whether the test is about an engine of Django's that does not exist."""
    parameters = getattr(item, "callspec", None) and item.callspec.params  # type: ignore[attr-defined]
    values = [value for value in (parameters or {}).values() if isinstance(value, str)]
    return bool(OURS_ALONE & set(values)) and bool({"Django's", DJANGO_ENGINES} & set(values))


def pytest_configure() -> None:
    """Change settings once, since an override in each test would take time."""
    site_settings.PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]
    # Otherwise each test client lists all static files, which takes longer than most requests.
    site_settings.WHITENOISE_AUTOREFRESH = True
    # On a busy machine a server of the tests may take longer than one of a site.
    mongodb_client.DEFAULT_OPTIONS |= dict.fromkeys(
        ("connectTimeoutMS", "serverSelectionTimeoutMS", "socketTimeoutMS"), 20_000
    )


# Engines that Django has no counterpart of.
OURS_ALONE = set(ENGINE_NAMES) - set(DJANGO_ENGINE_NAMES)

CONNECTIONS = cache_connections._connections  # type: ignore[attr-defined]
ALIASES = set(cache_connections)


@receiver(setting_changed)
def keep_one_local(*, setting: str, **_: Any) -> None:
    """Reuse one ``Local`` for the connections to caches.

    Django creates another whenever CACHES is set, and the thread's context keeps all of them.
    Each call of asynchronous code copies that context, which took a second after thousands of
    tests.
    """
    if setting == "CACHES":
        for alias in ALIASES:
            with suppress(AttributeError):
                delattr(CONNECTIONS, alias)
        ALIASES.update(cache_connections)
        cache_connections._connections = CONNECTIONS  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def deactivate_language() -> Iterator[None]:
    """A request leaves its language active in its thread."""
    yield
    translation.deactivate()


Started = TypeVar("Started")


def start(stack: ExitStack, server: AbstractContextManager[Started]) -> Started:
    """Start a server, and return what it yields. If it is missing, skip the test, or fail in CI."""
    try:
        return stack.enter_context(server)
    except servers.UnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def server_folder(stack: ExitStack) -> Path:
    """Not pytest's folder: for root, PostgreSQL runs as another user, who may not enter that."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cookieproj-")))


@pytest.fixture(scope="session")
def redis_url(stack: ExitStack, server_folder: Path) -> str:
    return start(stack, servers.redis(server_folder))


@pytest.fixture(scope="session")
def sentinel_url(stack: ExitStack, server_folder: Path, redis_url: str) -> str:
    return start(stack, servers.sentinel(server_folder, redis_url))


def redis_fixture(kind: str) -> Any:
    """Return a fixture for the URL of that kind of server: see ``servers.redis_program``."""

    @pytest.fixture(scope="session", name=f"{kind}_url")
    def url(stack: ExitStack, server_folder: Path) -> str:
        return start(stack, servers.redis(server_folder, kind=kind))

    return url


redis7_url, redis8_url = redis_fixture("redis7"), redis_fixture("redis8")
valkey8_url, valkey_url = redis_fixture("valkey8"), redis_fixture("valkey")


@pytest.fixture(scope="session")
def cluster(stack: ExitStack, server_folder: Path) -> Cluster:
    """A Redis Cluster of three masters."""
    folder = server_folder / "cluster"
    return start(stack, redis_cluster(folder, "--appendonly", "no"))


@pytest.fixture(scope="session")
def cluster_url(cluster: Cluster) -> str:
    return cluster.url


@pytest.fixture(scope="session")
def memcached_url(stack: ExitStack) -> str:
    return start(stack, servers.memcached())


@pytest.fixture(scope="session")
def mongodb_url(stack: ExitStack, server_folder: Path) -> str:
    return f"{start(stack, servers.mongodb(server_folder))}/sessions"


@pytest.fixture(scope="session")
def postgresql_url(stack: ExitStack, server_folder: Path) -> str:
    return start(stack, servers.postgresql(server_folder))


@pytest.fixture(scope="session")
def pgbouncer_port(stack: ExitStack, server_folder: Path, postgresql_url: str) -> int:
    """Of one in transaction mode before that PostgreSQL."""
    port: int = start(stack, servers.pgbouncer(server_folder, postgresql_url)).port
    return port


@pytest.fixture(scope="session")
def mariadb_url(stack: ExitStack, server_folder: Path) -> str:
    return start(stack, servers.mariadb(server_folder))


@pytest.fixture(scope="session")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the demo accounts, for ``copied``. All workers of a run share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo"
    folder.mkdir(exist_ok=True)
    path = folder / "db.sqlite3"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            prepare(DATABASE_URL=f"sqlite:///{path.with_suffix('.new')}")
            path.with_suffix(".new").rename(path)
    return path


def prepare(**environment: str) -> None:
    """Create the tables and demo accounts in the database of that environment."""
    for command in (["migrate", "--verbosity=0"], ["demodata", QUICK]):
        result = manage(*command, **environment)
        assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def migrated_file(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The empty database of the tests as an SQLite file."""
    path = tmp_path_factory.mktemp("migrated") / "db.sqlite3"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    return path


@pytest.fixture
def database_file(
    migrated_file: Path, db: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Make an SQLite file the database. Commits are real: other connections see them."""
    path = Path(shutil.copy(migrated_file, tmp_path_factory.mktemp("on_file")))
    with connected(f"sqlite:///{path}"):
        yield path


def copied(database: Path, folder: Path) -> str:
    """Copy the database into that folder, and return the copy's URL."""
    return f"sqlite:///{shutil.copy(database, folder)}"


@contextmanager
def connected(url: str, **more: Any) -> Iterator[None]:
    """Make that database ``default`` until the block ends, in new threads too."""
    previous, connection = connections.settings["default"], connections["default"]
    database = environ.Env.db_url_config(url)
    connections.settings["default"] = previous | {"OPTIONS": {}} | database | more
    if url.startswith("sqlite"):
        connections.settings["default"]["OPTIONS"] = previous["OPTIONS"]
    connections["default"] = connections.create_connection("default")
    clear_database_caches()
    try:
        yield
    finally:
        clear_database_caches()
        connections["default"].close()
        connections.settings["default"] = previous
        connections["default"] = connection


def clear_database_caches() -> None:
    """Clear caches of SQL statements, of content types, and of connections in another thread."""
    # Not at the top: this file is imported before the site is set up.
    from django.contrib.contenttypes.models import ContentType  # noqa: PLC0415

    statements.cache_clear()
    ContentType.objects.clear_cache()
    if SyncToAsync.single_thread_executor._threads:
        SyncToAsync.single_thread_executor.submit(close_connections).result(timeout=60)


def close_connections() -> None:
    """Close and delete the connections of this thread."""
    for opened in connections.all(initialized_only=True):
        opened.close()
        del connections[opened.alias]


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Make the database read-only for new connections until the block ends."""
    name = urlsplit(url).path[1:]
    alter = f"ALTER DATABASE {name} SET default_transaction_read_only"
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute(f"{alter} = on")
        connections["default"].close()
        try:
            yield
        finally:
            administrator.execute(f"{alter} = off")


@pytest.fixture(scope="session")
def demo_postgresql(postgresql_url: str) -> str:
    """The name of a database with the demo accounts, a template for others."""
    name = "demo"
    prepare(DATABASE_URL=new_database(postgresql_url, name))
    return name


def new_database(server_url: str, name: str, template: str = "") -> str:
    """Create a database on a PostgreSQL or MariaDB server, and return its URL.

    Only PostgreSQL has templates. An existing database is replaced, since xdist may set up the
    fixture of a module several times.
    """
    with administered(server_url) as execute:
        execute(f"DROP DATABASE IF EXISTS {name}")
        execute(f"CREATE DATABASE {name} {f'TEMPLATE {template}' if template else ''}")
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


@contextmanager
def administered(server_url: str) -> Iterator[Callable[[str], object]]:
    """Yields a function that executes statements as a superuser, without a transaction."""
    parts = urlsplit(server_url)
    with (
        pymysql.connect(
            host=parts.hostname,
            port=parts.port or 0,
            user="root",
            database=parts.path.lstrip("/") or None,
            autocommit=True,
        )
        if parts.scheme == "mysql"
        else psycopg.connect(server_url, autocommit=True)
    ) as connection:
        yield connection.cursor().execute


@pytest.fixture(scope="session")
def stores(
    redis_url: str,
    postgresql_url: str,
    demo_postgresql: str,
    mongodb_url: str,
    server_folder: Path,
) -> dict[str, str]:
    """The variables of a public site's stores, with the demo accounts."""
    return {
        "DATABASE_URL": new_database(postgresql_url, "production", demo_postgresql),
        "CACHE_URL": f"{redis_url}/8",
        "MONGODB_URL": mongodb_url,
        "SESSION_FILE_PATH": str(server_folder / "sessions"),
    }


@pytest.fixture(params=PROFILES)
def profile(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, db: None
) -> Iterator[str]:
    """Each profile, on a real and empty store."""
    name: str = request.param
    module = import_module(f"cookieproj.settings.{name}")
    settings.SESSION_ENGINE = module.SESSION_ENGINE
    if name in {"cache", "cached_db"}:
        settings.CACHES = caches(f"{request.getfixturevalue('redis_url')}/0")
        cache_connections["sessions"].clear()
    if name == MONGODB:
        empty_mongodb(settings, request.getfixturevalue("mongodb_url"))
    settings.SESSION_FILE_PATH = tmp_path
    forget_folder()
    yield name
    forget_folder()


def forget_folder() -> None:
    """Clear the folder that the file engines cache in their class."""
    for store in (DjangoFileStore, FileStore):
        if "_storage_path" in vars(store):
            delattr(store, "_storage_path")


def empty_mongodb(settings: Settings, url: str) -> None:
    """Run the site with this MongoDB, without sessions."""
    settings.SESSION_MONGODB_URL = url
    documents(url).delete_many({})


@pytest.fixture
def empty_stores(
    settings: Settings, tmp_path: Path, redis_url: str, mongodb_url: str
) -> Iterator[None]:
    """An empty folder, Redis and MongoDB for sessions, for tests that choose their engine."""
    empty_mongodb(settings, mongodb_url)
    settings.SESSION_FILE_PATH = tmp_path
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.CACHES = caches(f"{redis_url}/0")
    cache_connections["sessions"].clear()
    forget_pending()
    forget_folder()
    yield
    forget_folder()


def on(*names: str) -> pytest.MarkDecorator:
    """Run a test with the fixture ``profile`` on these profiles only."""
    return pytest.mark.parametrize("profile", names, indirect=True)


@pytest.fixture
def store(profile: str, settings: Settings) -> type[SessionBase]:
    session_class: Any = import_module(settings.SESSION_ENGINE).SessionStore
    return session_class  # type: ignore[no-any-return]


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password="cookies")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", password="cookies")
