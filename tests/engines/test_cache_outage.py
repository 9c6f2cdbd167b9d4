"""cached_db with a Redis that is unreachable for long, or that loses a tombstone."""

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
    """The server of the copies. The rows are in a database."""
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
def unreachable(redis: StoppableRedis) -> Iterator[None]:
    redis.stop()
    assert not redis.answers()
    yield
    redis.start()


def stored_key(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def read(key: str) -> dict[str, Any]:
    return dict(SessionStore(key).items())


def copies() -> GenericCacheStore:
    store: Any = store_of(SessionStore)
    return store.copies  # type: ignore[no-any-return]


def copy_of(key: str) -> Any:
    """Return the copy as another process reads it: without this one's pending invalidations."""
    entry = copies().read(key)
    return entry and entry.data


def sign_out(key: str) -> None:
    SessionStore(key).flush()


def test_ended_sessions_stay_ended_if_pending_invalidations_overflow(
    redis: StoppableRedis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cached_row_store, "pending_invalidations", PendingInvalidations(2))
    ended, changed, other = (
        [stored_key(a=1) for _time in range(4)],
        stored_key(count=1),
        stored_key(b=2),
    )
    with unreachable(redis):
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


def test_repeated_invalidations_of_a_copy_count_once(
    redis: StoppableRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the limit is not reached, and copies are read again after the outage."""
    monkeypatch.setattr(cached_row_store, "pending_invalidations", PendingInvalidations(1))
    key = stored_key(count=0)
    with unreachable(redis):
        for _time in range(3):
            session = SessionStore(key)
            session["count"] = session["count"] + 1
            session.save()
    assert read(key) == {"count": 3}
    assert not cached_row_store.pending_invalidations.is_full


class CountingDict(OrderedDict[tuple[str, str], None]):
    """Counts the items that were iterated over."""

    iterated = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for item in super().__iter__():
            self.iterated += 1
            yield item


def test_load_flushes_a_bounded_number_of_invalidations(
    redis: StoppableRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = stored_key(a=1)
    pending = CountingDict(((str(copies().label), str(number)), None) for number in range(1000))
    monkeypatch.setattr(cached_row_store.pending_invalidations, "_copies", pending)
    with unreachable(redis):
        assert read(key) == {"a": 1}
    assert pending.iterated <= FLUSHED_AT_ONCE + 1
    assert len(pending) == 1000
    pending.iterated = 0
    assert read(key) == {"a": 1}
    assert pending.iterated <= FLUSHED_AT_ONCE + 1
    assert len(pending) == 1000 - FLUSHED_AT_ONCE


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
def test_session_that_ends_while_a_reader_copies_its_row(
    redis: StoppableRedis,
    monkeypatch: pytest.MonkeyPatch,
    forget: Callable[[StoppableRedis, str], None],
    opens: bool,
) -> None:
    """If Redis loses the tombstone at that very moment, the copy opens until the next save."""
    key = stored_key(a=1)
    copies().delete(key)
    load_from_primary = RowStore.load_from_primary

    def end_after_reading_the_row(self: RowStore, key: str) -> Any:
        row = load_from_primary(self, key)
        monkeypatch.setattr(RowStore, "load_from_primary", load_from_primary)
        sign_out(key)
        forget(redis, key)
        return row

    monkeypatch.setattr(RowStore, "load_from_primary", end_after_reading_the_row)
    assert read(key) == {"a": 1}
    assert bool(read(key)) is opens
    late = SessionStore(key)
    late["b"] = 2
    if opens:
        with pytest.raises(UpdateError):
            late.save()
    assert read(key) == {}
