"""Sessions that cannot be moved or read do not stop the others."""

import os
import pickle
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.cache import caches as cache_connections
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings
from redis import Redis

from cookieproj.engines import inspector
from cookieproj.engines.exceptions import StoreMisconfiguredError
from cookieproj.engines.file import SessionStore as FileStore
from cookieproj.engines.handover.move_all import BatchMover
from cookieproj.settings.caches import caches, previous_cache
from demo.models import User
from tests.browsers import browser
from tests.conftest import connected, forget_folder, new_database

from .test_movesessions import moved, run, store, stored

pytestmark = pytest.mark.usefixtures("db", "empty_stores")

NAME = ":1:django.contrib.sessions.cache"
BAD = "badsession0123456789abcdefghijkl"
IN_PART = "badsessi…"

NOBODY = 65534

OPTIONS = pytest.mark.parametrize("option", ["", "--keep", "--dry-run"])


def option_list(option: str) -> list[str]:
    return [option] if option else []


def plant(redis: Redis, key: str | bytes, payload: bytes) -> bytes:
    name = NAME.encode() + (key if isinstance(key, bytes) else key.encode())
    redis.set(name, payload, ex=3600)
    return name


@pytest.fixture
def redis(redis_url: str, empty_stores: None, settings: Settings) -> Redis:
    """Empty; with the name of the alias ``handover``, by which it is read as pickles."""
    client = Redis.from_url(f"{redis_url}/5")
    client.flushdb()
    previous = previous_cache(f"{redis_url}/5?serializer=pickle")
    settings.CACHES = {**settings.CACHES, "handover": previous}
    settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
    return client


@pytest.fixture(params=["db", "cache", "file", "cached_db"])
def target(request: pytest.FixtureRequest, settings: Settings, redis: Redis) -> str:
    """An engine that stores JSON, with a handover from a Redis that stores pickles."""
    engine: str = request.param
    run(settings, engine, "cache")
    return engine


def deep(levels: int) -> bytes:
    """The pickle of a set in a set in a set."""
    return b"\x80\x04}\x8c\x01a" + b"(" * levels + b"\x91" * levels + b"s."


@OPTIONS
@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps({("a", 1): "x"}),
        pickle.dumps({"a": {("b",): "x"}}),
        pickle.dumps({"number": 1j}),
        pickle.dumps({"set": {1, 2}}),
        pickle.dumps(["no", "dict"]),
        b"no pickle",
        b"",
        b"cgone\nThing\n.",
        deep(1000),
        deep(100_000),
        pickle.dumps(dict.fromkeys("ab"))[:-5],
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_one_that_cannot_be_moved_is_named_and_passed_over(
    redis: Redis, target: str, option: str, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    good = ["a" * 32, "z" * 32]
    name = plant(redis, BAD, payload)
    for key in good:
        plant(redis, key, pickle.dumps({"a": key}))
    said = moved("cache", target, "--batch-size", "1", *option_list(option))
    told = {"": "2 moved", "--keep": "2 copied", "--dry-run": "2 to be moved"}[option]
    assert f"{told}, 0 there already, 0 expired, 1 that could not be read" in said
    assert f"Not moved: {IN_PART}" in said
    assert IN_PART in caplog.text
    assert BAD not in said + caplog.text
    assert redis.get(name) == payload
    assert [store(target)(key).get("a") for key in good] == (
        [None, None] if option == "--dry-run" else good
    )
    assert store(target)(BAD).load() == {}


@pytest.mark.parametrize("option", ["", "--keep"])
def test_mixed_keys_become_those_of_json(redis: Redis, target: str, option: str) -> None:
    plant(redis, BAD, pickle.dumps({1: "x", "a": {None: 1, "b": 2}}))
    said = moved("cache", target, *option_list(option))
    assert "0 that could not be read" in said
    data = store(target)(BAD).load()
    assert (data["1"], data["a"]) == ("x", {"null": 1, "b": 2})


@OPTIONS
@pytest.mark.parametrize(
    "key", ["short", "k" * 60, "", b"half\xffk0123456789abcdefghijklmnop", "with space 0123456789"]
)
def test_a_key_of_an_odd_form(redis: Redis, target: str, option: str, key: Any) -> None:
    name = plant(redis, key, pickle.dumps({"a": "odd"}))
    plant(redis, "a" * 32, pickle.dumps({"a": "good"}))
    said = moved("cache", target, *option_list(option))
    assert "0 there already, 0 expired" in said
    if option != "--dry-run":
        assert store(target)("a" * 32)["a"] == "good"
    if "1 that could not be read" in said:
        assert redis.exists(name)
        assert "Not moved: " in said


@OPTIONS
def test_what_is_no_session_under_a_name_of_one(redis: Redis, target: str, option: str) -> None:
    redis.rpush(f"{NAME}{BAD}", "a", "list")
    plant(redis, "a" * 32, pickle.dumps({"a": "good"}))
    said = moved("cache", target, *option_list(option))
    assert "1 that could not be read" in said
    assert f"Not moved: {IN_PART}" in said
    assert redis.llen(f"{NAME}{BAD}") == 2


def test_of_many_the_first_are_named(redis: Redis, target: str) -> None:
    for number in range(12):
        plant(redis, f"{number:02}{BAD}", b"broken")
    said = moved("cache", target, "--batch-size", "5")
    assert "12 that could not be read" in said
    assert said.count("…") == 10
    assert " and 2 more. The log says why." in said


def test_what_has_become_unmovable_meanwhile_stays_as_it_has_become(
    settings: Settings, redis: Redis
) -> None:
    """Its earlier state, which was moved already, does not hide it."""
    run(settings, "db", "cache")
    name = plant(redis, BAD, pickle.dumps({"a": 1}))
    really = BatchMover.insert_into_new

    def changed_after(self: BatchMover, listed: Any) -> Any:
        answer = really(self, listed)
        redis.set(name, pickle.dumps({"a": {1, 2}}), ex=3600)
        return answer

    with mock.patch.object(BatchMover, "insert_into_new", changed_after):
        said = moved("cache", "db")
    assert "0 moved, 0 there already, 0 expired, 1 that could not be read" in said
    assert f"Not moved: {IN_PART}" in said
    assert store("db")(BAD).load() == {}
    assert redis.get(name) == pickle.dumps({"a": {1, 2}})


class TestSize:
    @pytest.fixture
    def keys(self) -> list[str]:
        small, large = stored("db", a=1), stored("db", a=secrets.token_hex(1_000_000))
        return [small, large]

    @pytest.mark.parametrize("option", ["", "--keep"])
    def test_too_large_for_the_new_store(
        self,
        settings: Settings,
        memcached_url: str,
        keys: list[str],
        option: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        settings.CACHES = caches(memcached_url)
        run(settings, "cache", "db")
        said = moved("db", "cache", *option_list(option))
        assert "1 that could not be read" in said
        assert f"Not moved: {keys[1][:8]}…" in said
        assert keys[1][:8] in caplog.text
        assert store("cache")(keys[0])["a"] == 1
        assert len(store("db")(keys[1])["a"]) == 2_000_000

    def test_but_a_store_that_is_full_is_an_error(
        self, settings: Settings, redis_url: str, keys: list[str]
    ) -> None:
        run(settings, "cache", "db")
        client = Redis.from_url(redis_url)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1kb")
        try:
            with pytest.raises(CommandError) as caught:
                moved("db", "cache")
        finally:
            client.config_set("maxmemory", "0")
        assert "The session store is full" in str(caught.value)
        assert [store("db")(key).exists(key) for key in keys] == [True, True]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_key_that_is_too_long_for_the_column(
    settings: Settings,
    redis: Redis,
    kind: str,
    request: pytest.FixtureRequest,
    django_db_blocker: Any,
) -> None:
    url = new_database(request.getfixturevalue(f"{kind}_url"), "long_keys")
    run(settings, "db", "cache")
    plant(redis, "k" * 60, pickle.dumps({"a": 1}))
    plant(redis, "a" * 32, pickle.dumps({"a": 2}))
    with connected(url):
        call_command("migrate", verbosity=0)
        said = moved("cache", "db")
        assert "1 moved, 0 there already, 0 expired, 1 that could not be read" in said
        assert "Not moved: kkkkkkkk…" in said
        assert store("db")("a" * 32)["a"] == 2


class TestListing:
    """Listing and counting all sessions, in the admin."""

    @pytest.fixture
    def staff(self, admin: User) -> Client:
        return browser(admin)

    @pytest.fixture(params=["list", "name", "payload"])
    def odd(self, request: pytest.FixtureRequest, settings: Settings, redis_url: str) -> None:
        run(settings, "cache")
        sessions = Redis.from_url(f"{redis_url}/1")
        name = NAME.encode() + BAD.encode()
        if request.param == "list":
            sessions.rpush(name, "a", "list")
        elif request.param == "name":
            sessions.set(name + b"\xff", b'{"a": 1}')
        else:
            sessions.set(name, b"\xff no JSON")

    def test_the_admin(self, odd: None, staff: Client) -> None:
        page = staff.get("/admin/cookieproj_engines/storedsession/")
        assert page.status_code == 200
        assert IN_PART in page.text

    def test_numbers(self, odd: None) -> None:
        stored("cache", a=1)
        assert store("cache").count() == 2
        assert store("cache").count_expired() == 0
        assert len(list(store("cache").walk())) == 2
        call_command("clearsessions", verbosity=0)

    @pytest.mark.parametrize("held", [{("a", 1): "shown"}, {"a": {("b",): "shown"}}, {"a": deep}])
    def test_one_that_json_cannot_hold_has_a_page(
        self, settings: Settings, redis_url: str, admin: User, held: Any
    ) -> None:
        found = caches(f"{redis_url}/0")
        serializer = "django_redis.serializers.pickle.PickleSerializer"
        found["sessions"]["OPTIONS"]["SERIALIZER"] = serializer
        settings.CACHES = found
        cache_connections["sessions"].clear()
        run(settings, "cache")
        staff = browser(admin)
        key = stored("cache", shown=1)
        session = store("cache")(key)
        session.update(held)
        session.save()
        name = inspector.encrypt(key, inspector.KEY)
        page = staff.get(f"/admin/cookieproj_engines/storedsession/{name}/change/")
        assert page.status_code == 200
        assert "shown" in page.text


class TestFiles:
    """A folder, a pipe or somebody else's file that is named as a session."""

    @pytest.fixture(params=["folder", "pipe", "link"])
    def odd(self, request: pytest.FixtureRequest, settings: Settings) -> Path:
        run(settings, "file")
        path = Path(str(settings.SESSION_FILE_PATH)) / f"sessionid{BAD}"
        make: dict[str, Callable[[Path], Any]] = {
            "folder": Path.mkdir,
            "pipe": os.mkfifo,
            "link": lambda path: path.symlink_to("/etc/passwd"),
        }
        make[request.param](path)
        os.utime(path, (0, 0), follow_symlinks=False)
        return path

    def test_going_through_all(self, odd: Path, settings: Settings) -> None:
        key = stored("file", a=1)
        found = {key, BAD} if odd.is_dir() else {key}
        assert {listed.key for listed in FileStore.walk()} == found
        assert {listed.key for listed in FileStore.page().sessions} == found
        FileStore.count_expired()
        call_command("clearsessions", verbosity=0)
        run(settings, "db", "file")
        assert "1 moved" in moved("file", "db")

    @pytest.mark.parametrize("odd", ["pipe", "link"], indirect=True)
    def test_a_request_with_its_key_waits_for_nothing(self, odd: Path) -> None:
        assert FileStore(BAD).load() == {}


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Not as root, who may read everything; that folder is this user's."""
    if os.geteuid():
        yield
        return
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class TestFilesOfAnotherUser:
    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        """Not pytest's own, which nobody else may enter."""
        with tempfile.TemporaryDirectory(prefix="cookieproj-") as name:
            yield Path(name)

    @pytest.fixture
    def keys(self, settings: Settings, folder: Path) -> list[str]:
        """Of one that can be read, one that has been made unreadable, and an expired such one."""
        settings.SESSION_FILE_PATH = folder
        forget_folder()
        run(settings, "db", "file")
        keys = [stored("file", a=1), stored("file", a=2), stored("file", 60, a=3)]
        for key in keys[1:]:
            (folder / f"sessionid{key}").chmod(0o000)
        own = folder / f"sessionid{keys[0]}"
        os.chown(own, NOBODY if os.geteuid() == 0 else -1, -1)
        for lock in folder.glob(".*"):
            os.chown(lock, NOBODY if os.geteuid() == 0 else -1, -1)
        return keys

    def test_going_through_all(
        self, keys: list[str], folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with unprivileged(folder):
            assert {listed.key for listed in FileStore.walk()} == set(keys)
            assert FileStore.count() == 3
            assert FileStore.count_expired() == 0
            assert FileStore.clear_expired() == 0
            said = moved("file", "db", "--dry-run")
        assert "1 to be moved, 0 there already, 0 expired, 2 that could not be read" in said
        assert "Give the user who runs this process write access" in caplog.text

    def test_where_all_is_anothers_it_is_an_error(self, keys: list[str], folder: Path) -> None:
        folder.chmod(0o555)
        with unprivileged(folder), pytest.raises(StoreMisconfiguredError):
            list(FileStore.walk())
