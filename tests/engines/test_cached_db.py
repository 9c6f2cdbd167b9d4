"""A session row and its copy in the cache: no copy stays older than its row or outlives it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from cookieproj.engines.db import SessionStore as DBStore
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.row_deletions import OUR_DISPATCH_UID, on_row_deleted
from cookieproj.engines.sql_statements import Table

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours and engine.name == "cached_db")


def stored_session(**data: Any) -> SessionStore:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


class Steps:
    """Runs requests in threads, one step of one request at a time. A call of a store is a step."""

    def __init__(self) -> None:
        self.local = threading.local()
        self.step_done = threading.Semaphore(0)

    def step(self) -> None:
        """Wait for the next turn of this thread, if it takes turns and is in no transaction.

        Other threads would block on the locks of a transaction that waits for its turn.
        """
        turn: threading.Semaphore | None = getattr(self.local, "turn", None)
        if turn and not connection.in_atomic_block:
            self.step_done.release()
            turn.acquire()

    def run(self, requests: list[Callable[[], object]], order: list[int]) -> None:
        turns = [threading.Semaphore(0) for _ in requests]
        done = [threading.Event() for _ in requests]

        def work(number: int) -> None:
            self.local.turn = turns[number]
            try:
                self.step()
                requests[number]()
            except UpdateError:
                pass
            finally:
                connections.close_all()
                caches.close_all()
                done[number].set()
                self.step_done.release()

        threads = [threading.Thread(target=work, args=[number]) for number in range(len(turns))]
        for thread in threads:
            thread.start()
            self.step_done.acquire()
        choices = iter(order)
        while waiting := [number for number, event in enumerate(done) if not event.is_set()]:
            turns[waiting[next(choices, 0) % len(waiting)]].release()
            self.step_done.acquire()
        for thread in threads:
            thread.join()

    @contextmanager
    def between(self, *methods: tuple[type, str]) -> Iterator[None]:
        """Make each call of these methods a step."""
        with ExitStack() as stack:
            for owner, name in methods:
                stack.enter_context(mock.patch.object(owner, name, self._stepped(owner, name)))
            yield

    def _stepped(self, owner: type, name: str) -> Callable[..., Any]:
        method = getattr(owner, name)

        def stepped(*arguments: Any, **options: Any) -> Any:
            self.step()
            return method(*arguments, **options)

        return stepped


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
    """Evict the copy, unless it is a tombstone: test_cache_outage.py evicts those."""
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
def test_copy_is_never_older_than_its_row_in_any_order_of_steps(
    engine: Engine, requests: list[Callable[[str], None]], order: list[int]
) -> None:
    key = str(stored_session(count=0).session_key)
    cache = adapter_for(caches["sessions"])
    steps = Steps()
    cache_steps = [(type(cache), name) for name in CACHE_STEPS]
    statements = ("read", "insert", "compare_and_swap", "touch", "compare_and_delete", "delete")
    table_steps = [(Table, name) for name in statements]
    with steps.between(*cache_steps, *table_steps):
        steps.run([partial(request, key) for request in requests], order)
    copy = cache.read(SessionStore.cache_key_prefix + key)
    row = Session.objects.filter(pk=key).first()
    if copy and copy.decode() is not None:
        assert row is not None, "signed out, and still served"
        assert copy.decode() == row.get_decoded()


def test_a_session_is_served_from_the_cache(engine: Engine) -> None:
    key = stored_session(a=1).session_key
    with mock.patch.object(Table, "read", side_effect=AssertionError):
        assert SessionStore(key)["a"] == 1


def test_copy_is_made_from_the_primary_not_from_a_replica(
    engine: Engine, settings: Settings
) -> None:
    key = str(stored_session(a=1).session_key)
    evict(key)
    settings.DATABASE_ROUTERS = [f"{__name__}.NoReplicaRouter"]
    assert SessionStore(key)["a"] == 1
    assert SessionStore(key)["a"] == 1


class NoReplicaRouter:
    def db_for_read(self, *arguments: Any, **hints: Any) -> str:
        raise AssertionError("read from a replica")

    def db_for_write(self, *arguments: Any, **hints: Any) -> str:
        return "default"


def test_copy_made_on_a_cache_miss_expires_with_its_row(engine: Engine) -> None:
    session = stored_session(a=1)
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
    """By its model or by a query, as in a shell."""
    key = str(stored_session(a=1).session_key)
    rows = Session.objects.filter(session_key=key)
    _ = rows.get().delete() if by_row else rows.delete()
    assert dict(SessionStore(key).items()) == {}
    assert not SessionStore().exists(key)


@isolate_apps("demo")
def test_deletion_by_a_proxy_model_ends_the_session(engine: Engine) -> None:
    class Proxy(Session):
        class Meta:
            app_label = "demo"
            proxy = True

    for defined_before_receivers in (False, True):
        if defined_before_receivers:
            assert post_delete.disconnect(sender=Proxy, dispatch_uid=OUR_DISPATCH_UID)
            on_row_deleted(cached_db.invalidate_deleted_row)
        by_row, by_query = (str(stored_session(a=1).session_key) for _ in range(2))
        Proxy.objects.get(pk=by_row).delete()
        Proxy.objects.filter(pk=by_query).delete()
        assert dict(SessionStore(by_row).items()) == {}
        assert dict(SessionStore(by_query).items()) == {}


def test_save_raises_if_the_row_was_deleted_without_signals(engine: Engine) -> None:
    session = stored_session(a=1)
    Session.objects.filter(pk=session.session_key)._raw_delete("default")
    session["b"] = 2
    for _time in range(2):
        with pytest.raises(UpdateError):
            session.save()
    assert dict(SessionStore(session.session_key).items()) == {}


def test_save_after_reading_the_copy_raises_if_the_row_was_deleted(engine: Engine) -> None:
    key = stored_session(a=1).session_key
    session = SessionStore(key)
    session["b"] = 2
    Session.objects.filter(pk=key)._raw_delete("default")
    for _time in range(2):
        with pytest.raises(UpdateError):
            session.save()


@on_engines(lambda engine: engine.database == "postgresql")
def test_row_is_not_copied_before_its_deletion_is_committed(engine: Engine) -> None:
    key = str(stored_session(a=1).session_key)

    with transaction.atomic():
        Session.objects.get(pk=key).delete()
        read_in_another_thread(key)
    assert dict(SessionStore(key).items()) == {}


class KilledError(BaseException):
    """Stands for SIGKILL, which no process can handle."""


@pytest.mark.parametrize("end", [sign_out, sign_in])
def test_process_killed_after_deleting_the_row_leaves_no_copy(
    engine: Engine, end: Callable[[str], None]
) -> None:
    key = str(stored_session(a=1).session_key)
    execute = Table.execute

    def execute_and_die(self: Table, sql: str, parameters: list[Any]) -> int:
        changed = execute(self, sql, parameters)
        if sql.startswith("DELETE"):
            raise KilledError
        return changed

    with mock.patch.object(Table, "execute", execute_and_die), pytest.raises(KilledError):
        end(key)
    assert dict(SessionStore(key).items()) == {}


@on_engines(lambda engine: engine.database == "postgresql")
def test_copy_is_not_outdated_in_a_cache_without_tombstones(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """Another request copies the row while the transaction is open."""
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = settings.CACHES | {"sessions": {"BACKEND": backend, "LOCATION": tmp_path}}
    for end, expected in ((write, 1), (sign_out, None)):
        key = str(stored_session(count=0).session_key)
        with transaction.atomic():
            end(key)
            read_in_another_thread(key)
        assert SessionStore(key).get("count") == expected


def test_copy_is_no_session_of_the_cache_engine(engine: Engine) -> None:
    """Both engines can use one cache, and the key prefix of copies begins with the other prefix."""
    key = stored_session(a=1).session_key
    alias = SessionStore.cache_key_prefix.removeprefix(CacheStore.cache_key_prefix) + key
    session = CacheStore(alias)
    session._cache = SessionStore(key)._cache
    assert dict(session.items()) == {}
    assert SessionStore(key)["a"] == 1


def test_locate_leaves_out_a_tombstone(engine: Engine) -> None:
    session = stored_session(a=1)
    invalidate(session)
    assert len(session.locate()) == 1


CACHE_STEPS = ("read", "insert", "compare_and_swap", "touch", "write_tombstone")


def invalidate(session: SessionStore) -> None:
    store: Any = store_of(SessionStore)
    store.invalidate(session.session_key)


def read_in_another_thread(key: str) -> None:
    """Read the session in another thread, over its own connections."""

    def read_and_close() -> None:
        read(key)
        connections.close_all()
        caches.close_all()

    thread = threading.Thread(target=read_and_close)
    thread.start()
    thread.join()


@on_engines(lambda engine: engine.database == "postgresql")
@pytest.mark.parametrize("end", [sign_out, sign_in])
def test_session_that_ends_in_a_transaction_is_not_copied(
    engine: Engine, end: Callable[[str], None]
) -> None:
    """Other requests read the row until the commit. They must not copy it."""
    key = str(stored_session(a=1).session_key)
    with transaction.atomic():
        end(key)
        read_in_another_thread(key)
    assert dict(SessionStore(key).items()) == {}


def test_rolled_back_write_is_in_no_copy(engine: Engine) -> None:
    key = str(stored_session(a=1).session_key)
    with transaction.atomic():
        write(key)
        transaction.set_rollback(True)
    assert dict(SessionStore(key).items()) == {"a": 1}


def test_save_after_reading_an_outdated_copy_is_merged_into_the_row(engine: Engine) -> None:
    """A cache that is restored from a dump has outdated copies."""
    session = stored_session(a=1)
    key = str(session.session_key)
    old = SessionStore(key)
    old.load()
    row = Session.objects.get(pk=key)
    row.session_data = session.encode({"a": 1, "b": 2})
    row.save()
    old["c"] = 3
    old.save()
    assert Session.objects.get(pk=key).get_decoded() == {"a": 1, "b": 2, "c": 3}
    assert dict(SessionStore(key).items()) == {"a": 1, "b": 2, "c": 3}


@contextmanager
def unreachable_cache() -> Iterator[None]:
    """Make the cache unreachable."""
    error = StoreUnavailableError("a cache", "no answer")
    adapter = type(adapter_for(caches["sessions"]))
    with ExitStack() as stack:
        for name in (*CACHE_STEPS, "locate"):
            stack.enter_context(mock.patch.object(adapter, name, side_effect=error))
        yield


def test_sessions_work_while_the_cache_is_unreachable(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    key = str(stored_session(a=1).session_key)
    with unreachable_cache():
        session = SessionStore(key)
        session["b"] = 2
        session.save()
        assert SessionStore().exists(key)
        assert dict(SessionStore(key).items()) == {"a": 1, "b": 2}
        assert len(SessionStore(key).locate()) == 1
        fresh = stored_session(c=3)
        assert SessionStore(fresh.session_key)["c"] == 3
    assert "a cache" in caplog.text
    assert key not in caplog.text


def test_pending_invalidations_are_flushed_when_the_cache_answers_again(engine: Engine) -> None:
    changed, ended = str(stored_session(count=1).session_key), str(stored_session(a=1).session_key)
    with unreachable_cache():
        write(changed)
        sign_out(ended)
    assert cached_row_store.pending_invalidations
    assert SessionStore(changed)["count"] == 2
    assert dict(SessionStore(ended).items()) == {}
    assert not cached_row_store.pending_invalidations


def test_session_from_a_copy_that_equals_its_row_is_not_merged(engine: Engine) -> None:
    session = SessionStore(stored_session(a=[1]).session_key)
    session["a"].append(2)
    with mock.patch("cookieproj.engines.base.merge", side_effect=AssertionError):
        session.save()
    assert SessionStore(session.session_key)["a"] == [1, 2]


def test_session_from_an_outdated_copy_is_merged(engine: Engine) -> None:
    session = SessionStore(stored_session(a=[1]).session_key)
    session["a"].append(2)
    row_alone = DBStore(session.session_key)
    row_alone["b"] = 3
    row_alone.save()
    session.save()
    for store in (SessionStore, DBStore):
        assert dict(store(session.session_key).items()) == {"a": [1, 2], "b": 3}


def test_session_from_a_copy_of_an_ended_row_is_not_saved(engine: Engine) -> None:
    session = SessionStore(stored_session(a=1).session_key)
    session["b"] = 2
    DBStore(session.session_key).delete()
    with pytest.raises(UpdateError):
        session.save()
