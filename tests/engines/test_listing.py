"""Walking, clearing and locating sessions, on each store of ours."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.exceptions import NotListableError

from .contract import Engine, on_engines

PLACES = {
    "redis": "Redis 127.0.0.1:",
    "memory": "memory of this process",
    "memcached": "memcached 127.0.0.1:",
}

pytestmark = on_engines(lambda engine: engine.ours)


def listable(engine: Engine) -> bool:
    return (
        engine.ours and engine.name != "signed_cookies" and engine.path.endswith(("db", "file"))
    ) or engine.cache == "redis"


def stored(engine: Engine, expiry: Any = None, **data: Any) -> Any:
    session = engine.Store()
    session.update(data)
    session.set_expiry(expiry)
    session.save()
    return session


@on_engines(listable)
@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_a_walk_meets_every_live_session(engine: Engine, page_size: int) -> None:
    sessions = {stored(engine, number=number).session_key: number for number in range(7)}
    stored(engine, -60, number=99)
    listed = list(engine.Store.walk(page_size=page_size))
    assert {session.key: session.data["number"] for session in listed} == sessions


@on_engines(lambda engine: engine.ours and engine.database != "" and engine.name == "db")
def test_a_walk_reads_a_page_when_it_comes_to_it(engine: Engine) -> None:
    for _ in range(5):
        stored(engine, a=1)
    walk = engine.Store.walk(page_size=2)
    with CaptureQueriesContext(connection) as statements:
        next(walk)
        next(walk)
        assert len(statements) == 1
        next(walk)
        assert len(statements) == 2
    assert all("LIMIT 2" in statement["sql"] for statement in statements)


@on_engines(listable)
def test_what_is_listed_tells_of_itself(engine: Engine) -> None:
    session = stored(engine, 3600, **{SESSION_KEY: "7", "cart": ["tea"]})
    (listed,) = engine.Store.walk()
    assert listed.key == session.session_key
    assert listed.user_id == "7"
    assert listed.data == dict(session.items())
    assert listed.size == len(listed.payload) == len(session.locate()[0].payload)
    left = listed.expires - timezone.now()
    assert timedelta(seconds=3590) < left <= timedelta(seconds=3600)


@on_engines(listable)
def test_neither_key_nor_data_shows_when_one_is_printed(engine: Engine) -> None:
    session = stored(engine, cart="secret")
    for shown in (*engine.Store.walk(), *session.locate()):
        assert session.session_key not in repr(shown)
        assert "secret" not in repr(shown)
        assert "payload" not in repr(shown)


@on_engines(listable)
def test_who_is_nobody(engine: Engine) -> None:
    stored(engine, a=1)
    (listed,) = engine.Store.walk()
    assert listed.user_id is None


@on_engines(lambda engine: engine.ours and not listable(engine))
def test_what_cannot_be_listed_says_why(engine: Engine) -> None:
    with pytest.raises(NotListableError) as error:
        engine.Store.walk()
    assert str(error.value) == error.value.reason
    assert str(error.value).startswith("Sessions in ")
    assert str(error.value).endswith(".")


@on_engines(lambda engine: engine.ours and engine.name in {"db", "file", "cached_db"})
@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_clearing_removes_the_expired_and_counts_them(engine: Engine, batch_size: int) -> None:
    expired = [stored(engine, -60, a=1).session_key for _ in range(7)]
    live = [stored(engine, 60, a=1).session_key for _ in range(3)]
    seen: list[int] = []
    assert engine.Store.clear_expired(batch_size=batch_size, progress=seen.append) == 7
    assert [engine.Store().exists(key) for key in expired] == [False] * 7
    assert [engine.Store().exists(key) for key in live] == [True] * 3
    assert seen == sorted(seen)
    assert seen[-1] == 7
    if engine.name != "file":
        assert max(b - a for a, b in zip([0, *seen], seen, strict=False)) <= batch_size
    assert engine.Store.clear_expired() == 0


@on_engines(lambda engine: engine.ours and engine.name in {"db", "file", "cached_db"})
def test_async_clearing_is_the_same(engine: Engine) -> None:
    for _ in range(3):
        stored(engine, -60, a=1)
    seen: list[int] = []
    clear = async_to_sync(engine.Store.aclear_expired)
    assert clear(batch_size=2, progress=seen.append) == 3
    assert seen[-1] == 3


@on_engines(lambda engine: engine.ours and engine.name in {"cache", "signed_cookies"})
def test_a_store_that_forgets_by_itself_has_nothing_to_clear(engine: Engine) -> None:
    session = stored(engine, 60, a=1)
    assert engine.Store.clear_expired() == 0
    assert engine.Store(session.session_key)["a"] == 1


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_a_batch_of_nothing_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        engine.Store.clear_expired(batch_size=0)


@on_engines(lambda engine: engine.ours and engine.name in {"db", "cached_db"})
def test_what_was_cleared_before_an_interruption_stays_cleared(engine: Engine) -> None:
    for _ in range(4):
        stored(engine, -60, a=1)

    def interrupt(cleared: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.Store.clear_expired(batch_size=2, progress=interrupt)
    assert engine.Store.clear_expired() == 2


def test_a_session_knows_where_it_lives(engine: Engine) -> None:
    session = stored(engine, 3600, a=1)
    located = engine.Store(session.session_key).locate()
    first = located[0]
    place = {
        "db": "table django_session, ",
        "cached_db": "table django_session, ",
        "cache": PLACES.get(engine.cache, ""),
        "file": "folder ",
        "signed_cookies": "cookie sessionid of the browser",
    }
    assert first.place.startswith(place[engine.name])
    assert session.session_key not in first.place
    assert session.session_key in first.name or engine.name == "signed_cookies"
    assert first.payload
    if engine.cache == "memcached" and engine.name == "cache":
        assert first.expires is None
    else:
        left = first.expires - timezone.now()
        assert timedelta(seconds=3590) < left <= timedelta(seconds=3600)
    assert len(located) == (2 if engine.name == "cached_db" else 1)


def test_what_is_not_stored_lives_nowhere(engine: Engine) -> None:
    assert engine.Store().locate() == []
    assert engine.Store("k" * 32).locate() == []


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_a_save_that_changes_nothing_moves_the_expiry_and_writes_nothing_else(
    engine: Engine,
) -> None:
    key = stored(engine, a=1).session_key
    before = engine.Store(key).locate()
    with time_machine.travel(timezone.now() + timedelta(seconds=60)):
        session = engine.Store(key)
        session["a"] = 1
        with mock.patch.object(engine.Store, "_swap", side_effect=AssertionError):
            session.save()
        after = engine.Store(key).locate()
    assert [place.payload for place in after] == [place.payload for place in before]
    if engine.cache not in {"redis", "memcached"}:
        # Those two go by a clock of their own.
        for old, new in zip(before, after, strict=True):
            assert new.expires - old.expires > timedelta(seconds=59)


@on_engines(lambda engine: engine.ours and engine.cache == "redis")
def test_on_redis_too(engine: Engine, settings: Settings) -> None:
    settings.SESSION_COOKIE_AGE = 100
    key = stored(engine, a=1).session_key
    settings.SESSION_COOKIE_AGE = 5000
    session = engine.Store(key)
    session.load()
    session.save()
    for place in session.locate():
        assert place.expires - timezone.now() > timedelta(seconds=4990)
