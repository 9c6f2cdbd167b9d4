"""The copy in the cache and the row: a copy never ends up older than the row, nor outlives it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import connection, connections, transaction
from django.db.models.signals import post_delete
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from cookieproj.engines import cached_db, cached_row_store
from cookieproj.engines.cache import SessionStore as CacheStore
from cookieproj.engines.cached_db import SessionStore
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.row_deletions import OUR_DISPATCH_UID, on_row_deleted
from cookieproj.engines.sql_statements import Table

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours and engine.name == "cached_db")


def stored(**data: Any) -> SessionStore:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


class Steps:
    """Runs requests in threads, a step of one of them at a time; a trip to a store is a step."""

    def __init__(self) -> None:
        self.mine = threading.local()
        self.returned = threading.Semaphore(0)

    def step(self) -> None:
        """Wait for the next turn; not in a thread that takes none, nor in a transaction.

        What a transaction has locked the others would wait for, and the turn with them.
        """
        turn: threading.Semaphore | None = getattr(self.mine, "turn", None)
        if turn and not connection.in_atomic_block:
            self.returned.release()
            turn.acquire()

    def run(self, requests: list[Callable[[], object]], order: list[int]) -> None:
        turns = [threading.Semaphore(0) for _ in requests]
        done = [threading.Event() for _ in requests]

        def work(number: int) -> None:
            self.mine.turn = turns[number]
            try:
                self.step()
                requests[number]()
            except UpdateError:
                pass
            finally:
                connections.close_all()
                caches.close_all()
                done[number].set()
                self.returned.release()

        threads = [threading.Thread(target=work, args=[number]) for number in range(len(turns))]
        for thread in threads:
            thread.start()
            self.returned.acquire()
        choices = iter(order)
        while waiting := [number for number, event in enumerate(done) if not event.is_set()]:
            turns[waiting[next(choices, 0) % len(waiting)]].release()
            self.returned.acquire()
        for thread in threads:
            thread.join()

    @contextmanager
    def between(self, *methods: tuple[type, str]) -> Iterator[None]:
        """Each call of these methods is a step."""
        with ExitStack() as stack:
            for owner, name in methods:
                stack.enter_context(mock.patch.object(owner, name, self._stepping(owner, name)))
            yield

    def _stepping(self, owner: type, name: str) -> Callable[..., Any]:
        method = getattr(owner, name)

        def stepping(*arguments: Any, **options: Any) -> Any:
            self.step()
            return method(*arguments, **options)

        return stepping


def read(key: str) -> None:
    SessionStore(key).load()


def write(key: str) -> None:
    session = SessionStore(key)
    session["count"] = session.get("count", 0) + 1
    session[str(threading.get_ident())] = True
    session.save()


def touch(key: str) -> None:
    session = SessionStore(key)
    session.get("count")
    session.save()


def sign_in(key: str) -> None:
    session = SessionStore(key)
    session.cycle_key()
    session.save()


def sign_out(key: str) -> None:
    SessionStore(key).flush()


def evict(key: str) -> None:
    """The copy. What comes of a tombstone that is evicted test_lost_copies.py shows."""
    cache = adapter_for(caches["sessions"])
    copy = cache.read(SessionStore.cache_key_prefix + key)
    if copy and copy.data is not None:
        cache.compare_and_delete(SessionStore.cache_key_prefix + key, copy)


def delete_row(key: str) -> None:
    Session.objects.filter(pk=key).delete()


@example(requests=[write, sign_out], order=[1, 1])
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    requests=st.lists(
        st.sampled_from([read, write, write, touch, evict, sign_in, sign_out, delete_row]),
        min_size=2,
        max_size=4,
    ),
    order=st.lists(st.integers(0, 3), max_size=24),
)
def test_in_whatever_order_the_copy_never_ends_up_older_than_the_row(
    engine: Engine, requests: list[Callable[[str], None]], order: list[int]
) -> None:
    key = str(stored(count=0).session_key)
    cache = adapter_for(caches["sessions"])
    steps = Steps()
    trips = [(type(cache), name) for name in COPYING]
    statements = ("read", "insert", "compare_and_swap", "touch", "compare_and_delete", "delete")
    rows = [(Table, name) for name in statements]
    with steps.between(*trips, *rows):
        steps.run([partial(request, key) for request in requests], order)
    copy = cache.read(SessionStore.cache_key_prefix + key)
    row = Session.objects.filter(pk=key).first()
    if copy and copy.decode() is not None:
        assert row is not None, "signed out, and still served"
        assert copy.decode() == row.get_decoded()


def test_a_session_is_served_from_the_cache(engine: Engine) -> None:
    key = stored(a=1).session_key
    with mock.patch.object(Table, "read", side_effect=AssertionError):
        assert SessionStore(key)["a"] == 1


def test_a_copy_is_made_of_the_row_itself_not_of_a_replica(
    engine: Engine, settings: Settings
) -> None:
    key = str(stored(a=1).session_key)
    evict(key)
    settings.DATABASE_ROUTERS = [f"{__name__}.ReadsElsewhere"]
    assert SessionStore(key)["a"] == 1
    assert SessionStore(key)["a"] == 1


class ReadsElsewhere:
    def db_for_read(self, *arguments: Any, **hints: Any) -> str:
        raise AssertionError("asked for a replica")

    def db_for_write(self, *arguments: Any, **hints: Any) -> str:
        return "default"


def test_a_miss_fills_the_cache_for_as_long_as_the_row_lives(engine: Engine) -> None:
    session = stored(a=1)
    session.set_expiry(100)
    session.save()
    evict(str(session.session_key))
    again = SessionStore(session.session_key)
    assert again["a"] == 1
    row, copy = again.locate()
    if copy.expires and row.expires:
        assert abs((row.expires - copy.expires).total_seconds()) < 2


@pytest.mark.parametrize("by_row", [True, False])
def test_deleting_the_row_ends_the_session(engine: Engine, by_row: bool) -> None:
    """In a shell, say: by the row or by the query."""
    key = str(stored(a=1).session_key)
    rows = Session.objects.filter(session_key=key)
    _ = rows.get().delete() if by_row else rows.delete()
    assert dict(SessionStore(key).items()) == {}
    assert not SessionStore().exists(key)


@isolate_apps("demo")
def test_a_proxy_is_heard_whenever_it_was_made(engine: Engine) -> None:
    class Proxy(Session):
        class Meta:
            app_label = "demo"
            proxy = True

    for made_before in (False, True):
        if made_before:
            assert post_delete.disconnect(sender=Proxy, dispatch_uid=OUR_DISPATCH_UID)
            on_row_deleted(cached_db.invalidate_deleted_row)
        by_row, by_query = (str(stored(a=1).session_key) for _ in range(2))
        Proxy.objects.get(pk=by_row).delete()
        Proxy.objects.filter(pk=by_query).delete()
        assert dict(SessionStore(by_row).items()) == {}
        assert dict(SessionStore(by_query).items()) == {}


def test_a_row_that_went_unheard_is_missed_by_the_next_save(engine: Engine) -> None:
    session = stored(a=1)
    Session.objects.filter(pk=session.session_key)._raw_delete("default")
    session["b"] = 2
    for _time in range(2):
        with pytest.raises(UpdateError):
            session.save()
    assert dict(SessionStore(session.session_key).items()) == {}


def test_nor_is_one_that_was_read_from_its_copy(engine: Engine) -> None:
    key = stored(a=1).session_key
    session = SessionStore(key)
    session["b"] = 2
    Session.objects.filter(pk=key)._raw_delete("default")
    for _time in range(2):
        with pytest.raises(UpdateError):
            session.save()


@on_engines(lambda engine: engine.database == "postgresql")
def test_nor_is_it_copied_again_before_the_deletion_is_committed(engine: Engine) -> None:
    key = str(stored(a=1).session_key)

    with transaction.atomic():
        Session.objects.get(pk=key).delete()
        read_elsewhere(key)
    assert dict(SessionStore(key).items()) == {}


class KilledError(BaseException):
    """In the place of a signal that nobody can catch."""


@pytest.mark.parametrize("end", [sign_out, sign_in])
def test_a_process_that_is_killed_after_the_row_leaves_no_copy_that_opens(
    engine: Engine, end: Callable[[str], None]
) -> None:
    key = str(stored(a=1).session_key)
    execute = Table.execute

    def killed(self: Table, *arguments: Any) -> int:
        execute(self, *arguments)
        raise KilledError

    with mock.patch.object(Table, "execute", killed), suppress(KilledError):
        end(key)
    assert dict(SessionStore(key).items()) == {}


@on_engines(lambda engine: engine.database == "postgresql")
def test_nor_does_a_copy_get_old_in_a_cache_without_tombstones(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """Another request fills it while the transaction is open."""
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = settings.CACHES | {"sessions": {"BACKEND": backend, "LOCATION": tmp_path}}
    for end, expected in ((write, 1), (sign_out, None)):
        key = str(stored(count=0).session_key)
        with transaction.atomic():
            end(key)
            read_elsewhere(key)
        assert SessionStore(key).get("count") == expected


def test_a_copy_is_no_session_of_the_cache_engine(engine: Engine) -> None:
    """In one cache the names of copies begin as those of its entries do."""
    key = stored(a=1).session_key
    alias = SessionStore.cache_key_prefix.removeprefix(CacheStore.cache_key_prefix) + key
    session = CacheStore(alias)
    session._cache = SessionStore(key)._cache
    assert dict(session.items()) == {}
    assert SessionStore(key)["a"] == 1


def test_a_buried_copy_is_no_place_where_a_session_lives(engine: Engine) -> None:
    session = stored(a=1)
    invalidate(session)
    assert len(session.locate()) == 1


COPYING = ("read", "insert", "compare_and_swap", "touch", "write_tombstone")


def invalidate(session: SessionStore) -> None:
    place: Any = store_of(SessionStore)
    place.invalidate(session.session_key)


def read_elsewhere(key: str) -> None:
    """By another request, on connections of its own."""

    def reader() -> None:
        read(key)
        connections.close_all()
        caches.close_all()

    thread = threading.Thread(target=reader)
    thread.start()
    thread.join()


@on_engines(lambda engine: engine.database == "postgresql")
@pytest.mark.parametrize("end", [sign_out, sign_in])
def test_a_session_that_ends_in_a_transaction_does_not_come_back(
    engine: Engine, end: Callable[[str], None]
) -> None:
    """Until the commit others read the row; they must not copy it."""
    key = str(stored(a=1).session_key)
    with transaction.atomic():
        end(key)
        read_elsewhere(key)
    assert dict(SessionStore(key).items()) == {}


def test_what_is_rolled_back_is_in_no_copy(engine: Engine) -> None:
    key = str(stored(a=1).session_key)
    with transaction.atomic():
        write(key)
        transaction.set_rollback(True)
    assert dict(SessionStore(key).items()) == {"a": 1}


def test_what_is_saved_from_an_old_copy_is_merged_into_the_row(engine: Engine) -> None:
    """A copy is old where its cache came back from an old dump."""
    session = stored(a=1)
    key = str(session.session_key)
    old = SessionStore(key)
    old.load()
    row = Session.objects.get(pk=key)
    row.session_data = session.encode({"a": 1, "theirs": 2})
    row.save()
    old["ours"] = 3
    old.save()
    assert Session.objects.get(pk=key).get_decoded() == {"a": 1, "theirs": 2, "ours": 3}
    assert dict(SessionStore(key).items()) == {"a": 1, "theirs": 2, "ours": 3}


@contextmanager
def away() -> Iterator[None]:
    """The cache does not answer."""
    error = StoreUnavailableError("a cache", "no answer")
    kind = type(adapter_for(caches["sessions"]))
    with ExitStack() as stack:
        for name in (*COPYING, "locate"):
            stack.enter_context(mock.patch.object(kind, name, side_effect=error))
        yield


def test_a_cache_that_is_away_is_done_without(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    key = str(stored(a=1).session_key)
    with away():
        session = SessionStore(key)
        session["b"] = 2
        session.save()
        assert SessionStore().exists(key)
        assert dict(SessionStore(key).items()) == {"a": 1, "b": 2}
        assert len(SessionStore(key).locate()) == 1
        fresh = stored(c=3)
        assert SessionStore(fresh.session_key)["c"] == 3
    assert "a cache" in caplog.text
    assert key not in caplog.text


def test_what_it_missed_it_learns_when_it_is_back(engine: Engine) -> None:
    changed, ended = str(stored(count=1).session_key), str(stored(a=1).session_key)
    with away():
        write(changed)
        sign_out(ended)
    assert cached_row_store.pending_invalidations
    assert SessionStore(changed)["count"] == 2
    assert dict(SessionStore(ended).items()) == {}
    assert not cached_row_store.pending_invalidations
