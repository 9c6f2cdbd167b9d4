"""``manage.py movesessions``."""

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
from tests.stores import before, steps_of

ON_SERVERS = ("db", "cache", "file", "cached_db")


pytestmark = pytest.mark.usefixtures("db", "empty_stores")


def run(settings: Settings, engine: str, previous: str = "") -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{engine}"
    settings.SESSION_HANDOVER_FROM = previous


def store(engine: str) -> Any:
    """Return the engine without the handover."""
    return handover_engine(engine).store


def stored(engine: str, expiry: Any = None, **data: Any) -> str:
    session = store(engine)()
    session.update(data)
    session.set_expiry(expiry)
    session.save()
    key: str = session.session_key
    return key


def expiry_of(engine: str, key: str) -> Any:
    found = store_of(store(engine)).read(key, with_expiry=True)
    return found and found.expires


def moved(old: str, new: str, *options: str) -> str:
    out = io.StringIO()
    call_command("movesessions", "--from", old, "--to", new, *options, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_all_are_moved_under_their_keys(settings: Settings, old: str, new: str) -> None:
    run(settings, new, old)
    in_a_week = timezone.now() + timedelta(days=7)
    keys = [stored(old, in_a_week, number=number) for number in range(5)]
    said = moved(old, new, "--batch-size", "2")
    assert "5 moved, 0 there already, 0 expired, 0 that could not be read" in said
    for number, key in enumerate(keys):
        assert store(new)(key)["number"] == number
        assert abs(expiry_of(new, key) - in_a_week) < timedelta(seconds=3)
        assert store(old)(key).load() == {}
    assert "0 moved" in moved(old, new)


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_what_is_there_already_stays_as_it_is(settings: Settings, old: str, new: str) -> None:
    run(settings, new, old)
    key = stored(old, number=1)
    newer = store(new)()
    newer["number"] = 2
    newer._session_key = key
    newer.save(must_create=True)
    assert "0 moved, 1 there already" in moved(old, new)
    assert store(new)(key)["number"] == 2
    # The new engine serves it, so the old copy is deleted.
    assert store(old)(key).load() == {}


@pytest.mark.parametrize("old", ["db", "file", "cached_db"])
def test_the_expired_are_counted_and_left(settings: Settings, old: str) -> None:
    run(settings, "cache", old)
    stored(old, -60, number=1)
    stored(old, number=2)
    assert "1 moved, 0 there already, 1 expired" in moved(old, "cache")


@pytest.mark.parametrize("old", ["db", "file", "cache"])
def test_what_cannot_be_read_is_counted_and_left(settings: Settings, old: str) -> None:
    new = "cache" if old == "file" else "file"
    run(settings, new, old)
    key = stored(old, number=1)
    session = store(old)(key)
    if old == "db":
        session.model.objects.update(session_data="broken")
    elif old == "file":
        Path(session._key_to_file()).write_bytes(b"broken")
    else:
        adapter_for(session._cache).client.set(  # type: ignore[attr-defined]
            session._cache.make_key(session.cache_key), b"broken", ex=60
        )
    assert "0 moved, 0 there already, 0 expired, 1 that could not be read" in moved(old, new)
    assert store(old)(key).locate()


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_a_dry_run_says_the_same_and_moves_nothing(settings: Settings, old: str, new: str) -> None:
    run(settings, new, old)
    key = stored(old, number=1)
    said = moved(old, new, "--dry-run")
    assert "1 to be moved, 0 there already" in said
    assert store(new)(key).load() == {}
    assert said.replace("to be ", "") == moved(old, new)


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_a_copy_is_renewed_from_its_original_until_the_switch(
    settings: Settings, old: str, new: str
) -> None:
    run(settings, old)
    changed, ended, same = Browser(), Browser(), Browser()
    for visitor in (changed, ended, same):
        visitor.set(a=1)
    before = ended.copy()
    # The site runs on the old engine, so the originals are kept.
    assert "3 copied" in moved(old, new)
    assert same.read() == {"a": 1}
    changed.set(b=2)
    ended.visit(flush)
    assert "1 copied, 1 there already" in moved(old, new)
    changed.set(c=3)
    run(settings, new, old)
    assert changed.read() == {"a": 1, "b": 2, "c": 3}
    assert before.copy().read() == {}
    assert not store(new)(before.cookie).locate()
    assert same.read() == {"a": 1}
    assert COPY_MARK not in store(new)(same.cookie)


@pytest.mark.parametrize(("old", "new"), SERVER_PAIRS)
def test_the_last_run_ends_copies_of_what_has_ended(settings: Settings, old: str, new: str) -> None:
    run(settings, old)
    ended, same = Browser(), Browser()
    ended.set(a=1)
    same.set(a=2)
    before = ended.copy()
    moved(old, new, "--keep")
    ended.visit(flush)
    run(settings, new)
    assert "1 moved, 0 there already" in moved(old, new)
    assert before.read() == {}
    assert same.read() == {"a": 2}


def test_an_interruption_loses_nothing(settings: Settings) -> None:
    run(settings, "cache", "db")
    keys = [stored("db", number=number) for number in range(6)]
    really, calls = BatchMover.move, []

    def interrupted(self: BatchMover, sessions: Any) -> Any:
        calls.append(sessions)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return really(self, sessions)

    with mock.patch.object(BatchMover, "move", interrupted), pytest.raises(CommandError) as caught:
        moved("db", "cache", "--batch-size", "2")
    assert caught.value.returncode == 130
    assert "2 sessions are moved" in str(caught.value)
    assert "4 moved" in moved("db", "cache")
    assert all(store("cache")(key).exists(key) for key in keys)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_it_says_is_what_it_moved(settings: Settings, number: signal.Signals) -> None:
    run(settings, "cache", "db")
    for number_of_it in range(6):
        stored("db", number=number_of_it)
    really = BatchMover.move

    def interrupted(self: BatchMover, sessions: Any) -> Any:
        outcomes = really(self, sessions)
        signal.raise_signal(number)
        return outcomes

    with mock.patch.object(BatchMover, "move", interrupted), pytest.raises(CommandError) as caught:
        moved("db", "cache", "--batch-size", "2")
    assert caught.value.returncode == 130
    assert "2 sessions are moved" in str(caught.value)
    assert store("db").count() == 4


@pytest.mark.parametrize("step", ["insert", "compare_and_delete"])
def test_interrupted_anywhere_a_session_is_always_somewhere(settings: Settings, step: str) -> None:
    run(settings, "file", "db")
    keys = [stored("db", number=number) for number in range(4)]
    engine = store("file" if step == "insert" else "db")
    calls = []

    def interrupt() -> None:
        calls.append(step)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with steps_of(engine, **{step: before(interrupt)}), pytest.raises(CommandError):
        moved("db", "file")
    for number, key in enumerate(keys):
        assert session_store()(key)["number"] == number
    moved("db", "file")
    assert [store("file")(key)["number"] for key in keys] == [0, 1, 2, 3]
    # A session that may be in both stores leaves a tombstone, which expires.
    assert list(store("db").walk()) == []
    with time_machine.travel(timezone.now() + timedelta(seconds=TOMBSTONE_TTL + 1)):
        store("db").clear_expired()
    assert store("db").count() == 0


def test_what_changes_while_it_is_moved_is_moved_as_it_has_become(settings: Settings) -> None:
    run(settings, "cache", "db")
    key = stored("db", number=1)
    really = BatchMover.insert_into_new

    def changed_after(self: BatchMover, listed: Any) -> Any:
        answer = really(self, listed)
        session = store("db")(key)
        session["late"] = True
        session.set_expiry(5000)
        session.save()
        return answer

    with mock.patch.object(BatchMover, "insert_into_new", changed_after):
        moved("db", "cache")
    session = store("cache")(key)
    assert dict(session.items()) == {"number": 1, "late": True, "_session_expiry": 5000}
    assert expiry_of("cache", key) - timezone.now() < timedelta(seconds=5001)


def test_the_index_of_signed_in_sessions_follows(settings: Settings, ada: User) -> None:
    run(settings, "db")
    client = browser(ada)
    run(settings, "cache", "db")
    moved("db", "cache")
    assert row_of(client).engine == "cache"
    settings.SESSION_HANDOVER_FROM = ""
    assert "this device" in again(client).get("/devices/").content.decode()
    assert SignedInSession.objects.count() == 1


@pytest.mark.parametrize(("old", "new"), [("db", "cached_db"), ("cached_db", "db")])
def test_between_engines_with_the_same_rows_nothing_is_moved(
    settings: Settings, old: str, new: str
) -> None:
    run(settings, new, old)
    key = stored(old, number=1)
    assert "0 moved, 1 there already" in moved(old, new)
    assert store(new)(key)["number"] == 1
    store("db")(key).delete()
    assert store("cached_db")(key).load() == {}


class TestHomes:
    """Sessions of a site with other settings of django-redis."""

    @pytest.fixture
    def client(self, redis_url: str) -> Redis:
        client = Redis.from_url(f"{redis_url}/5")
        client.flushdb()
        return client

    def test_pickled_under_another_prefix(
        self, settings: Settings, client: Redis, redis_url: str
    ) -> None:
        key = "k" * 32
        client.set(f"shop:3:django.contrib.sessions.cache{key}", pickle.dumps({"a": 1}), ex=3600)
        handover = previous_cache(f"{redis_url}/5?key_prefix=shop&version=3&serializer=pickle")
        settings.CACHES = {**settings.CACHES, "handover": handover}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        run(settings, "cache", "cache")
        said = moved("cache", "cache", "--dry-run")
        assert "whoever can write to that Redis can run code here" in said
        assert "1 to be moved" in said
        assert Browser(key).read() == {"a": 1}
        assert client.dbsize() == 0
        assert store("cache")(key)["a"] == 1

    def test_pickle_is_not_read_unasked(
        self, settings: Settings, client: Redis, redis_url: str
    ) -> None:
        key = "k" * 32
        client.set(f":1:django.contrib.sessions.cache{key}", pickle.dumps({"a": 1}), ex=3600)
        settings.CACHES = {**settings.CACHES, "handover": previous_cache(f"{redis_url}/5")}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        run(settings, "db", "cache")
        assert "1 that could not be read" in moved("cache", "db")
        assert Browser(key).read() == {}
        assert client.dbsize() == 1

    def test_what_json_cannot_hold_stays_where_it_is(
        self, settings: Settings, client: Redis, redis_url: str
    ) -> None:
        key = "k" * 32
        client.set(f":1:django.contrib.sessions.cache{key}", pickle.dumps({"a": {1, 2}}), ex=3600)
        handover = previous_cache(f"{redis_url}/5?serializer=pickle")
        settings.CACHES = {**settings.CACHES, "handover": handover}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        run(settings, "db", "cache")
        assert "1 that could not be read" in moved("cache", "db")
        assert client.dbsize() == 1

    def test_pickled_in_the_very_same_place(
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
        run(settings, "cache", "cache")
        assert Browser(keys[0]).read() == {"a": keys[0]}
        said = moved("cache", "cache")
        assert "1 moved, 1 there already, 0 expired, 0 that could not be read" in said
        run(settings, "cache")
        assert [Browser(key).read() for key in keys] == [{"a": key} for key in keys]

    def test_not_where_the_sessions_are_already(self, settings: Settings, redis_url: str) -> None:
        run(settings, "cache", "cache")
        key = stored("cache", a=1)
        settings.CACHES = {**settings.CACHES, "handover": previous_cache(f"{redis_url}/1")}
        settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
        with pytest.raises(CommandError) as caught:
            moved("cache", "cache")
        assert "Both keep their sessions in Redis" in str(caught.value)
        assert store("cache")(key)["a"] == 1
        with pytest.raises(ImproperlyConfigured):
            session_store()

    @pytest.mark.parametrize("old", ON_SERVERS)
    def test_djangos_engines(self, settings: Settings, old: str) -> None:
        theirs = f"django.contrib.sessions.backends.{old}"
        run(settings, "cache" if old == "file" else "file", theirs)
        session = import_module(theirs).SessionStore()
        session["a"] = 1
        session.save()
        assert Browser(session.session_key).read() == {"a": 1}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("db", "db", "Both are db"),
        ("db", "django.contrib.sessions.backends.db", "Both are db"),
        ("dbx", "db", "Sessions cannot be moved to or from 'dbx'"),
        ("db", "os.path", "Sessions cannot be moved to or from 'os.path'"),
        ("db", "signed_cookies", "SESSION_HANDOVER_FROM=db"),
        ("signed_cookies", "db", "SESSION_HANDOVER_FROM=signed_cookies"),
    ],
)
def test_wrong_input_is_one_clear_line(settings: Settings, old: str, new: str, why: str) -> None:
    run(settings, "db")
    with pytest.raises(CommandError) as caught:
        moved(old, new)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_that_cannot_be_listed_says_so(settings: Settings, memcached_url: str) -> None:
    settings.CACHES = caches(memcached_url)
    run(settings, "db", "cache")
    with pytest.raises(CommandError) as caught:
        moved("cache", "db")
    assert "memcached cannot be listed" in str(caught.value)
    assert "SESSION_HANDOVER_FROM=cache" in str(caught.value)


def test_nor_are_sessions_moved_to_where_they_would_be_lost(settings: Settings) -> None:
    settings.CACHES = caches("locmem://")
    run(settings, "cache", "db")
    key = stored("db", a=1)
    with pytest.raises(CommandError) as caught:
        moved("db", "cache")
    assert "Set CACHE_URL" in str(caught.value)
    assert store("db")(key)["a"] == 1


def test_a_store_that_is_down_is_one_line_and_what_was_moved_stays(settings: Settings) -> None:
    run(settings, "file", "cache")
    settings.CACHES = caches("redis://127.0.0.1:1/0")
    with pytest.raises(CommandError) as caught:
        moved("cache", "file")
    assert "Those already moved stay moved" in str(caught.value)
    assert "Redis 127.0.0.1:1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_they_can_be_moved_to_what_cannot_be_listed(settings: Settings, memcached_url: str) -> None:
    settings.CACHES = caches(memcached_url)
    run(settings, "cache", "db")
    key = stored("db", a=1)
    assert "1 moved" in moved("db", "cache")
    assert store("cache")(key)["a"] == 1


def test_rows_that_the_site_runs_on_are_kept(settings: Settings) -> None:
    run(settings, "cached_db")
    key = stored("db", a=1)
    assert "1 copied" in moved("db", "file")
    assert store("cached_db")(key)["a"] == 1


def test_the_index_knows_before_anything_is_taken(settings: Settings, ada: User) -> None:
    run(settings, "db")
    client = browser(ada)
    run(settings, "cache", "db")
    with (
        mock.patch.object(BatchMover, "delete_from_old", side_effect=KeyboardInterrupt),
        pytest.raises(CommandError),
    ):
        moved("db", "cache")
    assert row_of(client).engine == "cache"


def test_keys_are_not_said(settings: Settings, ada: User) -> None:
    run(settings, "db")
    client = browser(ada)
    run(settings, "file", "db")
    assert key_of(client) not in moved("db", "file")
