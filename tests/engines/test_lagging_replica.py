"""A lagging replica signs nobody out, and opens no session that has ended."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.round_trips import count_round_trips
from tests.conftest import connected
from tests.replicas import read_from, sqlite

from .contract import Engine, kept, on_engines
from .test_sql_errors import stored

DB = frozenset({"db"})

pytestmark = on_engines(lambda engine: bool(engine.database))


@pytest.fixture
def replica(engine: Engine, settings: Settings, tmp_path: Any) -> Iterator[Any]:
    """Send reads to another database, which has replicated nothing yet."""
    with read_from(settings, **sqlite(tmp_path / "replica")) as replica:
        with replica.schema_editor() as editor:
            editor.create_model(Session)
        yield replica


def catch_up(**changed: Any) -> None:
    """Copy the rows to the replica, with these fields changed."""
    Session.objects.using("replica").all().delete()
    for row in Session.objects.using("default").all():
        for name, value in changed.items():
            setattr(row, name, value)
        row.save(force_insert=True, using="replica")


def clear_copies(engine: Engine) -> None:
    if engine.name == "cached_db":
        caches["sessions"].clear()


def test_session_missing_from_replica_is_read_from_primary(engine: Engine, replica: Any) -> None:
    key = stored(engine, a=1).session_key
    clear_copies(engine)
    session = engine.Store(key)
    data = dict(session.items())
    seen = (data, session.session_key)
    kept(engine, seen == ({"a": 1}, key), seen, DB | {"cached_db"})


def test_session_expired_in_replica_only_is_read_from_primary(engine: Engine, replica: Any) -> None:
    session = stored(engine, a=1)
    catch_up(expire_date="2000-01-01T00:00:00Z")
    clear_copies(engine)
    data = dict(engine.Store(session.session_key).items())
    kept(engine, data == {"a": 1}, data, DB | {"cached_db"})


@on_engines(lambda engine: engine.ours and bool(engine.database))
def test_exists_alive_locate_walk_and_save_use_primary(engine: Engine, replica: Any) -> None:
    key = stored(engine, a=1).session_key
    clear_copies(engine)
    assert engine.Store().exists(key)
    assert engine.Store.alive([key]) == {key}
    assert engine.Store(key).locate()
    assert [listed.key for listed in engine.Store.walk()] == [key]
    session = engine.Store(key)
    session["b"] = 2
    session.save()
    assert dict(engine.Store(key).items()) == {"a": 1, "b": 2}


def test_outdated_row_in_replica_is_not_used(engine: Engine, replica: Any) -> None:
    ended, changed = stored(engine, a=1), stored(engine, a=1)
    catch_up()
    ended.delete()
    changed["a"] = 2
    changed.save()
    clear_copies(engine)
    data = [dict(engine.Store(session.session_key).items()) for session in (ended, changed)]
    kept(engine, data == [{}, {"a": 2}], data, DB | {"cached_db"})


@on_engines(lambda engine: engine.name == "db" and engine.database == "sqlite")
def test_replica_is_read_while_primary_is_unreachable(
    engine: Engine, replica: Any, tmp_path: Any
) -> None:
    key = stored(engine, a=1).session_key
    catch_up()
    with connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"):
        assert dict(engine.Store(key).items()) == {"a": 1}
        if engine.ours:
            for missing in ("k" * 32, delete_from_replica(key)):
                with pytest.raises(StoreUnavailableError):
                    engine.Store(missing).load()


@on_engines(lambda engine: engine.ours and engine.name == "db" and engine.database == "sqlite")
def test_unreachable_database_without_replica_is_tried_once(engine: Engine, tmp_path: Any) -> None:
    with (
        connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"),
        count_round_trips() as round_trips,
        pytest.raises(StoreUnavailableError),
    ):
        engine.Store("k" * 32).load()
    assert round_trips.number == 1


def delete_from_replica(session_key: str) -> str:
    Session.objects.using("replica").filter(session_key=session_key).delete()
    return session_key


@on_engines(lambda engine: engine.ours and engine.name == "db")
def test_load_with_replica_takes_one_round_trip_to_primary(engine: Engine, replica: Any) -> None:
    key = stored(engine, a=1).session_key
    catch_up()
    with (
        CaptureQueriesContext(connections["default"]) as primary,
        CaptureQueriesContext(replica) as replica_queries,
    ):
        assert engine.Store(key)["a"] == 1
    assert (len(primary), len(replica_queries)) == (1, 0)


@on_engines(lambda engine: engine.ours and engine.name == "db")
def test_load_of_missing_session_without_replica_takes_one_round_trip(engine: Engine) -> None:
    with CaptureQueriesContext(connections["default"]) as queries:
        assert engine.Store("k" * 32).load() == {}
    assert len(queries) == 1


@on_engines(lambda engine: engine.ours and engine.name == "cached_db" and engine.cache == "redis")
def test_unreachable_cache_and_lagging_replica_lose_no_session(
    engine: Engine, replica: Any, settings: Settings
) -> None:
    key = stored(engine, a=1).session_key
    unreachable = settings.CACHES["sessions"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = settings.CACHES | {"sessions": unreachable}
    assert dict(engine.Store(key).items()) == {"a": 1}


@on_engines(lambda engine: engine.database == "postgresql" and engine.name == "db")
def test_view_reads_session_that_replica_lacks(
    engine: Engine, replica: Any, client: Client
) -> None:
    key = stored(engine, color="red").session_key
    client.cookies["sessionid"] = key
    response = client.get("/sessions/get-item/?key=color")
    seen = (response.content.decode(), client.cookies["sessionid"].value)
    kept(engine, seen == ("color is red\n", key), seen, DB)
