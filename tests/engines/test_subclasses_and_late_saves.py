"""What a subclass, another SECRET_KEY or a late moment must not bring back, or lose."""

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
ANOTHER = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"


def stored(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


def opened(store: Any, key: str) -> dict[str, Any]:
    return dict(store(key).items())


class TestUnreadable:
    """Sessions that no SECRET_KEY of the site has signed, for as long as the old one is away."""

    @on_engines(lambda engine: engine.name in {"db", "file"})
    @pytest.mark.parametrize("how", ["flush", "cycle_key"])
    def test_they_end_with_a_sign_out_or_a_sign_in(self, engine: Engine, how: str) -> None:
        key = stored(engine.Store, user="alice").session_key
        with override_settings(SECRET_KEY=ANOTHER):
            session = engine.Store(key)
            assert session.get("user") is None
            getattr(session, how)()
            if how == "cycle_key":
                session.save()
        assert opened(engine.Store, key) == {}

    @on_engines(lambda engine: engine.name in {"db", "file"})
    def test_two_requests_lose_no_write(self, engine: Engine) -> None:
        key = stored(engine.Store, user="alice").session_key
        with override_settings(SECRET_KEY=ANOTHER):
            one, two = engine.Store(key), engine.Store(key)
            one.get("x"), two.get("x")
            one["a"], two["b"] = 1, 2
            one.save()
            two.save()
            data = opened(engine.Store, key)
        kept(engine, data == {"a": 1, "b": 2}, data, ALL)

    @on_engines(lambda engine: engine.name == "cached_db")
    def test_with_a_copy_that_can_be_read_a_write_is_stored(self, engine: Engine) -> None:
        key = stored(engine.Store, cart=[1]).session_key
        assert engine.Store(key)["cart"] == [1]
        with override_settings(SECRET_KEY=ANOTHER):
            for number in range(3):
                session = engine.Store(key)
                session.get("cart")
                session["n"] = number
                session.save()
                assert opened(engine.Store, key)["n"] == number


@on_engines(lambda engine: engine.name in {"cache", "cached_db"})
def test_under_names_of_a_subclass_the_old_key_opens_nothing(engine: Engine) -> None:
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
def test_under_such_names_too_a_copy_is_replaced_once_the_cache_is_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        @property
        def cache_key(self) -> str:
            name: str = "tenant:" + self.cache_key_prefix + self._get_or_create_session_key()
            return name

    def away(*arguments: Any, **options: Any) -> None:
        raise StoreUnavailableError("a cache", "no answer")

    other, key = stored(SessionStore, x=1).session_key, stored(SessionStore, a="old").session_key
    session = SessionStore(key)
    session["a"] = "new"
    with monkeypatch.context() as patch:
        for name in ("compare_and_swap", "touch", "insert", "write_tombstone"):
            patch.setattr(MemoryStore, name, away)
        session.save()
    assert cached_row_store.pending_invalidations
    assert SessionStore(other)["x"] == 1
    assert SessionStore(key)["a"] == "new"
    forget_pending()


@on_engines(lambda engine: engine.name in {"db", "cached_db"})
def test_a_row_may_give_its_session_another_expiry(engine: Engine) -> None:
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
    lives = Session.objects.get(pk=session.session_key).expire_date - timezone.now()
    assert abs(lives - timedelta(seconds=3600)) < timedelta(seconds=30)


@on_engines(lambda engine: engine.ours and engine.name == "db" and engine.database != "mariadb")
def test_threads_that_save_one_session_leave_its_expiry_alone(engine: Engine) -> None:
    """Of two that are in the hook at once the first comes out of it first."""
    inside, go_on = (
        threading.Semaphore(0),
        {"first": threading.Event(), "second": threading.Event()},
    )

    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        def create_model_instance(self, data: Any) -> Any:
            if (name := threading.current_thread().name) in go_on:
                inside.release()
                assert go_on[name].wait(30)
            return super().create_model_instance(data)

    def save() -> None:
        session[threading.current_thread().name] = 1
        session.save()
        connections.close_all()

    session = stored(SessionStore, a=1)
    threads = [threading.Thread(target=save, name=name) for name in go_on]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=30)
    for thread in threads:
        go_on[thread.name].set()
        thread.join()
    session.set_expiry(60)
    assert 58 <= session.get_expiry_age() <= 60


@on_engines(lambda engine: engine.name in SIGNED)
def test_what_is_encoded_by_its_key_is_taken_along_to_the_new_one(engine: Engine) -> None:
    class SessionStore(engine.Store):  # type: ignore[name-defined,misc]
        def encode(self, session_dict: Any) -> str:
            return f"{self.session_key}|{super().encode(session_dict)}"

        def decode(self, session_data: Any) -> Any:
            key, _, rest = session_data.partition("|")
            return super().decode(rest) if key == self.session_key else {}

    key = stored(SessionStore, x=1).session_key
    one, two = SessionStore(key), SessionStore(key)
    one.get("x"), two.get("x")
    one["user"], two["b"] = "alice", 2
    one.save()
    two.save()
    one.cycle_key()
    one.save()
    data = opened(SessionStore, one.session_key)
    if engine.ours:
        # As movesessions does.
        store_of(SessionStore).insert("k" * 32, {"a": 1}, from_now(100))
        assert opened(SessionStore, "k" * 32) == {"a": 1}
    kept(engine, data == {"x": 1, "user": "alice", "b": 2}, data, ALL)


@on_engines(lambda engine: engine.name == "cached_db" and engine.cache == "memory")
def test_a_copy_does_not_outlive_its_row(engine: Engine) -> None:
    """Caches count whole seconds."""
    with time_machine.travel(time.time(), tick=False) as clock:
        session = engine.Store()
        session["a"] = 1
        session.set_expiry(timezone.now() + timedelta(seconds=10.2))
        session.save()
        clock.shift(10.4)
        assert opened(engine.Store, session.session_key) == {}


@on_engines(lambda engine: engine.on_server)
def test_what_is_to_expire_at_once_does_whatever_others_have_stored(engine: Engine) -> None:
    key = stored(engine.Store, a=1).session_key
    one, two = engine.Store(key), engine.Store(key)
    one.get("a"), two.get("a")
    two["b"] = 2
    one.set_expiry(-1)
    two.save()
    one.save()
    assert opened(engine.Store, key) == {}


@pytest.mark.parametrize("switch", [("cached_db", "db")], indirect=True, ids=" to ".join)
def test_a_sign_out_in_a_transaction_is_one_to_caches_without_tombstones(
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

    def looks() -> None:
        """A process of the former engine puts a copy of the row, which is still there."""
        opened(switch.store(switch.old), key)
        connection.close()

    with transaction.atomic():
        browser.visit(flush)
        other = threading.Thread(target=looks)
        other.start()
        other.join()
    assert opened(switch.store(switch.old), key) == {}


def test_what_is_pending_may_be_noted_while_it_is_gone_through() -> None:
    """By other threads of a process whose cache comes and goes."""
    pending, errors = PendingInvalidations(1000), []
    ends = time.monotonic() + 0.5

    def work(number: int) -> None:
        try:
            while time.monotonic() < ends:
                pending.add("cache", str(number))
                for key in pending.due("cache", str(number)):
                    pending.done("cache", key)
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
