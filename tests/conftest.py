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
from django.db import connections
from django.dispatch import receiver
from django.test.signals import setting_changed
from django.utils import translation
from pytest_django import Settings

from cookieproj.engines.constants import DJANGO_ENGINES, ENCRYPTED_COOKIES
from cookieproj.engines.file import SessionStore as FileStore
from cookieproj.engines.sql_statements import statements
from cookieproj.profiles import PROFILES
from cookieproj.settings.caches import caches
from demo.models import User
from tests.stores import forget_pending

from . import servers
from .clusters import Cluster, redis_cluster
from .sites import QUICK, manage

# Those that --cache names: each has a fixture for its URL.
CACHES = ["memory", "memcached", "redis", "redis7", "redis8", "valkey8", "valkey", "cluster"]

pytest_plugins = ["tests.fault_table", "tests.tiers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--benchmarks", action="store_true", help="run tests/benchmarks, for minutes")
    parser.addoption("--long", action="store_true", help="try faults and fuzzing for much longer")
    parser.addoption("--figures", action="store_true", help="put what they find into docs")
    group = parser.getgroup("session engines", "what tests/engines is held against")
    group.addoption("--schedule", help="seed of the one to run of tests/engines/stepping")
    group.addoption("--engine", help="dotted path of one engine, instead of ours and Django's")
    group.addoption("--database", default="", choices=["sqlite", "postgresql", "mariadb"])
    group.addoption("--cache", default="", choices=CACHES)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What is timed, or told in a page, runs alone. One more than the processors: others wait.

    Each costs the collection of all tests, and servers of its own.
    """
    return 0 if tells_figures(config) else (os.cpu_count() or 1) + 1


# They try the site from outside, again and again, and with threads: see test_untraced.py. What is
# stopped at its trips runs in greenlets.
UNCOVERED = {"attacks", "browser", "failures", "fuzzing", "stepping"}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """In a worker pytest-cov begins twice, and for ``no_cover`` would pause the later alone."""
    plugin = session.config.pluginmanager.getplugin("_cov")
    if hasattr(session.config, "workerinput") and plugin and plugin.cov_controller:
        plugin.cov_controller.cov.stop()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Tens of thousands of tests are there to the end: nobody need look for garbage among them.

    Nor so often among what the tests leave, which is a tenth of their time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


def tells_figures(config: pytest.Config) -> bool:
    return any(map(config.getoption, ("--benchmarks", "--figures", "--long")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no worker is left alone with it in the end.

    What Django's engines lose is told, and makes no test fail, so it is tried where it is told.
    """
    config.hook.pytest_deselected(items=list(filter(is_nowhere, items)))
    items[:] = filterfalse(is_nowhere, items)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if not tells_figures(config):
        config.hook.pytest_deselected(items=list(filter(is_djangos, items)))
        items[:] = filterfalse(is_djangos, items)
    if not config.getoption("no_cov", default=True):
        for item in items:
            if item.path.parent.name in UNCOVERED:
                item.add_marker("no_cover")


def is_djangos(item: pytest.Item) -> bool:
    """Whether it notes what Django's engines lose: see the fixture ``held``."""
    callspec = getattr(item, "callspec", None)
    return bool(callspec and callspec.params.get("whose") == "Django's")


def is_nowhere(item: pytest.Item) -> bool:
    """Whether it is about an engine of Django's that Django has not."""
    parameters = getattr(item, "callspec", None) and item.callspec.params  # type: ignore[attr-defined]
    values = [value for value in (parameters or {}).values() if isinstance(value, str)]
    return ENCRYPTED_COOKIES in values and bool({"Django's", DJANGO_ENGINES} & set(values))


def pytest_configure() -> None:
    """Once: a setting that each test sets for itself costs each of them, and each that is read."""
    site_settings.PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]
    # Each test client lists all static files otherwise: longer than most of its requests.
    site_settings.WHITENOISE_AUTOREFRESH = True


CONNECTIONS = cache_connections._connections  # type: ignore[attr-defined]
ALIASES = set(cache_connections)


@receiver(setting_changed)
def keep_one_local(*, setting: str, **_: Any) -> None:
    """For the connections to caches, of which Django makes another whenever CACHES is set.

    The context of the thread keeps all of them, and every call of asynchronous code goes through
    its context: after thousands of tests that took a second.
    """
    if setting == "CACHES":
        for alias in ALIASES:
            with suppress(AttributeError):
                delattr(CONNECTIONS, alias)
        ALIASES.update(cache_connections)
        cache_connections._connections = CONNECTIONS  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def no_language_left_behind() -> Iterator[None]:
    """A request leaves its language to its thread, for whatever runs there before the next."""
    yield
    translation.deactivate()


Started = TypeVar("Started")


def start(stack: ExitStack, server: AbstractContextManager[Started]) -> Started:
    """What it yields; without it the test is skipped, or fails where all must be there."""
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
    """Not pytest's own folder: as root, PostgreSQL runs as a user who may not enter that one."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cookieproj-")))


@pytest.fixture(scope="session")
def redis_url(stack: ExitStack, server_folder: Path) -> str:
    return start(stack, servers.redis(server_folder))


@pytest.fixture(scope="session")
def sentinel_url(stack: ExitStack, server_folder: Path, redis_url: str) -> str:
    return start(stack, servers.sentinel(server_folder, redis_url))


def other_redis(kind: str) -> Any:
    """A fixture with the URL of a server of the protocol of Redis, one of those of a wheel."""

    @pytest.fixture(scope="session", name=f"{kind}_url")
    def url(stack: ExitStack, server_folder: Path) -> str:
        return start(stack, servers.redis(server_folder, kind=kind))

    return url


redis7_url, redis8_url = other_redis("redis7"), other_redis("redis8")
valkey8_url, valkey_url = other_redis("valkey8"), other_redis("valkey")


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
def postgresql_url(stack: ExitStack, server_folder: Path) -> str:
    return start(stack, servers.postgresql(server_folder))


@pytest.fixture(scope="session")
def mariadb_url(stack: ExitStack, server_folder: Path) -> str:
    return start(stack, servers.mariadb(server_folder))


@pytest.fixture(scope="session")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the demo accounts, for ``copied``: one for all workers of a run."""
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
    """Put the demo accounts into the database of that environment."""
    for command in (["migrate", "--verbosity=0"], ["demodata", QUICK]):
        ran = manage(*command, **environment)
        assert ran.returncode == 0, ran.stderr


def copied(database: Path, folder: Path) -> str:
    """The URL of a copy in that folder."""
    return f"sqlite:///{shutil.copy(database, folder)}"


@contextmanager
def connected(url: str, **more: Any) -> Iterator[None]:
    """That database is ``default`` till the block ends, in new threads too."""
    before, connection = connections.settings["default"], connections["default"]
    found = environ.Env.db_url_config(url)
    connections.settings["default"] = before | {"OPTIONS": {}} | found | more
    if url.startswith("sqlite"):
        connections.settings["default"]["OPTIONS"] = before["OPTIONS"]
    connections["default"] = connections.create_connection("default")
    forget_the_database()
    try:
        yield
    finally:
        forget_the_database()
        connections["default"].close()
        connections.settings["default"] = before
        connections["default"] = connection


def forget_the_database() -> None:
    """What was put together for the kind of database that was there, or has its numbers."""
    # Not above: this is imported before the site is set up.
    from django.contrib.contenttypes.models import ContentType  # noqa: PLC0415

    statements.cache_clear()
    ContentType.objects.clear_cache()
    if SyncToAsync.single_thread_executor._threads:
        SyncToAsync.single_thread_executor.submit(forget_connections).result(timeout=60)


def forget_connections() -> None:
    """Those of this thread."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        del connections[connection.alias]


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """To connections that are made from now on."""
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
    """The URL of a database that is made on that server, a PostgreSQL or a MariaDB.

    Only PostgreSQL has templates. A fixture of a module asks again when some of its tests have gone
    to another worker and others come back.
    """
    with administered(server_url) as execute:
        execute(f"DROP DATABASE IF EXISTS {name}")
        execute(f"CREATE DATABASE {name} {f'TEMPLATE {template}' if template else ''}")
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


@contextmanager
def administered(server_url: str) -> Iterator[Callable[[str], object]]:
    """Execute statements as the user who may do all, each committed at once."""
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
    redis_url: str, postgresql_url: str, demo_postgresql: str, server_folder: Path
) -> dict[str, str]:
    """Those of a public site, by its environment, with the demo accounts."""
    return {
        "DATABASE_URL": new_database(postgresql_url, "production", demo_postgresql),
        "CACHE_URL": f"{redis_url}/8",
        "SESSION_FILE_PATH": str(server_folder / "sessions"),
    }


@pytest.fixture(params=PROFILES)
def profile(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, db: None
) -> Iterator[str]:
    """Each of the five in turn, ``cache`` and ``cached_db`` on a real and empty Redis."""
    name: str = request.param
    module = import_module(f"cookieproj.settings.{name}")
    settings.SESSION_ENGINE = module.SESSION_ENGINE
    if name in {"cache", "cached_db"}:
        settings.CACHES = caches(f"{request.getfixturevalue('redis_url')}/0")
        cache_connections["sessions"].clear()
    settings.SESSION_FILE_PATH = tmp_path
    forget_folder()
    yield name
    forget_folder()


def forget_folder() -> None:
    """The file engines remember their folder for the life of the process."""
    for store in (DjangoFileStore, FileStore):
        if "_storage_path" in vars(store):
            delattr(store, "_storage_path")


@pytest.fixture
def empty_stores(settings: Settings, tmp_path: Path, redis_url: str) -> Iterator[None]:
    """A folder and a Redis without sessions, for whichever engine a test runs."""
    settings.SESSION_FILE_PATH = tmp_path
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.CACHES = caches(f"{redis_url}/0")
    cache_connections["sessions"].clear()
    forget_pending()
    forget_folder()
    yield
    forget_folder()


def on(*names: str) -> pytest.MarkDecorator:
    """Run a test that asks for ``profile`` on some of them only."""
    return pytest.mark.parametrize("profile", names, indirect=True)


@pytest.fixture
def store(profile: str, settings: Settings) -> type[SessionBase]:
    found: Any = import_module(settings.SESSION_ENGINE).SessionStore
    return found  # type: ignore[no-any-return]


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password="cookies")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", password="cookies")
