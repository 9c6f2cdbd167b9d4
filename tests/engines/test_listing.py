"""Listing, clearing and locating sessions."""

from datetime import timedelta
from itertools import pairwise
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

# By the engine's cache: how ``locate`` names it.
CACHE_PLACES = {
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
def test_walk_lists_all_live_sessions(engine: Engine, page_size: int) -> None:
    sessions = {stored(engine, number=number).session_key: number for number in range(7)}
    stored(engine, -60, number=99)
    listed = list(engine.Store.walk(page_size=page_size))
    assert {session.key: session.data["number"] for session in listed} == sessions


@on_engines(listable)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_pages_list_all_live_sessions(engine: Engine, size: int) -> None:
    keys = {stored(engine, number=number).session_key for number in range(7)}
    stored(engine, -60, number=99)
    listed: list[str] = []
    position, pages = "", 0
    while position or not pages:
        page = engine.Store.page(position, size)
        listed += [session.key for session in page.sessions]
        position, pages = page.next, pages + 1
        assert pages < 20
    assert sorted(listed) == sorted(keys)
    if not engine.on_redis or engine.name != "cache":
        # Redis returns whole buckets of keys, so its pages may be longer.
        assert pages == -(-7 // size)


@on_engines(listable)
def test_next_pages_are_complete_after_first_page_was_deleted(engine: Engine) -> None:
    keys = {stored(engine, number=number).session_key for number in range(40)}
    first = engine.Store.page(size=10)
    deleted = {session.key for session in first.sessions}
    for key in deleted:
        engine.Store().delete(key)
    rest: set[str] = set()
    position = first.next
    while position:
        page = engine.Store.page(position, 10)
        rest |= {session.key for session in page.sessions}
        position = page.next
    assert rest == keys - deleted


@on_engines(listable)
def test_repr_of_page_omits_position(engine: Engine) -> None:
    # Redis returns whole buckets of keys: a page of 2 may have all of 9, but not of 40.
    for number in range(40):
        stored(engine, number=number)
    page = engine.Store.page(size=2)
    assert page.next
    assert "next" not in repr(page)


@on_engines(lambda engine: engine.ours and not in_memory(engine))
def test_alive_returns_live_keys(engine: Engine) -> None:
    live = {stored(engine, 60, number=number).session_key for number in range(3)}
    expired = stored(engine, -60, a=1).session_key
    ended = stored(engine, 60, a=1)
    ended_key = ended.session_key
    if engine.on_server:
        ended.delete()
        keys = [*live, expired, ended_key, "k" * 32, "../../etc/passwd", ""]
        assert engine.Store.alive(keys) == live
    else:
        assert engine.Store.alive([*live, expired, "k" * 32]) == live
    assert engine.Store.alive([]) == set()


@on_engines(lambda engine: engine.ours and in_memory(engine))
def test_alive_raises_not_listable_error_for_local_memory(engine: Engine) -> None:
    with pytest.raises(NotListableError):
        engine.Store.alive(["k" * 32])


@on_engines(lambda engine: engine.ours and engine.name == "db" and engine.database == "sqlite")
def test_alive_splits_keys_into_statements(engine: Engine) -> None:
    live = {stored(engine, number=number).session_key for number in range(3)}
    with mock.patch.object(type(connection.features), "max_query_params", 3):
        assert engine.Store.alive(sorted(live)) == live


@on_engines(listable)
def test_count_includes_expired_rows_and_files(engine: Engine) -> None:
    assert engine.Store.count() == 0
    for _ in range(3):
        stored(engine, 60, a=1)
    stored(engine, -60, a=1)
    # Redis deletes expired entries at once.
    assert engine.Store.count() == (3 if engine.name == "cache" else 4)


@on_engines(lambda engine: engine.ours and engine.database != "" and engine.name == "db")
def test_walk_reads_pages_lazily(engine: Engine) -> None:
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
def test_listed_session_has_key_user_data_size_and_expiry(engine: Engine) -> None:
    session = stored(engine, 3600, **{SESSION_KEY: "7", "cart": ["tea"]})
    (listed,) = engine.Store.walk()
    assert listed.key == session.session_key
    assert listed.user_id == "7"
    assert listed.data == dict(session.items())
    assert listed.size == len(listed.payload) == len(session.locate()[0].payload)
    remaining = listed.expires - timezone.now()
    assert timedelta(seconds=3590) < remaining <= timedelta(seconds=3600)


@on_engines(listable)
def test_repr_of_listed_or_located_session_omits_key_and_data(engine: Engine) -> None:
    session = stored(engine, cart="secret")
    for listed_or_located in (*engine.Store.walk(), *session.locate()):
        text = repr(listed_or_located)
        assert session.session_key not in text
        assert "secret" not in text
        assert "payload" not in text


@on_engines(listable)
def test_listed_anonymous_session_has_no_user_id(engine: Engine) -> None:
    stored(engine, a=1)
    (listed,) = engine.Store.walk()
    assert listed.user_id is None


@on_engines(lambda engine: engine.ours and not listable(engine))
def test_walk_page_and_count_raise_not_listable_error(engine: Engine) -> None:
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
def test_clear_expired_deletes_and_reports_expired_sessions(
    engine: Engine, batch_size: int
) -> None:
    expired = [stored(engine, -60, a=1).session_key for _ in range(7)]
    live = [stored(engine, 60, a=1).session_key for _ in range(3)]
    reported: list[int] = []
    assert engine.Store.clear_expired(batch_size=batch_size, progress=reported.append) == 7
    assert [engine.Store().exists(key) for key in expired] == [False] * 7
    assert [engine.Store().exists(key) for key in live] == [True] * 3
    assert reported == sorted(reported)
    assert reported[-1] == 7
    if engine.name != "file":
        batches = [after - before for before, after in pairwise([0, *reported])]
        assert max(batches) <= batch_size
    assert engine.Store.clear_expired() == 0


@on_engines(lambda engine: engine.ours and engine.name in {"db", "cached_db"})
def test_clear_expired_takes_one_statement_per_batch(engine: Engine) -> None:
    for _ in range(5):
        stored(engine, -60, a=1)
    has_listeners = mock.PropertyMock(return_value=False)
    with (
        mock.patch("cookieproj.engines.sql_statements.Table.has_listeners", has_listeners),
        CaptureQueriesContext(connection) as statements,
    ):
        assert engine.Store.clear_expired(batch_size=2) == 5
    # Three batches, the last one smaller, and a fourth that finds no rows.
    words = [statement["sql"].split()[0] for statement in statements]
    # On PostgreSQL the first query finds out whether the table is partitioned.
    before = ["SELECT"] if connection.vendor == "postgresql" else []
    assert words == [*before, *["DELETE"] * 4]


@on_engines(lambda engine: engine.ours and engine.name in {"db", "cached_db"})
def test_clear_expired_works_without_sliced_subqueries(engine: Engine) -> None:
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
def test_clear_expired_deletes_many_rows_by_table_page(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cookieproj.engines.clear_expired_rows.INDEXED_BATCH_SIZE", 2)
    has_listeners = mock.PropertyMock(return_value=False)
    monkeypatch.setattr("cookieproj.engines.sql_statements.Table.has_listeners", has_listeners)
    # The rows fill several pages, and a statement deletes from more than one.
    for number in range(60):
        text = "".join(random_key() for _ in range(40))
        stored(engine, 60 if number % 3 else -60, text=text)
    with CaptureQueriesContext(connection) as statements:
        assert engine.Store.clear_expired(batch_size=2 * MAX_ROWS_PER_PAGE) == 20
    words = [statement["sql"].split()[0] for statement in statements]
    # Is the table partitioned? Delete by the index, ask how many pages there are, delete by page.
    assert words[:3] == ["SELECT", "DELETE", "SELECT"]
    assert len(words) > 5
    assert set(words[3:]) == {"DELETE"}
    assert engine.Store.count() == 40
    # A few rows are deleted by the index only. The second statement finds no more.
    stored(engine, -60, a=1)
    with CaptureQueriesContext(connection) as statements:
        assert engine.Store.clear_expired(batch_size=2 * MAX_ROWS_PER_PAGE) == 1
    words = [statement["sql"].split()[0] for statement in statements]
    assert words == ["SELECT", "DELETE", "DELETE"]


@on_engines(lambda engine: engine.ours and engine.name in {"db", "file", "cached_db"})
def test_aclear_expired_deletes_and_reports_expired_sessions(engine: Engine) -> None:
    for _ in range(3):
        stored(engine, -60, a=1)
    reported: list[int] = []
    clear = async_to_sync(engine.Store.aclear_expired)
    assert clear(batch_size=2, progress=reported.append) == 3
    assert reported[-1] == 3


@on_engines(lambda engine: engine.ours and engine.name in {"cache", "signed_cookies"})
def test_clear_expired_does_nothing_if_store_expires_entries(engine: Engine) -> None:
    session = stored(engine, 60, a=1)
    assert engine.Store.clear_expired() == 0
    assert engine.Store(session.session_key)["a"] == 1


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_clear_expired_rejects_batch_size_zero(engine: Engine) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        engine.Store.clear_expired(batch_size=0)


@on_engines(lambda engine: engine.ours and engine.name in {"db", "cached_db"})
def test_clear_expired_keeps_finished_batches_if_interrupted(engine: Engine) -> None:
    for _ in range(4):
        stored(engine, -60, a=1)

    def interrupt(cleared: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.Store.clear_expired(batch_size=2, progress=interrupt)
    assert engine.Store.clear_expired() == 2


def test_locate_returns_place_name_payload_and_expiry(engine: Engine) -> None:
    session = stored(engine, 3600, a=1)
    located = engine.Store(session.session_key).locate()
    first = located[0]
    place = {
        "db": "table django_session, ",
        "cached_db": "table django_session, ",
        "cache": CACHE_PLACES.get(engine.cache, ""),
        "file": "folder ",
        "mongodb": "MongoDB 127.0.0.1:",
        **dict.fromkeys(COOKIE_ENGINES, "cookie sessionid of the browser"),
    }
    assert first.place.startswith(place[engine.name])
    assert session.session_key not in first.place
    assert session.session_key in first.name or engine.name in IN_COOKIES
    assert first.payload
    if engine.cache == "memcached" and engine.name == "cache":
        assert first.expires is None
    else:
        remaining = first.expires - timezone.now()
        assert timedelta(seconds=3590) < remaining <= timedelta(seconds=3600)
    assert len(located) == (2 if engine.name == "cached_db" else 1)


def test_locate_of_missing_session_is_empty(engine: Engine) -> None:
    assert engine.Store().locate() == []
    assert engine.Store("k" * 32).locate() == []


@on_engines(lambda engine: engine.ours and engine.on_server)
def test_unchanged_save_moves_expiry_only(engine: Engine) -> None:
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
        # These two servers use the real clock.
        for old, new in zip(before, after, strict=True):
            assert new.expires - old.expires > timedelta(seconds=59)


@on_engines(lambda engine: engine.ours and engine.on_redis)
def test_unchanged_save_moves_expiry_on_redis(engine: Engine, settings: Settings) -> None:
    settings.SESSION_COOKIE_AGE = 100
    key = stored(engine, a=1).session_key
    settings.SESSION_COOKIE_AGE = 5000
    session = engine.Store(key)
    session.load()
    session.save()
    for place in session.locate():
        assert place.expires - timezone.now() > timedelta(seconds=4990)


@on_engines(lambda engine: engine.ours and engine.name == "cache" and engine.on_redis)
def test_cache_engine_does_not_list_entries_of_cached_db(engine: Engine) -> None:
    """The prefix of ``cached_db`` starts with that of ``cache``."""
    key = stored(engine, 60, a=1).session_key
    cache_connections["sessions"].add(f"{CACHED_DB_PREFIX}{key}", {"a": 2}, 60)
    assert [listed.key for listed in engine.Store.walk()] == [key]
