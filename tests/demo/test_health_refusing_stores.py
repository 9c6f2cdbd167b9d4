"""What /health/ and the system check say of stores that refuse: the same as a sign-in finds out."""

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

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unwatched")]


@pytest.fixture(autouse=True)
def tried_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_INTERVAL", 0)


def a_sign_in_works() -> bool:
    """Ada's by the form, over a session that is there already; and out again."""
    browser = Client(raise_request_exception=False)
    browser.post("/sessions/set-item/", {"key": "color", "value": "blue"})
    browser.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    if browser.get("/auth/account/").status_code != 200:
        return False
    cookie = browser.cookies["sessionid"].value
    browser.post("/auth/sign-out/")
    browser.cookies["sessionid"] = cookie
    return browser.get("/auth/account/").status_code != 200


def agreed() -> dict[str, str]:
    """What /health/ says: 200 where a visitor can sign in, and out again, and else 503."""
    works = a_sign_in_works()
    response = Client().get("/health/")
    said: dict[str, str] = response.json()
    assert response.status_code == (200 if works else 503), said
    issues = sessions_can_be_stored(databases=["default"])
    assert ("engines.E010" in [issue.id for issue in issues]) == (said["sessions"] != "ok")
    assert ("engines.W010" in [issue.id for issue in issues]) == (
        said["sessions"] == "ok" and said.get("cache", "ok") != "ok"
    )
    return said


def word_of(store: Any) -> str:
    """How it goes when a session is stored there, changed, given a new key, and removed."""
    try:
        session = store()
        session["color"] = "blue"
        session.save()
        session = store(session.session_key)
        session["color"] = "red"
        session.cycle_key()
        session.save()
        session.delete()
    except Exception as error:  # noqa: BLE001 - Django's raise what the driver does
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
def a_replica(redis: Redis, url: str) -> Iterator[str]:
    redis.replicaof("127.0.0.1", "1")
    try:
        yield url
    finally:
        redis.replicaof("NO", "ONE")


def without(*rights: str) -> "State":
    @contextmanager
    def state(redis: Redis, url: str) -> Iterator[str]:
        rest = ["on", ">secret", "~*", "&*", "+@all", *(f"-{right}" for right in rights)]
        redis.execute_command("ACL", "SETUSER", "site", *rest)  # type: ignore[no-untyped-call]
        try:
            yield url.replace("redis://", "redis://site:secret@")
        finally:
            redis.acl_deluser("site")

    return state


State = Callable[[Redis, str], AbstractContextManager[str]]
STATES: dict[str, State] = {
    "full": full,
    "a replica": a_replica,
    "without scripts": without("@scripting"),
    "without writes": without("@write"),
    "without removals": without("del", "unlink", "getdel", "@scripting"),
}


@pytest.fixture
def redis(redis_url: str, settings: Settings) -> Iterator[Redis]:
    """Where the sessions are, as its administrator."""
    settings.SESSION_CACHE_ALIAS = "sessions"
    with Redis.from_url(f"{redis_url}/1") as redis:
        redis.flushdb()
        yield redis
        forget_pending()
        redis.flushdb()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["cache", "cached_db"])
@pytest.mark.parametrize("family", WHOSE)
def test_a_redis_that_refuses(
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
        said = agreed()
        assert said["database"] == "ok"
        if family == "ours" and name == "cached_db":
            # The rows are there.
            assert said["sessions"] == "ok"
            assert said["cache"] == word_of(CacheStore)
        else:
            assert said["sessions"] == word_of(running_engine.store())


def test_what_cannot_be_removed_goes_within_a_minute(
    redis: Redis, redis_url: str, settings: Settings
) -> None:
    run_on(settings, "Django's", "cache")
    with STATES["without removals"](redis, redis_url) as url:
        settings.CACHES = caches(url)
        assert Client().get("/health/").status_code == 503
        lives = [redis.ttl(key) for key in redis.scan_iter()]
    assert lives
    assert all(0 < seconds <= 60 for seconds in lives)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:{port}/0?sessions_db=0", "redis+cluster://127.0.0.1:{port}"]
)
@pytest.mark.parametrize("family", WHOSE)
def test_a_redis_in_cluster_mode(
    family: Whose, url: str, settings: Settings, ada: User, tmp_path: Path
) -> None:
    """Of one shard, as hosted ones often are: no command may have two keys."""
    server = StoppableRedis(tmp_path, "--cluster-enabled", "yes")
    server.start()
    try:
        with Redis(port=server.port) as redis:
            redis.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            while b"cluster_state:ok" not in redis.execute_command("CLUSTER", "INFO"):
                pass
        settings.CACHES = caches(url.format(port=server.port))
        run_on(settings, family, "cache")
        said = agreed()
        assert said["sessions"] == word_of(running_engine.store())
    finally:
        server.kill()


@pytest.mark.parametrize("family", WHOSE)
def test_a_redis_that_is_silent(
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
            said = Client().get("/health/")
            assert (said.status_code, said.json()["sessions"]) == (503, "unreachable")
            threads = [each for each in all_threads() if each.name == "health: sessions"]
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
    """The site's database, with an account that the hasher of these tests knows."""
    settings.CACHES = caches(redis_url)
    url = stores["DATABASE_URL"]
    with connected(url):
        User.objects.filter(username="ada").update(password=make_password("cookies"))
        assert a_sign_in_works()
        yield url


@pytest.mark.parametrize("name", ["db", "cache", "cached_db"])
@pytest.mark.parametrize("family", WHOSE)
def test_a_postgresql_that_is_read_only(
    name: str, family: Whose, postgresql: str, settings: Settings
) -> None:
    """Nobody signs in, whatever the engine: when a user last did so is written there."""
    run_on(settings, family, name)
    with read_only(postgresql):
        said = agreed()
        assert said["database"] == "read-only"
        assert said["sessions"] == word_of(running_engine.store())
    if name == "cache":
        # And as soon as it is writable again: no connection of before stays.
        assert a_sign_in_works()


@pytest.mark.parametrize("table", ["django_session", "demo_user"])
@pytest.mark.parametrize("name", ["db", "cache"])
@pytest.mark.parametrize("family", WHOSE)
def test_a_table_that_is_missing(
    table: str, name: str, family: Whose, postgresql: str, settings: Settings
) -> None:
    run_on(settings, family, name)
    with psycopg.connect(postgresql, autocommit=True) as administrator:
        administrator.execute(f"ALTER TABLE {table} RENAME TO gone")
        try:
            said = agreed()
            assert said["sessions"] == word_of(running_engine.store())
            bad = "database" if table == "demo_user" else "sessions"
            if name == "db" or bad == "database":
                assert said[bad] == "misconfigured"
        finally:
            administrator.execute(f"ALTER TABLE gone RENAME TO {table}")


@contextmanager
def without_users(url: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute("ALTER TABLE demo_user RENAME TO gone")
        try:
            yield
        finally:
            administrator.execute("ALTER TABLE gone RENAME TO demo_user")


@contextmanager
def with_a_wrong_user(url: str) -> Iterator[None]:
    with connected(urlsplit(url)._replace(netloc=f"nobody:secret@{where(url)}").geturl()):
        yield


@contextmanager
def without_a_database(url: str) -> Iterator[None]:
    with connected(urlsplit(url)._replace(path="/nowhere").geturl()):
        yield


def where(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        (read_only, "make this server writable again."),
        (without_users, "Run manage.py migrate."),
        (with_a_wrong_user, "Correct the user and the password"),
        (without_a_database, "Create the database"),
    ],
)
def test_a_page_of_a_database_that_refuses_asks_nobody_to_try_again(
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
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert remedy in line.getMessage()
    assert "LINE 1" not in line.getMessage()
    assert line.exc_info is None


def test_a_database_that_is_silent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are taken, and nothing is ever answered."""
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.2)
    run_on(settings, "ours", "db")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        connected(f"postgresql://somebody@127.0.0.1:{silent.getsockname()[1]}/site"),
    ):
        for _ in range(5):
            said = Client().get("/health/")
            assert said.status_code == 503
            assert said.json() == {"database": "unreachable", "sessions": "unreachable"}
        assert sum(each.name.startswith("health: ") for each in all_threads()) == 2
        silent.close()
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
def test_a_folder_that_refuses(
    state: Any, family: Whose, folder: Path, settings: Settings, ada: User
) -> None:
    run_on(settings, family, "file")
    with state(folder):
        said = agreed()
        assert said["sessions"] != "ok"
        # Django's engine is silent.
        assert family == "Django's" or said["sessions"] == word_of(running_engine.store())
    assert agreed()["sessions"] == "ok"
    left = [path.name for path in folder.iterdir() if ".lock" not in path.name]
    assert len(left) <= 1, "what a sign-in out leaves"


# The system check


def test_the_check_goes_to_the_store_on_request_alone(settings: Settings, redis: Redis) -> None:
    settings.CACHES = caches("redis://127.0.0.1:1")
    settings.SESSION_ENGINE = "cookieproj.engines.cache"

    def ids(**options: Any) -> set[str | None]:
        return {issue.id for issue in run_checks(**options)}

    assert "engines.E010" not in ids()
    assert "engines.E010" not in ids(include_deployment_checks=True)
    # As migrate does, which is to make the table.
    assert "engines.E010" not in ids(databases=["default"])
    assert "engines.E010" in ids(include_deployment_checks=True, databases=["default"])


def test_the_check_has_the_sentence_and_the_remedy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, redis: Redis, redis_url: str
) -> None:
    error = StoreFullError("Redis there", "OOM")

    def refuse(store: type[SessionBase]) -> None:
        if not store.__module__.endswith("db"):
            raise error
        probe(store)

    monkeypatch.setattr("cookieproj.engines.checks.probe", refuse)
    settings.CACHES = caches(redis_url)
    text = "The session store is full: Redis there. OOM."
    for name, kind in (("cache", Error), ("cached_db", CheckWarning)):
        settings.SESSION_ENGINE = f"cookieproj.engines.{name}"
        (issue,) = sessions_can_be_stored(databases=["default"])
        assert (type(issue), issue.msg, issue.hint) == (kind, text, str(error.remedy))
    cache_connections["sessions"].clear()
