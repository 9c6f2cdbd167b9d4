"""``manage.py movesessions`` moves sessions from one engine to another under their keys."""

import io
import pickle
import signal
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from cookieproj.devices.models import SignedInSession
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from cookieproj.engines.constants import COPY_MARK
from cookieproj.engines.handover import session_store
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover.move_all import BatchMover
from cookieproj.engines.handover_mixin import store_of
from cookieproj.settings.caches import caches, previous_cache
from demo.models import User
from tests.browsers import again, browser, key_of, row_of
from tests.engines.handover_switch import SERVER_PAIRS, Browser, flush
from tests.families import SERVER_ENGINES, mirrored
from tests.stores import before, steps_of

pytestmark = pytest.mark.usefixtures("db", "empty_stores")


def use_engine(settings: Settings, engine: str, previous: str = "") -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{engine}"
    settings.SESSION_HANDOVER_FROM = previous


def engine_class(engine: str) -> Any:
    """Return the SessionStore of the engine, without the handover."""
    return handover_engine(engine).store


def save_session(engine: str, expiry: Any = None, **data: Any) -> str:
    session = engine_class(engine)()
    session.update(data)
    session.set_expiry(expiry)
    session.save()
    key: str = session.session_key
    return key


def expiry_of(engine: str, key: str) -> Any:
    entry = store_of(engine_class(engine)).read(key, with_expiry=True)
    return entry and entry.expires


def move(old: str, new: str, *options: str) -> str:
    out = io.StringIO()
    call_command("movesessions", "--from", old, "--to", new, *options, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_moves_sessions_under_their_keys(settings: Settings, old: str, new: str) -> None:
    use_engine(settings, new, old)
    in_a_week = timezone.now() + timedelta(days=7)
    keys = [save_session(old, in_a_week, number=number) for number in range(5)]
    output = move(old, new, "--batch-size", "2")
    assert "5 moved, 0 there already, 0 expired, 0 that could not be read" in output
    for number, key in enumerate(keys):
        assert engine_class(new)(key)["number"] == number
        assert abs(expiry_of(new, key) - in_a_week) < timedelta(seconds=3)
        assert engine_class(old)(key).load() == {}
    assert "0 moved" in move(old, new)


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_session_already_in_target_is_kept(settings: Settings, old: str, new: str) -> None:
    use_engine(settings, new, old)
    key = save_session(old, number=1)
    newer = engine_class(new)()
    newer["number"] = 2
    newer._session_key = key
    newer.save(must_create=True)
    assert "0 moved, 1 there already" in move(old, new)
    assert engine_class(new)(key)["number"] == 2
    # The new engine serves it, so the old copy is deleted.
    assert engine_class(old)(key).load() == {}


@pytest.mark.parametrize("old", ["db", "file", "cached_db"])
def test_expired_sessions_are_counted_and_not_moved(settings: Settings, old: str) -> None:
    use_engine(settings, "cache", old)
    save_session(old, -60, number=1)
    save_session(old, number=2)
    assert "1 moved, 0 there already, 1 expired" in move(old, "cache")


@pytest.mark.parametrize("old", ["db", "file", "cache"])
def test_unreadable_session_is_counted_and_not_moved(settings: Settings, old: str) -> None:
    new = "cache" if old == "file" else "file"
    use_engine(settings, new, old)
    key = save_session(old, number=1)
    session = engine_class(old)(key)
    if old == "db":
        session.model.objects.update(session_data="broken")
    elif old == "file":
        Path(session._key_to_file()).write_bytes(b"broken")
    else:
        adapter_for(session._cache).client.set(  # type: ignore[attr-defined]
            session._cache.make_key(session.cache_key), b"broken", ex=60
        )
    assert "0 moved, 0 there already, 0 expired, 1 that could not be read" in move(old, new)
    assert engine_class(old)(key).locate()


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_dry_run_reports_the_same_and_moves_nothing(settings: Settings, old: str, new: str) -> None:
    use_engine(settings, new, old)
    key = save_session(old, number=1)
    output = move(old, new, "--dry-run")
    assert "1 to be moved, 0 there already" in output
    assert engine_class(new)(key).load() == {}
    assert output.replace("to be ", "") == move(old, new)


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_copies_are_updated_until_switch(settings: Settings, old: str, new: str) -> None:
    use_engine(settings, old)
    changed, ended, same = Browser(), Browser(), Browser()
    for visitor in (changed, ended, same):
        visitor.set(a=1)
    stolen = ended.copy()
    # The site runs on the old engine, so the originals are kept.
    assert "3 copied" in move(old, new)
    assert same.read() == {"a": 1}
    changed.set(b=2)
    ended.visit(flush)
    assert "1 copied, 1 there already" in move(old, new)
    changed.set(c=3)
    use_engine(settings, new, old)
    assert changed.read() == {"a": 1, "b": 2, "c": 3}
    assert stolen.copy().read() == {}
    assert not engine_class(new)(stolen.cookie).locate()
    assert same.read() == {"a": 1}
    assert COPY_MARK not in engine_class(new)(same.cookie)


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_last_run_deletes_copies_of_ended_sessions(settings: Settings, old: str, new: str) -> None:
    use_engine(settings, old)
    ended, same = Browser(), Browser()
    ended.set(a=1)
    same.set(a=2)
    stolen = ended.copy()
    move(old, new, "--keep")
    ended.visit(flush)
    use_engine(settings, new)
    assert "1 moved, 0 there already" in move(old, new)
    assert stolen.read() == {}
    assert same.read() == {"a": 2}


def test_interruption_loses_no_session(settings: Settings) -> None:
    use_engine(settings, "cache", "db")
    keys = [save_session("db", number=number) for number in range(6)]
    original, calls = BatchMover.move, []

    def interrupted_move(self: BatchMover, sessions: Any) -> Any:
        calls.append(sessions)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, sessions)

    with (
        mock.patch.object(BatchMover, "move", interrupted_move),
        pytest.raises(CommandError) as error,
    ):
        move("db", "cache", "--batch-size", "2")
    assert error.value.returncode == 130
    assert "2 sessions are moved" in str(error.value)
    assert "4 moved" in move("db", "cache")
    assert all(engine_class("cache")(key).exists(key) for key in keys)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_move_after_current_batch(
    settings: Settings, signal_number: signal.Signals
) -> None:
    use_engine(settings, "cache", "db")
    for number in range(6):
        save_session("db", signal_number=number)
    original = BatchMover.move

    def interrupted_move(self: BatchMover, sessions: Any) -> Any:
        outcomes = original(self, sessions)
        signal.raise_signal(signal_number)
        return outcomes

    with (
        mock.patch.object(BatchMover, "move", interrupted_move),
        pytest.raises(CommandError) as error,
    ):
        move("db", "cache", "--batch-size", "2")
    assert error.value.returncode == 130
    assert "2 sessions are moved" in str(error.value)
    assert engine_class("db").count() == 4


@pytest.mark.parametrize("step", ["insert", "compare_and_delete"])
def test_interruption_leaves_every_session_in_a_store(settings: Settings, step: str) -> None:
    use_engine(settings, "file", "db")
    keys = [save_session("db", number=number) for number in range(4)]
    engine = engine_class("file" if step == "insert" else "db")
    calls = []

    def interrupt() -> None:
        calls.append(step)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with steps_of(engine, **{step: before(interrupt)}), pytest.raises(CommandError):
        move("db", "file")
    for number, key in enumerate(keys):
        assert session_store()(key)["number"] == number
    move("db", "file")
    assert [engine_class("file")(key)["number"] for key in keys] == [0, 1, 2, 3]
    # A session that may be in both stores leaves a tombstone, which expires.
    assert list(engine_class("db").walk()) == []
    with time_machine.travel(timezone.now() + timedelta(seconds=TOMBSTONE_TTL + 1)):
        engine_class("db").clear_expired()
    assert engine_class("db").count() == 0


def test_session_changed_during_move_is_moved_with_change(settings: Settings) -> None:
    use_engine(settings, "cache", "db")
    key = save_session("db", number=1)
    original = BatchMover.insert_into_new

    def insert_then_change(self: BatchMover, listed: Any) -> Any:
        result = original(self, listed)
        session = engine_class("db")(key)
        session["late"] = True
        session.set_expiry(5000)
        session.save()
        return result

    with mock.patch.object(BatchMover, "insert_into_new", insert_then_change):
        move("db", "cache")
    session = engine_class("cache")(key)
    assert dict(session.items()) == {"number": 1, "late": True, "_session_expiry": 5000}
    assert expiry_of("cache", key) - timezone.now() < timedelta(seconds=5001)


def test_registry_is_updated(settings: Settings, ada: User) -> None:
    use_engine(settings, "db")
    client = browser(ada)
    use_engine(settings, "cache", "db")
    move("db", "cache")
    assert row_of(client).engine == "cache"
    settings.SESSION_HANDOVER_FROM = ""
    assert "this device" in again(client).get("/devices/").content.decode()
    assert SignedInSession.objects.count() == 1


@pytest.mark.parametrize(("old", "new"), [("db", "cached_db"), ("cached_db", "db")])
def test_nothing_is_moved_between_engines_with_same_table(
    settings: Settings, old: str, new: str
) -> None:
    use_engine(settings, new, old)
    key = save_session(old, number=1)
    assert "0 moved, 1 there already" in move(old, new)
    assert engine_class(new)(key)["number"] == 1
    engine_class("db")(key).delete()
    assert engine_class("cached_db")(key).load() == {}


class TestPreviousCache:
    """Sessions in the cache of a site with other settings of django-redis."""

    @pytest.fixture
    def client(self, redis_url: str) -> Redis:
        client = Redis.from_url(f"{redis_url}/5")
        client.flushdb()
        return client

    def test_pickles_under_another_prefix_are_moved(
        self, settings: Settings, client: Redis, redis_url: str
    ) -> None:
        key = "k" * 32
        client.set(f"shop:3:django.contrib.sessions.cache{key}", pickle.dumps({"a": 1}), ex=3600)
        handover = previous_cache(f"{redis_url}/5?key_prefix=shop&version=3&serializer=pickle")
        settings.CACHES = {**settings.CACHES, "handover": handover}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        use_engine(settings, "cache", "cache")
        output = move("cache", "cache", "--dry-run")
        assert "whoever can write to that Redis can run code here" in output
        assert "1 to be moved" in output
        assert Browser(key).read() == {"a": 1}
        assert client.dbsize() == 0
        assert engine_class("cache")(key)["a"] == 1

    def test_pickle_is_not_read_by_default(
        self, settings: Settings, client: Redis, redis_url: str
    ) -> None:
        key = "k" * 32
        client.set(f":1:django.contrib.sessions.cache{key}", pickle.dumps({"a": 1}), ex=3600)
        settings.CACHES = {**settings.CACHES, "handover": previous_cache(f"{redis_url}/5")}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        use_engine(settings, "db", "cache")
        assert "1 that could not be read" in move("cache", "db")
        assert Browser(key).read() == {}
        assert client.dbsize() == 1

    def test_data_that_json_cannot_represent_is_not_moved(
        self, settings: Settings, client: Redis, redis_url: str
    ) -> None:
        key = "k" * 32
        client.set(f":1:django.contrib.sessions.cache{key}", pickle.dumps({"a": {1, 2}}), ex=3600)
        handover = previous_cache(f"{redis_url}/5?serializer=pickle")
        settings.CACHES = {**settings.CACHES, "handover": handover}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        use_engine(settings, "db", "cache")
        assert "1 that could not be read" in move("cache", "db")
        assert client.dbsize() == 1

    def test_pickles_in_same_database_are_rewritten(
        self, settings: Settings, redis_url: str, client: Redis
    ) -> None:
        """Only the serializer differs: each session is rewritten under its name."""
        keys = ["k" * 32, "l" * 32]
        sessions = Redis.from_url(f"{redis_url}/1")
        for key in keys:
            name = f":1:django.contrib.sessions.cache{key}"
            sessions.set(name, pickle.dumps({"a": key}), ex=3600)
        handover = previous_cache(f"{redis_url}/1?serializer=pickle")
        settings.CACHES = {**settings.CACHES, "handover": handover}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        use_engine(settings, "cache", "cache")
        assert Browser(keys[0]).read() == {"a": keys[0]}
        output = move("cache", "cache")
        assert "1 moved, 1 there already, 0 expired, 0 that could not be read" in output
        use_engine(settings, "cache")
        assert [Browser(key).read() for key in keys] == [{"a": key} for key in keys]

    def test_move_within_same_database_is_refused(self, settings: Settings, redis_url: str) -> None:
        use_engine(settings, "cache", "cache")
        key = save_session("cache", a=1)
        settings.CACHES = {**settings.CACHES, "handover": previous_cache(f"{redis_url}/1")}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        with pytest.raises(CommandError) as error:
            move("cache", "cache")
        assert "Both keep their sessions in Redis" in str(error.value)
        assert engine_class("cache")(key)["a"] == 1
        with pytest.raises(ImproperlyConfigured):
            session_store()

    @pytest.mark.parametrize("old", SERVER_ENGINES)
    def test_handover_from_djangos_engine(self, settings: Settings, old: str) -> None:
        django_engine = f"django.contrib.sessions.backends.{mirrored(old)}"
        use_engine(settings, "cache" if old == "file" else "file", django_engine)
        session = import_module(django_engine).SessionStore()
        session["a"] = 1
        session.save()
        assert Browser(session.session_key).read() == {"a": 1}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("db", "db", "Both are db"),
        ("db", "django.contrib.sessions.backends.db", "Both are db"),
        ("dbx", "db", "Sessions cannot be moved to or from 'dbx'"),
        ("db", "os.path", "Sessions cannot be moved to or from 'os.path'"),
        ("db", "signed_cookies", "SESSION_HANDOVER_FROM=db"),
        ("signed_cookies", "db", "SESSION_HANDOVER_FROM=signed_cookies"),
    ],
)
def test_wrong_engines_are_refused_in_one_line(
    settings: Settings, old: str, new: str, message: str
) -> None:
    use_engine(settings, "db")
    with pytest.raises(CommandError) as error:
        move(old, new)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unlistable_source_is_refused(settings: Settings, memcached_url: str) -> None:
    settings.CACHES = caches(memcached_url)
    use_engine(settings, "db", "cache")
    with pytest.raises(CommandError) as error:
        move("cache", "db")
    assert "memcached cannot be listed" in str(error.value)
    assert "SESSION_HANDOVER_FROM=cache" in str(error.value)


def test_local_memory_target_is_refused(settings: Settings) -> None:
    settings.CACHES = caches("locmem://")
    use_engine(settings, "cache", "db")
    key = save_session("db", a=1)
    with pytest.raises(CommandError) as error:
        move("db", "cache")
    assert "Set CACHE_URL" in str(error.value)
    assert engine_class("db")(key)["a"] == 1


@pytest.mark.parametrize("option", ["", "--keep", "--dry-run"])
def test_local_memory_source_is_refused(option: str, settings: Settings) -> None:
    settings.CACHES = caches("locmem://")
    use_engine(settings, "db", "cache")
    with pytest.raises(CommandError) as error:
        move("cache", "db", *([option] if option else []))
    assert "in the memory of the site's process, and end with it" in str(error.value)
    assert "each is moved as it is used" not in str(error.value)


def test_unreachable_source_is_reported_in_one_line(settings: Settings) -> None:
    use_engine(settings, "file", "cache")
    settings.CACHES = caches("redis://127.0.0.1:1/0")
    with pytest.raises(CommandError) as error:
        move("cache", "file")
    assert "Those already moved stay moved" in str(error.value)
    assert "Redis 127.0.0.1:1" in str(error.value)
    assert "\n" not in str(error.value)


def test_target_need_not_be_listable(settings: Settings, memcached_url: str) -> None:
    settings.CACHES = caches(memcached_url)
    use_engine(settings, "cache", "db")
    key = save_session("db", a=1)
    assert "1 moved" in move("db", "cache")
    assert engine_class("cache")(key)["a"] == 1


def test_rows_of_running_engine_are_kept(settings: Settings) -> None:
    use_engine(settings, "cached_db")
    key = save_session("db", a=1)
    assert "1 copied" in move("db", "file")
    assert engine_class("cached_db")(key)["a"] == 1


def test_registry_is_updated_before_sessions_are_deleted(settings: Settings, ada: User) -> None:
    use_engine(settings, "db")
    client = browser(ada)
    use_engine(settings, "cache", "db")
    with (
        mock.patch.object(BatchMover, "delete_from_old", side_effect=KeyboardInterrupt),
        pytest.raises(CommandError),
    ):
        move("db", "cache")
    assert row_of(client).engine == "cache"


def test_output_shows_no_key(settings: Settings, ada: User) -> None:
    use_engine(settings, "db")
    client = browser(ada)
    use_engine(settings, "file", "db")
    assert key_of(client) not in move("db", "file")
