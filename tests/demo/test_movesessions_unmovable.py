"""Sessions that cannot be moved or read are reported, and do not stop the others."""

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
from tests.families import SERVER_ENGINES

from .test_movesessions import engine_class, move, save_session, use_engine

pytestmark = pytest.mark.usefixtures("db", "empty_stores")

CACHE_PREFIX = ":1:django.contrib.sessions.cache"
BAD_KEY = "badsession0123456789abcdefghijkl"
SHORT_BAD_KEY = "badsessi…"

NOBODY = 65534

MOVE_OPTIONS = pytest.mark.parametrize("option", ["", "--keep", "--dry-run"])


def option_list(option: str) -> list[str]:
    return [option] if option else []


def set_payload(redis: Redis, key: str | bytes, payload: bytes) -> bytes:
    name = CACHE_PREFIX.encode() + (key if isinstance(key, bytes) else key.encode())
    redis.set(name, payload, ex=3600)
    return name


@pytest.fixture
def redis(redis_url: str, empty_stores: None, settings: Settings) -> Redis:
    """An empty Redis, which the cache alias ``handover`` reads as pickles."""
    client = Redis.from_url(f"{redis_url}/5")
    client.flushdb()
    previous = previous_cache(f"{redis_url}/5?serializer=pickle")
    settings.CACHES = {**settings.CACHES, "handover": previous}
    settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
    return client


@pytest.fixture(params=SERVER_ENGINES)
def target(request: pytest.FixtureRequest, settings: Settings, redis: Redis) -> str:
    """An engine that stores JSON, with a handover from a Redis that stores pickles."""
    engine: str = request.param
    use_engine(settings, engine, "cache")
    return engine


def nested_sets(levels: int) -> bytes:
    """The pickle of a set in a set in a set."""
    return b"\x80\x04}\x8c\x01a" + b"(" * levels + b"\x91" * levels + b"s."


@MOVE_OPTIONS
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
        nested_sets(1000),
        nested_sets(100_000),
        pickle.dumps(dict.fromkeys("ab"))[:-5],
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_unmovable_session_is_named_and_skipped(
    redis: Redis, target: str, option: str, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    good = ["a" * 32, "z" * 32]
    name = set_payload(redis, BAD_KEY, payload)
    for key in good:
        set_payload(redis, key, pickle.dumps({"a": key}))
    output = move("cache", target, "--batch-size", "1", *option_list(option))
    moved = {"": "2 moved", "--keep": "2 copied", "--dry-run": "2 to be moved"}[option]
    assert f"{moved}, 0 there already, 0 expired, 1 that could not be read" in output
    assert f"Not moved: {SHORT_BAD_KEY}" in output
    assert SHORT_BAD_KEY in caplog.text
    assert BAD_KEY not in output + caplog.text
    assert redis.get(name) == payload
    assert [engine_class(target)(key).get("a") for key in good] == (
        [None, None] if option == "--dry-run" else good
    )
    assert engine_class(target)(BAD_KEY).load() == {}


@pytest.mark.parametrize("option", ["", "--keep"])
def test_dictionary_keys_become_strings(redis: Redis, target: str, option: str) -> None:
    set_payload(redis, BAD_KEY, pickle.dumps({1: "x", "a": {None: 1, "b": 2}}))
    output = move("cache", target, *option_list(option))
    assert "0 that could not be read" in output
    data = engine_class(target)(BAD_KEY).load()
    assert (data["1"], data["a"]) == ("x", {"null": 1, "b": 2})


@MOVE_OPTIONS
@pytest.mark.parametrize(
    "key", ["short", "k" * 60, "", b"half\xffk0123456789abcdefghijklmnop", "with space 0123456789"]
)
def test_unusual_session_key_does_not_stop_others(
    redis: Redis, target: str, option: str, key: Any
) -> None:
    name = set_payload(redis, key, pickle.dumps({"a": "odd"}))
    set_payload(redis, "a" * 32, pickle.dumps({"a": "good"}))
    output = move("cache", target, *option_list(option))
    assert "0 there already, 0 expired" in output
    if option != "--dry-run":
        assert engine_class(target)("a" * 32)["a"] == "good"
    if "1 that could not be read" in output:
        assert redis.exists(name)
        assert "Not moved: " in output


@MOVE_OPTIONS
def test_list_under_name_of_session_is_skipped(redis: Redis, target: str, option: str) -> None:
    redis.rpush(f"{CACHE_PREFIX}{BAD_KEY}", "a", "list")
    set_payload(redis, "a" * 32, pickle.dumps({"a": "good"}))
    output = move("cache", target, *option_list(option))
    assert "1 that could not be read" in output
    assert f"Not moved: {SHORT_BAD_KEY}" in output
    assert redis.llen(f"{CACHE_PREFIX}{BAD_KEY}") == 2


def test_only_first_unmovable_sessions_are_named(redis: Redis, target: str) -> None:
    for number in range(12):
        set_payload(redis, f"{number:02}{BAD_KEY}", b"broken")
    output = move("cache", target, "--batch-size", "5")
    assert "12 that could not be read" in output
    assert output.count("…") == 10
    assert " and 2 more. The log says why." in output


def test_session_that_becomes_unmovable_during_move_stays(settings: Settings, redis: Redis) -> None:
    """Its earlier state, already inserted in the target, is deleted there."""
    use_engine(settings, "db", "cache")
    name = set_payload(redis, BAD_KEY, pickle.dumps({"a": 1}))
    original = BatchMover.insert_into_new

    def insert_then_change(self: BatchMover, listed: Any) -> Any:
        result = original(self, listed)
        redis.set(name, pickle.dumps({"a": {1, 2}}), ex=3600)
        return result

    with mock.patch.object(BatchMover, "insert_into_new", insert_then_change):
        output = move("cache", "db")
    assert "0 moved, 0 there already, 0 expired, 1 that could not be read" in output
    assert f"Not moved: {SHORT_BAD_KEY}" in output
    assert engine_class("db")(BAD_KEY).load() == {}
    assert redis.get(name) == pickle.dumps({"a": {1, 2}})


class TestSize:
    @pytest.fixture
    def keys(self) -> list[str]:
        small, large = save_session("db", a=1), save_session("db", a=secrets.token_hex(1_000_000))
        return [small, large]

    @pytest.mark.parametrize("option", ["", "--keep"])
    def test_session_too_large_for_target_is_skipped(
        self,
        settings: Settings,
        memcached_url: str,
        keys: list[str],
        option: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        settings.CACHES = caches(memcached_url)
        use_engine(settings, "cache", "db")
        output = move("db", "cache", *option_list(option))
        assert "1 that could not be read" in output
        assert f"Not moved: {keys[1][:8]}…" in output
        assert keys[1][:8] in caplog.text
        assert engine_class("cache")(keys[0])["a"] == 1
        assert len(engine_class("db")(keys[1])["a"]) == 2_000_000

    def test_full_target_is_an_error(
        self, settings: Settings, redis_url: str, keys: list[str]
    ) -> None:
        use_engine(settings, "cache", "db")
        client = Redis.from_url(redis_url)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1kb")
        try:
            with pytest.raises(CommandError) as error:
                move("db", "cache")
        finally:
            client.config_set("maxmemory", "0")
        assert "The session store is full" in str(error.value)
        assert [engine_class("db")(key).exists(key) for key in keys] == [True, True]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_key_too_long_for_column_is_skipped(
    settings: Settings,
    redis: Redis,
    kind: str,
    request: pytest.FixtureRequest,
    django_db_blocker: Any,
) -> None:
    url = new_database(request.getfixturevalue(f"{kind}_url"), "long_keys")
    use_engine(settings, "db", "cache")
    set_payload(redis, "k" * 60, pickle.dumps({"a": 1}))
    set_payload(redis, "a" * 32, pickle.dumps({"a": 2}))
    with connected(url):
        call_command("migrate", verbosity=0)
        output = move("cache", "db")
        assert "1 moved, 0 there already, 0 expired, 1 that could not be read" in output
        assert "Not moved: kkkkkkkk…" in output
        assert engine_class("db")("a" * 32)["a"] == 2


class TestListing:
    """Entries that are not sessions do not prevent listing and counting."""

    @pytest.fixture
    def staff_browser(self, admin: User) -> Client:
        return browser(admin)

    @pytest.fixture(params=["list", "name", "payload"])
    def odd_entry(self, request: pytest.FixtureRequest, settings: Settings, redis_url: str) -> None:
        use_engine(settings, "cache")
        sessions = Redis.from_url(f"{redis_url}/1")
        name = CACHE_PREFIX.encode() + BAD_KEY.encode()
        if request.param == "list":
            sessions.rpush(name, "a", "list")
        elif request.param == "name":
            sessions.set(name + b"\xff", b'{"a": 1}')
        else:
            sessions.set(name, b"\xff no JSON")

    def test_admin_lists_odd_entry(self, odd_entry: None, staff_browser: Client) -> None:
        page = staff_browser.get("/admin/cookieproj_engines/storedsession/")
        assert page.status_code == 200
        assert SHORT_BAD_KEY in page.text

    def test_odd_entry_is_counted(self, odd_entry: None) -> None:
        save_session("cache", a=1)
        assert engine_class("cache").count() == 2
        assert engine_class("cache").count_expired() == 0
        assert len(list(engine_class("cache").walk())) == 2
        call_command("clearsessions", verbosity=0)

    @pytest.mark.parametrize(
        "data", [{("a", 1): "shown"}, {"a": {("b",): "shown"}}, {"a": nested_sets}]
    )
    def test_session_that_json_cannot_represent_has_a_page(
        self, settings: Settings, redis_url: str, admin: User, data: Any
    ) -> None:
        cache_settings = caches(f"{redis_url}/0")
        serializer = "django_redis.serializers.pickle.PickleSerializer"
        cache_settings["sessions"]["OPTIONS"]["SERIALIZER"] = serializer
        settings.CACHES = cache_settings
        cache_connections["sessions"].clear()
        use_engine(settings, "cache")
        client = browser(admin)
        key = save_session("cache", shown=1)
        session = engine_class("cache")(key)
        session.update(data)
        session.save()
        encrypted_key = inspector.encrypt(key, inspector.KEY)
        page = client.get(f"/admin/cookieproj_engines/storedsession/{encrypted_key}/change/")
        assert page.status_code == 200
        assert "shown" in page.text


class TestFiles:
    """A folder, a pipe or a link with the name of a session's file."""

    @pytest.fixture(params=["folder", "pipe", "link"])
    def odd_entry(self, request: pytest.FixtureRequest, settings: Settings) -> Path:
        use_engine(settings, "file")
        path = Path(str(settings.SESSION_FILE_PATH)) / f"sessionid{BAD_KEY}"
        create: dict[str, Callable[[Path], Any]] = {
            "folder": Path.mkdir,
            "pipe": os.mkfifo,
            "link": lambda path: path.symlink_to("/etc/passwd"),
        }
        create[request.param](path)
        os.utime(path, (0, 0), follow_symlinks=False)
        return path

    def test_odd_file_does_not_stop_walking(self, odd_entry: Path, settings: Settings) -> None:
        key = save_session("file", a=1)
        expected = {key, BAD_KEY} if odd_entry.is_dir() else {key}
        assert {listed.key for listed in FileStore.walk()} == expected
        assert {listed.key for listed in FileStore.page().sessions} == expected
        FileStore.count_expired()
        call_command("clearsessions", verbosity=0)
        use_engine(settings, "db", "file")
        assert "1 moved" in move("file", "db")

    @pytest.mark.parametrize("odd_entry", ["pipe", "link"], indirect=True)
    def test_request_with_key_of_odd_file_does_not_block(self, odd_entry: Path) -> None:
        assert FileStore(BAD_KEY).load() == {}


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Run as another user than root, who may read everything, and give this user the folder."""
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
        """A folder that other users may enter, unlike pytest's own."""
        with tempfile.TemporaryDirectory(prefix="cookieproj-") as name:
            yield Path(name)

    @pytest.fixture
    def keys(self, settings: Settings, folder: Path) -> list[str]:
        """The keys of a readable session and of two unreadable ones."""
        settings.SESSION_FILE_PATH = folder
        forget_folder()
        use_engine(settings, "db", "file")
        keys = [save_session("file", a=1), save_session("file", a=2), save_session("file", 60, a=3)]
        for key in keys[1:]:
            (folder / f"sessionid{key}").chmod(0o000)
        readable = folder / f"sessionid{keys[0]}"
        os.chown(readable, NOBODY if os.geteuid() == 0 else -1, -1)
        for lock in folder.glob(".*"):
            os.chown(lock, NOBODY if os.geteuid() == 0 else -1, -1)
        return keys

    def test_unreadable_files_do_not_stop_walking(
        self, keys: list[str], folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with unprivileged(folder):
            assert {listed.key for listed in FileStore.walk()} == set(keys)
            assert FileStore.count() == 3
            assert FileStore.count_expired() == 0
            assert FileStore.clear_expired() == 0
            output = move("file", "db", "--dry-run")
        assert "1 to be moved, 0 there already, 0 expired, 2 that could not be read" in output
        assert "Give the user who runs this process write access" in caplog.text

    def test_folder_of_another_user_is_an_error(self, keys: list[str], folder: Path) -> None:
        folder.chmod(0o555)
        with unprivileged(folder), pytest.raises(StoreMisconfiguredError):
            list(FileStore.walk())
