"""Walking, clearing and locating sessions, on each store of ours."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.cached_db import KEY_PREFIX as CACHED_DB_PREFIX
from django.core.cache import caches as cache_connections
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.clear_expired_rows import MAX_ROWS_PER_PAGE
from cookieproj.engines.exceptions import NotListableError
from cookieproj.engines.session_keys import random_key
from tests.families import COOKIE_ENGINES, IN_COOKIES
from tests.stores import instead, steps_of

from .contract import Engine, on_engines

PLACES = {
    **dict.fromkeys(["redis", "redis7", "redis8"], "Redis 127.0.0.1:"),
    **dict.fromkeys(["valkey8", "valkey"], "Valkey 127.0.0.1:"),
    "cluster": "Redis Cluster 127.0.0.1:",
    "memory": "memory of this process",
    "memcached": "memcached 127.0.0.1:",
}

pytestmark = on_engines(lambda engine: engine.ours)


def listable(engine: Engine) -> bool:
    return (
        engine.ours and engine.name not in IN_COOKIES and engine.path.endswith(("db", "file"))
    ) or engine.on_redis


def in_memory(engine: Engine) -> bool:
    return engine.name == "cache" and engine.cache == "memory"


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


@on_engines(listable)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_pages_together_are_the_walk(engine: Engine, size: int) -> None:
    keys = {stored(engine, number=number).session_key for number in range(7)}
    stored(engine, -60, number=99)
    met: list[str] = []
    position, pages = "", 0
    while position or not pages:
        page = engine.Store.page(position, size)
        met += [session.key for session in page.sessions]
        position, pages = page.next, pages + 1
        assert pages < 20
    assert sorted(met) == sorted(keys)
    if not engine.on_redis or engine.name != "cache":
        # Redis hands out whole buckets, so its pages may be longer.
        assert pages == -(-7 // size)


@on_engines(listable)
def test_the_next_page_loses_nothing_when_sessions_go(engine: Engine) -> None:
    keys = {stored(engine, number=number).session_key for number in range(40)}
    first = engine.Store.page(size=10)
    gone = {session.key for session in first.sessions}
    for key in gone:
        engine.Store().delete(key)
    rest: set[str] = set()
    position = first.next
    while position:
        page = engine.Store.page(position, 10)
        rest |= {session.key for session in page.sessions}
        position = page.next
    assert rest == keys - gone


@on_engines(listable)
def test_the_position_of_a_page_does_not_show_when_it_is_printed(engine: Engine) -> None:
    for number in range(9):
        stored(engine, number=number)
    page = engine.Store.page(size=2)
    assert page.next
    assert "next" not in repr(page)


@on_engines(lambda engine: engine.ours and not in_memory(engine))
def test_who_is_alive(engine: Engine) -> None:
    live = {stored(engine, 60, number=number).session_key for number in range(3)}
    expired = stored(engine, -60, a=1).session_key
    ended = stored(engine, 60, a=1)
    ended_key = ended.session_key
    if engine.on_server:
        ended.delete()
        live_or_not = [*live, expired, ended_key, "k" * 32, "../../etc/passwd", ""]
        assert engine.Store.alive(live_or_not) == live
    else:
        assert engine.Store.alive([*live, expired, "k" * 32]) == live
    assert engine.Store.alive([]) == set()


@on_engines(lambda engine: engine.ours and in_memory(engine))
def test_one_process_cannot_tell_who_is_alive_in_another(engine: Engine) -> None:
    with pytest.raises(NotListableError):
        engine.Store.alive(["k" * 32])


@on_engines(lambda engine: engine.ours and engine.name == "db" and engine.database == "sqlite")
def test_more_keys_than_a_statement_takes(engine: Engine) -> None:
    live = {stored(engine, number=number).session_key for number in range(3)}
    with mock.patch.object(type(connection.features), "max_query_params", 3):
        assert engine.Store.alive(sorted(live)) == live


@on_engines(listable)
def test_how_many_are_stored(engine: Engine) -> None:
    assert engine.Store.count() == 0
    for _ in range(3):
        stored(engine, 60, a=1)
    stored(engine, -60, a=1)
    # Redis forgets at once.
    assert engine.Store.count() == (3 if engine.name == "cache" else 4)


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
    assert all("LIMIT 3" in statement["sql"] for statement in statements)


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
    with pytest.raises(NotListableError):
        list(engine.Store.walk())
    with pytest.raises(NotListableError):
        engine.Store.count()
    with pytest.raises(NotListableError) as error:
        engine.Store.page()
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


@on_engines(lambda engine: engine.ours and engine.name in {"db", "cached_db"})
def test_clearing_takes_one_statement_a_batch(engine: Engine) -> None:
    for _ in range(5):
        stored(engine, -60, a=1)
    has_listeners = mock.PropertyMock(return_value=False)
    with (
        mock.patch("cookieproj.engines.sql_statements.Table.has_listeners", has_listeners),
        CaptureQueriesContext(connection) as statements,
    ):
        assert engine.Store.clear_expired(batch_size=2) == 5
    # Three batches, the last of them small, and a fourth that finds nothing any more.
    words = [statement["sql"].split()[0] for statement in statements]
    # PostgreSQL is asked first whether the table has parts.
    asked = ["SELECT"] if connection.vendor == "postgresql" else []
    assert words == [*asked, *["DELETE"] * 4]


@on_engines(lambda engine: engine.ours and engine.name in {"db", "cached_db"})
def test_clearing_where_a_statement_cannot_look_for_itself(engine: Engine) -> None:
    for _ in range(5):
        stored(engine, -60, a=1)
    live = stored(engine, 60, a=1).session_key
    with mock.patch.object(connection.features, "allow_sliced_subqueries_with_in", False):
        assert engine.Store.clear_expired(batch_size=2) == 5
    assert engine.Store().exists(live)


@on_engines(
    lambda engine: (
        engine.ours and engine.database == "postgresql" and engine.name in {"db", "cached_db"}
    )
)
def test_many_rows_are_cleared_page_by_page(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cookieproj.engines.clear_expired_rows.INDEXED_BATCH_SIZE", 2)
    has_listeners = mock.PropertyMock(return_value=False)
    monkeypatch.setattr("cookieproj.engines.sql_statements.Table.has_listeners", has_listeners)
    # Of several pages, and more to a statement than one.
    for number in range(60):
        text = "".join(random_key() for _ in range(40))
        stored(engine, 60 if number % 3 else -60, text=text)
    with CaptureQueriesContext(connection) as statements:
        assert engine.Store.clear_expired(batch_size=2 * MAX_ROWS_PER_PAGE) == 20
    words = [statement["sql"].split()[0] for statement in statements]
    # Whether it has parts, a few, how many pages it has, and these.
    assert words[:3] == ["SELECT", "DELETE", "SELECT"]
    assert len(words) > 5
    assert set(words[3:]) == {"DELETE"}
    assert engine.Store.count() == 40
    # Few of them are found by the index, and that there are no more.
    stored(engine, -60, a=1)
    with CaptureQueriesContext(connection) as statements:
        assert engine.Store.clear_expired(batch_size=2 * MAX_ROWS_PER_PAGE) == 1
    words = [statement["sql"].split()[0] for statement in statements]
    assert words == ["SELECT", "DELETE", "DELETE"]


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
        **dict.fromkeys(COOKIE_ENGINES, "cookie sessionid of the browser"),
    }
    assert first.place.startswith(place[engine.name])
    assert session.session_key not in first.place
    assert session.session_key in first.name or engine.name in IN_COOKIES
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
        never = mock.Mock(side_effect=AssertionError)
        with steps_of(engine.Store, compare_and_swap=instead(never)):
            session.save()
        after = engine.Store(key).locate()
    assert [place.payload for place in after] == [place.payload for place in before]
    if not engine.on_redis and engine.cache != "memcached":
        # Those two go by a clock of their own.
        for old, new in zip(before, after, strict=True):
            assert new.expires - old.expires > timedelta(seconds=59)


@on_engines(lambda engine: engine.ours and engine.on_redis)
def test_on_redis_too(engine: Engine, settings: Settings) -> None:
    settings.SESSION_COOKIE_AGE = 100
    key = stored(engine, a=1).session_key
    settings.SESSION_COOKIE_AGE = 5000
    session = engine.Store(key)
    session.load()
    session.save()
    for place in session.locate():
        assert place.expires - timezone.now() > timedelta(seconds=4990)


@on_engines(lambda engine: engine.ours and engine.name == "cache" and engine.on_redis)
def test_entries_of_cached_db_are_not_this_engines(engine: Engine) -> None:
    """Their names begin with all of the name of those of cache."""
    key = stored(engine, 60, a=1).session_key
    cache_connections["sessions"].add(f"{CACHED_DB_PREFIX}{key}", {"a": 2}, 60)
    assert [listed.key for listed in engine.Store.walk()] == [key]
