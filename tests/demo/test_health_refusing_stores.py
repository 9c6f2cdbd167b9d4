"""/health/ and the system check report a refusing store exactly if nobody can sign in."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import enumerate as all_threads
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.backends.base import SessionBase
from django.core.cache import caches as cache_connections
from django.core.checks import Error, run_checks
from django.core.checks import Warning as CheckWarning
from django.test import Client
from pytest_django import Settings
from redis import Redis

from cookieproj.engines import running_engine
from cookieproj.engines.cache import SessionStore as CacheStore
from cookieproj.engines.checks import sessions_can_be_stored
from cookieproj.engines.exceptions import StoreFullError
from cookieproj.engines.store_probe import probe
from cookieproj.settings.caches import caches
from demo import health
from demo.models import User
from tests.conftest import connected, forget_folder, read_only
from tests.failures.test_full_disk import disk  # noqa: F401
from tests.failures.test_full_disk import full as full_disk
from tests.families import run_on
from tests.fault_table import WHOSE, Whose
from tests.servers import StoppableRedis
from tests.stores import forget_pending

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_watches")]


@pytest.fixture(autouse=True)
def probe_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 0)


def sign_in_works() -> bool:
    """Whether Ada can sign in by the form, with a session already, and sign out again."""
    browser = Client(raise_request_exception=False)
    browser.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    browser.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    if browser.get("/auth/account/").status_code != 200:
        return False
    cookie = browser.cookies["sessionid"].value
    browser.post("/auth/sign-out/")
    browser.cookies["sessionid"] = cookie
    return browser.get("/auth/account/").status_code != 200


def checked_statuses() -> dict[str, str]:
    """Return the statuses of /health/: it answers 200 exactly if a visitor can sign in and out."""
    can_sign_in = sign_in_works()
    response = Client().get("/health/")
    statuses: dict[str, str] = response.json()
    assert response.status_code == (200 if can_sign_in else 503), statuses
    issues = sessions_can_be_stored(databases=["default"])
    assert ("engines.E010" in [issue.id for issue in issues]) == (statuses["sessions"] != "ok")
    assert ("engines.W010" in [issue.id for issue in issues]) == (
        statuses["sessions"] == "ok" and statuses.get("cache", "ok") != "ok"
    )
    return statuses


def status_of_store(store: Any) -> str:
    """Store a session, change it, give it a new key, delete it, and return the status."""
    try:
        session = store()
        session["color"] = "blue"
        session.save()
        session = store(session.session_key)
        session["color"] = "red"
        session.cycle_key()
        session.save()
        session.delete()
    except Exception as error:  # noqa: BLE001 - Django's engines raise the driver's errors
        return health.status_of(error)
    return "ok"


# Redis


@contextmanager
def full(redis: Redis, url: str) -> Iterator[str]:
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", "1kb")
    try:
        yield url
    finally:
        redis.config_set("maxmemory", "0")


@contextmanager
def read_only_replica(redis: Redis, url: str) -> Iterator[str]:
    redis.replicaof("127.0.0.1", "1")
    try:
        yield url
    finally:
        redis.replicaof("NO", "ONE")


def without_rights(*rights: str) -> "State":
    @contextmanager
    def state(redis: Redis, url: str) -> Iterator[str]:
        rules = ["on", ">secret", "~*", "&*", "+@all", *(f"-{right}" for right in rights)]
        redis.execute_command("ACL", "SETUSER", "site", *rules)  # type: ignore[no-untyped-call]
        try:
            yield url.replace("redis://", "redis://site:secret@")
        finally:
            redis.acl_deluser("site")

    return state


State = Callable[[Redis, str], AbstractContextManager[str]]
STATES: dict[str, State] = {
    "full": full,
    "replica": read_only_replica,
    "without scripts": without_rights("@scripting"),
    "without writes": without_rights("@write"),
    "without deletes": without_rights("del", "unlink", "getdel", "@scripting"),
}


@pytest.fixture
def redis(redis_url: str, settings: Settings) -> Iterator[Redis]:
    """The Redis of the sessions, as its administrator."""
    settings.SESSION_CACHE_ALIAS = "sessions"
    with Redis.from_url(f"{redis_url}/1") as redis:
        redis.flushdb()
        yield redis
        forget_pending()
        redis.flushdb()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["cache", "cached_db"])
@pytest.mark.parametrize("family", WHOSE)
def test_refusing_redis(
    state: str,
    name: str,
    family: Whose,
    redis: Redis,
    redis_url: str,
    settings: Settings,
    ada: User,
) -> None:
    run_on(settings, family, name)
    with STATES[state](redis, redis_url) as url:
        settings.CACHES = caches(url)
        statuses = checked_statuses()
        assert statuses["database"] == "ok"
        if family == "ours" and name == "cached_db":
            # The sessions are stored as rows.
            assert statuses["sessions"] == "ok"
            assert statuses["cache"] == status_of_store(CacheStore)
        else:
            assert statuses["sessions"] == status_of_store(running_engine.store())


def test_probe_that_cannot_be_deleted_expires_within_a_minute(
    redis: Redis, redis_url: str, settings: Settings
) -> None:
    run_on(settings, "Django's", "cache")
    with STATES["without deletes"](redis, redis_url) as url:
        settings.CACHES = caches(url)
        assert Client().get("/health/").status_code == 503
        ttls = [redis.ttl(key) for key in redis.scan_iter()]
    assert ttls
    assert all(0 < seconds <= 60 for seconds in ttls)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:{port}/0?sessions_db=0", "redis+cluster://127.0.0.1:{port}"]
)
@pytest.mark.parametrize("family", WHOSE)
def test_redis_in_cluster_mode(
    family: Whose, url: str, settings: Settings, ada: User, tmp_path: Path
) -> None:
    """A cluster of one shard, as many hosted ones are: no command may have two keys."""
    server = StoppableRedis(tmp_path, "--cluster-enabled", "yes")
    server.start()
    try:
        with Redis(port=server.port) as redis:
            redis.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            while b"cluster_state:ok" not in redis.execute_command("CLUSTER", "INFO"):
                pass
        settings.CACHES = caches(url.format(port=server.port))
        run_on(settings, family, "cache")
        statuses = checked_statuses()
        assert statuses["sessions"] == status_of_store(running_engine.store())
    finally:
        server.kill()


@pytest.mark.parametrize("family", WHOSE)
def test_hanging_redis(
    family: Whose,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.2)
    run_on(settings, family, "cache")
    redis = StoppableRedis(tmp_path)
    redis.start()
    try:
        settings.CACHES = caches(redis.url)
        redis.freeze()
        for _ in range(10):
            response = Client().get("/health/")
            assert (response.status_code, response.json()["sessions"]) == (503, "unreachable")
            threads = [thread for thread in all_threads() if thread.name == "health: sessions"]
            assert len(threads) <= 1
        redis.thaw()
        assert health.SESSIONS._ended.wait(60)
        monkeypatch.setattr(health, "PROBE_TIMEOUT", 60)
        assert Client().get("/health/").json()["sessions"] == "ok"
    finally:
        redis.kill()


# PostgreSQL


@pytest.fixture
def postgresql(
    stores: dict[str, str], redis: Redis, redis_url: str, settings: Settings
) -> Iterator[str]:
    """The site's database, with a password that the hasher of the tests can verify."""
    settings.CACHES = caches(redis_url)
    url = stores["DATABASE_URL"]
    with connected(url):
        User.objects.filter(username="ada").update(password=make_password("cookies"))
        assert sign_in_works()
        yield url


@pytest.mark.parametrize("name", ["db", "cache", "cached_db"])
@pytest.mark.parametrize("family", WHOSE)
def test_read_only_postgresql(
    name: str, family: Whose, postgresql: str, settings: Settings
) -> None:
    """Nobody can sign in on any engine, as a sign-in writes the user's ``last_login``."""
    run_on(settings, family, name)
    with read_only(postgresql):
        statuses = checked_statuses()
        assert statuses["database"] == "read-only"
        assert statuses["sessions"] == status_of_store(running_engine.store())
    if name == "cache":
        # It works as soon as the database is writable: no earlier connection is left.
        assert sign_in_works()


@pytest.mark.parametrize("table", ["django_session", "demo_user"])
@pytest.mark.parametrize("name", ["db", "cache"])
@pytest.mark.parametrize("family", WHOSE)
def test_missing_table(
    table: str, name: str, family: Whose, postgresql: str, settings: Settings
) -> None:
    run_on(settings, family, name)
    with psycopg.connect(postgresql, autocommit=True) as administrator:
        administrator.execute(f"ALTER TABLE {table} RENAME TO gone")
        try:
            statuses = checked_statuses()
            assert statuses["sessions"] == status_of_store(running_engine.store())
            broken = "database" if table == "demo_user" else "sessions"
            if name == "db" or broken == "database":
                assert statuses[broken] == "misconfigured"
        finally:
            administrator.execute(f"ALTER TABLE gone RENAME TO {table}")


@contextmanager
def without_user_table(url: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute("ALTER TABLE demo_user RENAME TO gone")
        try:
            yield
        finally:
            administrator.execute("ALTER TABLE gone RENAME TO demo_user")


@contextmanager
def with_wrong_user(url: str) -> Iterator[None]:
    with connected(urlsplit(url)._replace(netloc=f"nobody:secret@{host_of(url)}").geturl()):
        yield


@contextmanager
def without_database(url: str) -> Iterator[None]:
    with connected(urlsplit(url)._replace(path="/nowhere").geturl()):
        yield


def host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        (read_only, "make this server writable again."),
        (without_user_table, "Run manage.py migrate."),
        (with_wrong_user, "Correct the user and the password"),
        (without_database, "Create the database"),
    ],
)
def test_page_of_refusing_database_is_503_and_logs_remedy(
    state: Callable[[str], AbstractContextManager[None]],
    remedy: str,
    postgresql: str,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run_on(settings, "ours", "cache")
    browser = Client(raise_request_exception=False)
    caplog.clear()
    with state(postgresql):
        response = browser.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    assert response.status_code == 503
    assert "reports an error" in response.text
    (error,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert remedy in error.getMessage()
    assert "LINE 1" not in error.getMessage()
    assert error.exc_info is None


def test_hanging_database(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server accepts connections and never answers."""
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.2)
    run_on(settings, "ours", "db")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        connected(f"postgresql://somebody@127.0.0.1:{server.getsockname()[1]}/site"),
    ):
        for _ in range(5):
            response = Client().get("/health/")
            assert response.status_code == 503
            assert response.json() == {"database": "unreachable", "sessions": "unreachable"}
        assert sum(thread.name.startswith("health: ") for thread in all_threads()) == 2
        server.close()
        assert health.DATABASE._ended.wait(60)
        assert health.SESSIONS._ended.wait(60)


# Files


@pytest.fixture
def folder(disk: Path, settings: Settings) -> Iterator[Path]:  # noqa: F811
    settings.SESSION_FILE_PATH = disk
    forget_folder()
    yield disk
    forget_folder()


@contextmanager
def mounted_read_only(disk: Path) -> Iterator[None]:  # noqa: F811
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


@pytest.mark.parametrize("state", [full_disk, mounted_read_only])
@pytest.mark.parametrize("family", WHOSE)
def test_refusing_folder(
    state: Any, family: Whose, folder: Path, settings: Settings, ada: User
) -> None:
    run_on(settings, family, "file")
    with state(folder):
        statuses = checked_statuses()
        assert statuses["sessions"] != "ok"
        # Django's engine raises no error.
        assert family == "Django's" or statuses["sessions"] == status_of_store(
            running_engine.store()
        )
    assert checked_statuses()["sessions"] == "ok"
    remaining = [path.name for path in folder.iterdir() if ".lock" not in path.name]
    assert len(remaining) <= 1, "what a sign-out leaves"


# The system check


def test_check_uses_store_only_with_deploy_and_database(settings: Settings, redis: Redis) -> None:
    settings.CACHES = caches("redis://127.0.0.1:1")
    settings.SESSION_ENGINE = "cookieproj.engines.cache"

    def ids(**options: Any) -> set[str | None]:
        return {issue.id for issue in run_checks(**options)}

    assert "engines.E010" not in ids()
    assert "engines.E010" not in ids(include_deployment_checks=True)
    # As migrate runs the checks before it creates the table.
    assert "engines.E010" not in ids(databases=["default"])
    assert "engines.E010" in ids(include_deployment_checks=True, databases=["default"])


def test_check_shows_error_and_remedy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, redis: Redis, redis_url: str
) -> None:
    error = StoreFullError("Redis there", "OOM")

    def refuse(store: type[SessionBase]) -> None:
        if not store.__module__.endswith("db"):
            raise error
        probe(store)

    monkeypatch.setattr("cookieproj.engines.checks.probe", refuse)
    settings.CACHES = caches(redis_url)
    message = "The session store is full: Redis there. OOM."
    for name, expected_type in (("cache", Error), ("cached_db", CheckWarning)):
        settings.SESSION_ENGINE = f"cookieproj.engines.{name}"
        (issue,) = sessions_can_be_stored(databases=["default"])
        assert (type(issue), issue.msg, issue.hint) == (expected_type, message, str(error.remedy))
    cache_connections["sessions"].clear()
