"""A replica that lags: what it lacks is not gone, and what it still has may be."""

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
    """A database of its own, to which nothing has come yet; reads go there."""
    with read_from(settings, **sqlite(tmp_path / "replica")) as replica:
        with replica.schema_editor() as editor:
            editor.create_model(Session)
        yield replica


def catch_up(**changed: Any) -> None:
    """The replica holds what the primary does, or what it did."""
    Session.objects.using("replica").all().delete()
    for row in Session.objects.using("default").all():
        for name, value in changed.items():
            setattr(row, name, value)
        row.save(force_insert=True, using="replica")


def uncached(engine: Engine) -> None:
    """Where a copy would serve the read."""
    if engine.name == "cached_db":
        caches["sessions"].clear()


def test_a_session_that_the_replica_lacks_is_served_by_the_primary(
    engine: Engine, replica: Any
) -> None:
    key = stored(engine, a=1).session_key
    uncached(engine)
    session = engine.Store(key)
    data = dict(session.items())
    found = (data, session.session_key)
    kept(engine, found == ({"a": 1}, key), found, DB | {"cached_db"})


def test_nor_is_one_gone_that_has_expired_there_alone(engine: Engine, replica: Any) -> None:
    session = stored(engine, a=1)
    catch_up(expire_date="2000-01-01T00:00:00Z")
    uncached(engine)
    data = dict(engine.Store(session.session_key).items())
    kept(engine, data == {"a": 1}, data, DB | {"cached_db"})


@on_engines(lambda engine: engine.ours and bool(engine.database))
def test_whatever_asks_whether_a_session_is_there_asks_the_primary(
    engine: Engine, replica: Any
) -> None:
    key = stored(engine, a=1).session_key
    uncached(engine)
    assert engine.Store().exists(key)
    assert engine.Store.alive([key]) == {key}
    assert engine.Store(key).locate()
    assert [listed.key for listed in engine.Store.walk()] == [key]
    session = engine.Store(key)
    session["b"] = 2
    session.save()
    assert dict(engine.Store(key).items()) == {"a": 1, "b": 2}


def test_a_session_that_has_ended_opens_nothing(engine: Engine, replica: Any) -> None:
    """Nor is one read as it was."""
    session, other = stored(engine, a=1), stored(engine, a=1)
    catch_up()
    session.delete()
    other["a"] = 2
    other.save()
    uncached(engine)
    data = [dict(engine.Store(each.session_key).items()) for each in (session, other)]
    kept(engine, data == [{}, {"a": 2}], data, DB | {"cached_db"})


@on_engines(lambda engine: engine.name == "db" and engine.database == "sqlite")
def test_it_is_read_while_the_primary_is_unreachable(
    engine: Engine, replica: Any, tmp_path: Any
) -> None:
    key = stored(engine, a=1).session_key
    catch_up()
    with connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"):
        assert dict(engine.Store(key).items()) == {"a": 1}
        if engine.ours:
            for nowhere in ("k" * 32, ended(key)):
                with pytest.raises(StoreUnavailableError):
                    engine.Store(nowhere).load()


@on_engines(lambda engine: engine.ours and engine.name == "db" and engine.database == "sqlite")
def test_without_a_replica_nothing_is_asked_twice(engine: Engine, tmp_path: Any) -> None:
    with (
        connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"),
        count_round_trips() as trips,
        pytest.raises(StoreUnavailableError),
    ):
        engine.Store("k" * 32).load()
    assert trips.number == 1


def ended(session_key: str) -> str:
    """One that the replica has lost, or has not got yet."""
    Session.objects.using("replica").filter(session_key=session_key).delete()
    return session_key


@on_engines(lambda engine: engine.ours and engine.name == "db")
def test_a_session_takes_one_round_trip(engine: Engine, replica: Any) -> None:
    key = stored(engine, a=1).session_key
    catch_up()
    with (
        CaptureQueriesContext(connections["default"]) as primary,
        CaptureQueriesContext(replica) as asked,
    ):
        assert engine.Store(key)["a"] == 1
    assert (len(primary), len(asked)) == (1, 0)


@on_engines(lambda engine: engine.ours and engine.name == "db")
def test_without_a_replica_a_session_that_is_gone_takes_one_round_trip(engine: Engine) -> None:
    with CaptureQueriesContext(connections["default"]) as queries:
        assert engine.Store("k" * 32).load() == {}
    assert len(queries) == 1


@on_engines(lambda engine: engine.ours and engine.name == "cached_db" and engine.cache == "redis")
def test_nor_where_the_cache_is_unreachable(
    engine: Engine, replica: Any, settings: Settings
) -> None:
    key = stored(engine, a=1).session_key
    there = settings.CACHES["sessions"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = settings.CACHES | {"sessions": there}
    assert dict(engine.Store(key).items()) == {"a": 1}


@on_engines(lambda engine: engine.database == "postgresql" and engine.name == "db")
def test_the_browser_keeps_its_cookie(engine: Engine, replica: Any, client: Client) -> None:
    key = stored(engine, color="red").session_key
    client.cookies["sessionid"] = key
    response = client.get("/sessions/get-item/?key=color")
    seen = (response.content.decode(), client.cookies["sessionid"].value)
    kept(engine, seen == ("color is red\n", key), seen, DB)
