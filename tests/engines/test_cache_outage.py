"""cached_db and a Redis that goes away for long, or forgets that a session has ended."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches
from django.test import override_settings
from pytest_django import DjangoDbBlocker
from redis import Redis

from cookieproj.engines import cached_row_store
from cookieproj.engines.cached_db import SessionStore
from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.pending_invalidations import FLUSHED_AT_ONCE, PendingInvalidations
from cookieproj.engines.row_store import RowStore
from cookieproj.settings.caches import caches as cache_settings
from tests.servers import StoppableRedis

from .conftest import database


@pytest.fixture
def redis(
    tmp_path: Path,
    sqlite_sessions_url: str,
    django_db_blocker: DjangoDbBlocker,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[StoppableRedis]:
    """Where the copies are; the rows are in a database of their own."""
    monkeypatch.setattr(cached_row_store, "pending_invalidations", PendingInvalidations(100_000))
    redis = StoppableRedis(tmp_path)
    redis.start()
    with (
        override_settings(
            SESSION_ENGINE="cookieproj.engines.cached_db",
            SESSION_CACHE_ALIAS="sessions",
            CACHES=cache_settings(f"{redis.url}/0"),
        ),
        django_db_blocker.unblock(),
        database(sqlite_sessions_url),
    ):
        yield redis
    caches.close_all()
    redis.stop()


@contextmanager
def away(redis: StoppableRedis) -> Iterator[None]:
    redis.stop()
    assert not redis.answers()
    yield
    redis.start()


def stored(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def read(key: str) -> dict[str, Any]:
    return dict(SessionStore(key).items())


def copies() -> GenericCacheStore:
    place: Any = store_of(SessionStore)
    return place.copies  # type: ignore[no-any-return]


def copy_of(key: str) -> Any:
    """What another process would be served, which knows nothing of this one's."""
    found = copies().read(key)
    return found and found.data


def sign_out(key: str) -> None:
    SessionStore(key).flush()


def test_of_more_copies_than_are_noted_none_that_has_ended_opens(
    redis: StoppableRedis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cached_row_store, "pending_invalidations", PendingInvalidations(2))
    ended, changed, other = [stored(a=1) for _time in range(4)], stored(count=1), stored(b=2)
    with away(redis):
        for key in ended:
            sign_out(key)
        session = SessionStore(changed)
        session["count"] = 2
        session.save()
        assert len(cached_row_store.pending_invalidations) == 2
    assert "Clear the cache" in caplog.text
    assert all(key not in caplog.text for key in ended)
    assert read(changed) == {"count": 2}
    assert [read(key) for key in ended] == [{}] * 4
    assert [copy_of(key) for key in ended] == [None] * 4
    assert read(other) == {"b": 2}
    assert not cached_row_store.pending_invalidations


def test_what_is_noted_already_is_no_more(
    redis: StoppableRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nothing is lost count of, and copies are read again."""
    monkeypatch.setattr(cached_row_store, "pending_invalidations", PendingInvalidations(1))
    key = stored(count=0)
    with away(redis):
        for _time in range(3):
            session = SessionStore(key)
            session["count"] = session["count"] + 1
            session.save()
    assert read(key) == {"count": 3}
    assert not cached_row_store.pending_invalidations.is_full


class Followed(OrderedDict[tuple[str, str], None]):
    """Knows how far it was gone through."""

    seen = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for each in super().__iter__():
            self.seen += 1
            yield each


def test_no_load_goes_through_all_that_is_noted(
    redis: StoppableRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = stored(a=1)
    noted = Followed(((str(copies().label), str(number)), None) for number in range(1000))
    monkeypatch.setattr(cached_row_store.pending_invalidations, "_copies", noted)
    with away(redis):
        assert read(key) == {"a": 1}
    assert noted.seen <= FLUSHED_AT_ONCE + 1
    assert len(noted) == 1000
    noted.seen = 0
    assert read(key) == {"a": 1}
    assert noted.seen <= FLUSHED_AT_ONCE + 1
    assert len(noted) == 1000 - FLUSHED_AT_ONCE


def forget_nothing(redis: StoppableRedis, key: str) -> None:
    pass


def evict_the_tombstone(redis: StoppableRedis, key: str) -> None:
    copies().delete(key)


def restart_empty(redis: StoppableRedis, key: str) -> None:
    with Redis.from_url(redis.url) as client:
        client.flushall()
    redis.stop()
    redis.start()


@pytest.mark.parametrize(
    ("forget", "opens"),
    [(forget_nothing, False), (evict_the_tombstone, True), (restart_empty, True)],
)
def test_a_reader_that_is_between_row_and_copy_when_its_session_ends(
    redis: StoppableRedis,
    monkeypatch: pytest.MonkeyPatch,
    forget: Callable[[StoppableRedis, str], None],
    opens: bool,
) -> None:
    """If Redis forgets the tombstone in just that moment the copy opens, until it is written to."""
    key = stored(a=1)
    copies().delete(key)
    read_row = RowStore.load_from_primary

    def slow(self: RowStore, key: str) -> Any:
        row = read_row(self, key)
        monkeypatch.setattr(RowStore, "load_from_primary", read_row)
        sign_out(key)
        forget(redis, key)
        return row

    monkeypatch.setattr(RowStore, "load_from_primary", slow)
    assert read(key) == {"a": 1}
    assert bool(read(key)) is opens
    late = SessionStore(key)
    late["b"] = 2
    if opens:
        with pytest.raises(UpdateError):
            late.save()
    assert read(key) == {}
