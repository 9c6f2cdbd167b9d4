"""The database engine: transactions, errors, signals, related rows and extra columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, models, transaction
from django.db.models.functions import Length
from django.db.models.signals import post_delete, pre_delete
from django.test.utils import CaptureQueriesContext, isolate_apps

from cookieproj.engines.db import SessionStore
from cookieproj.engines.exceptions import StoreUnavailableError

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours and engine.name == "db")


def stored_session(store: type[SessionStore] = SessionStore, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


def next_random_keys(*keys: str | None) -> Any:
    """Make these the keys of the next new sessions."""
    return mock.patch("cookieproj.engines.session_keys.random_key", side_effect=keys)


def test_key_collision_does_not_break_a_transaction(engine: Engine) -> None:
    existing = stored_session(a=1)
    with transaction.atomic():
        with next_random_keys(existing.session_key, "n" * 32):
            session = stored_session(b=2)
        assert session.session_key == "n" * 32
        with next_random_keys(existing.session_key, "m" * 32):
            session.cycle_key()
        assert Session.objects.count() == 2
    assert SessionStore("m" * 32)["b"] == 2
    assert SessionStore(existing.session_key)["a"] == 1


def test_concurrent_change_does_not_break_a_transaction(engine: Engine) -> None:
    key = stored_session(a=1).session_key
    first, second = SessionStore(key), SessionStore(key)
    with transaction.atomic():
        first["b"], second["c"] = 2, 3
        first.save()
        second.save()
        first.delete()
        with pytest.raises(UpdateError):
            second.save()
        assert Session.objects.count() == 0


def test_rolled_back_save_is_not_stored(engine: Engine) -> None:
    key = stored_session(a=1).session_key
    session = SessionStore(key)
    session["b"] = 2
    with transaction.atomic():
        session.save()
        transaction.set_rollback(True)
    assert dict(SessionStore(key).items()) == {"a": 1}


def test_savepoints_are_set_in_transactions_only(engine: Engine) -> None:
    with CaptureQueriesContext(connection) as outside:
        stored_session(a=1)
    assert [query["sql"].split()[0] for query in outside] == ["INSERT"]
    with transaction.atomic(), CaptureQueriesContext(connection) as inside:
        stored_session(a=1)
    assert [query["sql"].split()[0] for query in inside] == ["SAVEPOINT", "INSERT", "RELEASE"]


def test_repeated_key_collisions_raise(engine: Engine) -> None:
    """Random keys do not collide so often: the store refuses them."""
    existing = stored_session(a=1)
    with (
        next_random_keys(*[existing.session_key] * 9),
        pytest.raises(StoreUnavailableError, match="5 new"),
    ):
        stored_session(b=2)


def test_save_that_always_conflicts_raises(engine: Engine) -> None:
    session = stored_session(a=1)
    session["b"] = 2
    with (
        mock.patch("cookieproj.engines.sql_statements.Table.compare_and_swap", return_value=False),
        pytest.raises(StoreUnavailableError, match="1000 times"),
    ):
        session.save()


def test_unreachable_database_is_named_in_the_error(engine: Engine) -> None:
    session = stored_session(a=1)
    with unreachable_database() as name, pytest.raises(StoreUnavailableError) as error:
        SessionStore(session.session_key).load()
    assert str(error.value.store).startswith("table django_session, ")
    assert name in str(error.value.store)
    assert isinstance(error.value.__cause__, DatabaseError)
    assert SessionStore(session.session_key)["a"] == 1


@contextmanager
def unreachable_database() -> Iterator[str]:
    """Make the database unreachable; yields a part of its name."""
    connection.close()
    wrong = {"NAME": "/nowhere/at/all", "OPTIONS": {}, "HOST": "127.0.0.1", "PORT": "1"}
    with mock.patch.dict(connection.settings_dict, wrong):
        yield "/nowhere/at/all"
    connection.close()


@pytest.mark.parametrize("signal", [pre_delete, post_delete])
def test_flush_and_clear_expired_send_delete_signals(engine: Engine, signal: Any) -> None:
    deleted: list[Any] = []

    def receiver(instance: Session, **kwargs: Any) -> None:
        deleted.append(instance.get_decoded())

    signal.connect(receiver, sender=Session)
    try:
        stored_session(a=1).flush()
        expired = stored_session(a=2)
        expired.set_expiry(-60)
        expired.save()
        assert SessionStore.clear_expired() == 1
    finally:
        signal.disconnect(receiver, sender=Session)
    assert [data["a"] for data in deleted] == [1, 2]


@contextmanager
def tables(*new_models: type[models.Model]) -> Iterator[None]:
    with connection.schema_editor() as editor:
        for model in new_models:
            editor.create_model(model)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(new_models):
                editor.delete_model(model)


@isolate_apps("demo")
def test_related_rows_are_deleted_with_their_session(engine: Engine) -> None:
    """A key that other rows reference cannot be renamed, so ``cycle_key`` copies the session."""

    class Owned(AbstractBaseSession):
        account = models.IntegerField(null=True)

        class Meta:
            app_label = "demo"

    class Device(models.Model):  # noqa: DJ008
        session = models.ForeignKey(Owned, on_delete=models.CASCADE)
        objects: ClassVar[models.Manager[Any]] = models.Manager()

        class Meta:
            app_label = "demo"

    class OwnedStore(SessionStore):
        @classmethod
        def get_model_class(cls) -> type[AbstractBaseSession]:
            return Owned

        def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
            row: Any = super().create_model_instance(data)
            row.account = data.get("account")
            return row  # type: ignore[no-any-return]

    with tables(Owned, Device):
        session = stored_session(OwnedStore, account=7)
        assert Owned.objects.get().account == 7
        Device.objects.create(session_id=session.session_key)
        session["account"] = 8
        session.save()
        assert Owned.objects.get().account == 8
        old = session.session_key
        session.cycle_key()
        session.save()
        assert not Owned.objects.filter(pk=old).exists()
        assert OwnedStore(session.session_key)["account"] == 8
        assert not Device.objects.exists()
        Device.objects.create(session_id=session.session_key)
        session.flush()
        assert not Device.objects.exists()


@isolate_apps("demo")
def test_extra_columns_of_every_kind_are_saved(engine: Engine) -> None:
    """Like the engine in Django's documentation on extending it, with more kinds of columns."""

    class Wide(AbstractBaseSession):
        seen = models.IntegerField(default=0)
        changed = models.DateTimeField(auto_now=True)
        kind = models.CharField(max_length=9, db_default="web")
        length = models.GeneratedField(
            expression=Length("session_data"),
            output_field=models.IntegerField(),
            db_persist=True,
        )

        class Meta:
            app_label = "demo"

    class WideStore(SessionStore):
        @classmethod
        def get_model_class(cls) -> type[AbstractBaseSession]:
            return Wide

        def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
            row: Any = super().create_model_instance(data)
            row.seen = data.get("seen", 0) if self._base is None else models.F("seen") + 1
            return row  # type: ignore[no-any-return]

    with tables(Wide):
        session = stored_session(WideStore, a=1)
        for seen in (1, 2):
            # With a change and without one: a touch saves extra columns too.
            session["a"] = 2
            session.save()
            row = Wide.objects.get()
            assert (row.seen, row.kind, row.length) == (seen, "web", len(row.session_data))


def test_statements_are_compiled_once(engine: Engine) -> None:
    key = stored_session(a=1).session_key
    SessionStore(key).load()
    compiling_fails = mock.patch(
        "django.db.models.sql.compiler.SQLCompiler.as_sql", side_effect=AssertionError
    )
    with compiling_fails:
        session = SessionStore(key)
        session["b"] = 2
        session.save()
        session.cycle_key()
        session.flush()
