"""Subclasses, an unknown SECRET_KEY and late saves restore no ended session and lose no write."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db import connection, connections, transaction
from django.test.utils import override_settings
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines import cached_row_store
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.clock import from_now
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.pending_invalidations import PendingInvalidations
from tests.stores import forget_pending

from .contract import ALL, Engine, kept, on_engines
from .handover_switch import Browser, Switch, flush

SIGNED = {"db", "file", "cached_db"}
OTHER_SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"


def stored(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


def opened(store: Any, key: str) -> dict[str, Any]:
    return dict(store(key).items())


class TestUnreadable:
    """Sessions whose SECRET_KEY is not in the settings, and returns later."""

    @on_engines(lambda engine: engine.name in {"db", "file"})
    @pytest.mark.parametrize("ending", ["flush", "cycle_key"])
    def test_flush_and_cycle_key_end_unreadable_session(self, engine: Engine, ending: str) -> None:
        key = stored(engine.Store, user="alice").session_key
        with override_settings(SECRET_KEY=OTHER_SECRET_KEY):
            session = engine.Store(key)
            assert session.get("user") is None
            getattr(session, ending)()
            if ending == "cycle_key":
                session.save()
        assert opened(engine.Store, key) == {}

    @on_engines(lambda engine: engine.name in {"db", "file"})
    def test_concurrent_writes_to_unreadable_session_are_kept(self, engine: Engine) -> None:
        key = stored(engine.Store, user="alice").session_key
        with override_settings(SECRET_KEY=OTHER_SECRET_KEY):
            first, second = engine.Store(key), engine.Store(key)
            first.get("x"), second.get("x")
            first["a"], second["b"] = 1, 2
            first.save()
            second.save()
            data = opened(engine.Store, key)
        kept(engine, data == {"a": 1, "b": 2}, data, ALL)

    @on_engines(lambda engine: engine.name == "cached_db")
    def test_write_is_stored_if_copy_is_readable_and_row_is_not(self, engine: Engine) -> None:
        key = stored(engine.Store, cart=[1]).session_key
        assert engine.Store(key)["cart"] == [1]
        with override_settings(SECRET_KEY=OTHER_SECRET_KEY):
            for number in range(3):
                session = engine.Store(key)
                session.get("cart")
                session["n"] = number
                session.save()
                assert opened(engine.Store, key)["n"] == number


@on_engines(lambda engine: engine.name in {"cache", "cached_db"})
def test_old_key_opens_nothing_with_overridden_cache_key(engine: Engine) -> None:
    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        @property
        def cache_key(self) -> str:
            name: str = "tenant:" + self.cache_key_prefix + self._get_or_create_session_key()
            return name

    key = stored(SessionStore, a=1).session_key
    session = SessionStore(key)
    session["user"] = "alice"
    session.cycle_key()
    session.save()
    data = opened(SessionStore, key)
    kept(engine, data == {}, data, ALL)
    assert opened(SessionStore, session.session_key) == {"a": 1, "user": "alice"}


@on_engines(lambda engine: engine.ours and (engine.name, engine.cache) == ("cached_db", "memory"))
def test_copy_with_overridden_cache_key_is_invalidated_when_cache_is_reachable_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        @property
        def cache_key(self) -> str:
            name: str = "tenant:" + self.cache_key_prefix + self._get_or_create_session_key()
            return name

    def raise_unavailable(*arguments: Any, **options: Any) -> None:
        raise StoreUnavailableError("a cache", "no answer")

    other_key = stored(SessionStore, x=1).session_key
    key = stored(SessionStore, a="old").session_key
    session = SessionStore(key)
    session["a"] = "new"
    with monkeypatch.context() as patch:
        for name in ("compare_and_swap", "touch", "insert", "write_tombstone"):
            patch.setattr(MemoryStore, name, raise_unavailable)
        session.save()
    assert cached_row_store.pending_invalidations
    assert SessionStore(other_key)["x"] == 1
    assert SessionStore(key)["a"] == "new"
    forget_pending()


@on_engines(lambda engine: engine.name in {"db", "cached_db"})
def test_create_model_instance_may_set_expiry(engine: Engine) -> None:
    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        def create_model_instance(self, data: Any) -> Any:
            if "user" in data:
                self.set_expiry(3600)
            self.seen = self.get_expiry_age()
            return super().create_model_instance(data)

    session = stored(SessionStore, a=1)
    assert session.seen == session.get_session_cookie_age()
    session = SessionStore(session.session_key)
    session["user"] = "alice"
    session.save()
    remaining = Session.objects.get(pk=session.session_key).expire_date - timezone.now()
    assert abs(remaining - timedelta(seconds=3600)) < timedelta(seconds=30)


@on_engines(lambda engine: engine.ours and engine.name == "db" and engine.database != "mariadb")
def test_concurrent_saves_in_threads_leave_expiry_unchanged(engine: Engine) -> None:
    """Both threads are in ``create_model_instance`` before the first one returns from it."""
    inside, may_return = (
        threading.Semaphore(0),
        {"first": threading.Event(), "second": threading.Event()},
    )

    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        def create_model_instance(self, data: Any) -> Any:
            if (name := threading.current_thread().name) in may_return:
                inside.release()
                assert may_return[name].wait(30)
            return super().create_model_instance(data)

    def save() -> None:
        session[threading.current_thread().name] = 1
        session.save()
        connections.close_all()

    session = stored(SessionStore, a=1)
    threads = [threading.Thread(target=save, name=name) for name in may_return]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=30)
    for thread in threads:
        may_return[thread.name].set()
        thread.join()
    session.set_expiry(60)
    assert 58 <= session.get_expiry_age() <= 60


@on_engines(lambda engine: engine.name in SIGNED)
def test_cycle_key_works_if_encode_depends_on_key(engine: Engine) -> None:
    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        def encode(self, session_dict: Any) -> str:
            return f"{self.session_key}|{super().encode(session_dict)}"

        def decode(self, session_data: Any) -> Any:
            key, _, rest = session_data.partition("|")
            return super().decode(rest) if key == self.session_key else {}

    key = stored(SessionStore, x=1).session_key
    first, second = SessionStore(key), SessionStore(key)
    first.get("x"), second.get("x")
    first["user"], second["b"] = "alice", 2
    first.save()
    second.save()
    first.cycle_key()
    first.save()
    data = opened(SessionStore, first.session_key)
    if engine.ours:
        # movesessions inserts like this.
        store_of(SessionStore).insert("k" * 32, {"a": 1}, from_now(100))
        assert opened(SessionStore, "k" * 32) == {"a": 1}
    kept(engine, data == {"x": 1, "user": "alice", "b": 2}, data, ALL)


@on_engines(lambda engine: engine.name == "cached_db" and engine.cache == "memory")
def test_copy_does_not_outlive_its_row(engine: Engine) -> None:
    """Caches round the expiry to whole seconds."""
    with time_machine.travel(time.time(), tick=False) as clock:
        session = engine.Store()
        session["a"] = 1
        session.set_expiry(timezone.now() + timedelta(seconds=10.2))
        session.save()
        clock.shift(10.4)
        assert opened(engine.Store, session.session_key) == {}


@on_engines(lambda engine: engine.on_server)
def test_session_expires_at_once_despite_concurrent_write(engine: Engine) -> None:
    key = stored(engine.Store, a=1).session_key
    expiring, writing = engine.Store(key), engine.Store(key)
    expiring.get("a"), writing.get("a")
    writing["b"] = 2
    expiring.set_expiry(-1)
    writing.save()
    expiring.save()
    assert opened(engine.Store, key) == {}


@pytest.mark.parametrize("switch", [("cached_db", "db")], indirect=True, ids=" to ".join)
def test_sign_out_in_transaction_invalidates_copy_in_cache_without_tombstones(
    switch: Switch, settings: Settings, tmp_path: Any
) -> None:
    settings.CACHES |= {
        "sessions": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(tmp_path / "cache"),
        }
    }
    browser = Browser()
    browser.set(user="alice")
    key = browser.cookie or ""
    switch.make()

    def load_in_old_engine() -> None:
        """Make the old engine copy the row, which is not yet deleted."""
        opened(switch.store(switch.old), key)
        connection.close()

    with transaction.atomic():
        browser.visit(flush)
        thread = threading.Thread(target=load_in_old_engine)
        thread.start()
        thread.join()
    assert opened(switch.store(switch.old), key) == {}


def test_threads_add_and_remove_pending_invalidations_concurrently() -> None:
    pending, errors = PendingInvalidations(1000), []
    ends = time.monotonic() + 0.5

    def add_and_remove(number: int) -> None:
        try:
            while time.monotonic() < ends:
                pending.add("cache", str(number))
                for key in pending.due("cache", str(number)):
                    pending.done("cache", key)
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=add_and_remove, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
