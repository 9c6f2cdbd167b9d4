"""What only the database engine can get wrong."""

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


def stored(store: type[SessionStore] = SessionStore, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


def taken(*keys: str | None) -> Any:
    return mock.patch("cookieproj.engines.session_keys.random_key", side_effect=keys)


def test_a_taken_key_leaves_an_open_transaction_whole(engine: Engine) -> None:
    other = stored(a=1)
    with transaction.atomic():
        with taken(other.session_key, "n" * 32):
            session = stored(b=2)
        assert session.session_key == "n" * 32
        with taken(other.session_key, "m" * 32):
            session.cycle_key()
        assert Session.objects.count() == 2
    assert SessionStore("m" * 32)["b"] == 2
    assert SessionStore(other.session_key)["a"] == 1


def test_a_lost_race_leaves_an_open_transaction_whole(engine: Engine) -> None:
    key = stored(a=1).session_key
    one, other = SessionStore(key), SessionStore(key)
    with transaction.atomic():
        one["b"], other["c"] = 2, 3
        one.save()
        other.save()
        one.delete()
        with pytest.raises(UpdateError):
            other.save()
        assert Session.objects.count() == 0


def test_what_is_rolled_back_was_never_saved(engine: Engine) -> None:
    key = stored(a=1).session_key
    session = SessionStore(key)
    session["b"] = 2
    with transaction.atomic():
        session.save()
        transaction.set_rollback(True)
    assert dict(SessionStore(key).items()) == {"a": 1}


def test_savepoints_stand_in_open_transactions_only(engine: Engine) -> None:
    with CaptureQueriesContext(connection) as outside:
        stored(a=1)
    assert [query["sql"].split()[0] for query in outside] == ["INSERT"]
    with transaction.atomic(), CaptureQueriesContext(connection) as inside:
        stored(a=1)
    assert [query["sql"].split()[0] for query in inside] == ["SAVEPOINT", "INSERT", "RELEASE"]


def test_a_key_that_is_taken_again_and_again_is_an_error(engine: Engine) -> None:
    """Random keys of 160 bits are not taken: it is the store that refuses."""
    other = stored(a=1)
    with taken(*[other.session_key] * 9), pytest.raises(StoreUnavailableError, match="5 new"):
        stored(b=2)


def test_a_save_that_can_never_win_is_an_error(engine: Engine) -> None:
    session = stored(a=1)
    session["b"] = 2
    with (
        mock.patch("cookieproj.engines.sql_statements.Table.compare_and_swap", return_value=False),
        pytest.raises(StoreUnavailableError, match="1000 times"),
    ):
        session.save()


def test_a_database_that_is_away_is_named(engine: Engine) -> None:
    session = stored(a=1)
    with broken() as place, pytest.raises(StoreUnavailableError) as error:
        SessionStore(session.session_key).load()
    assert str(error.value.store).startswith("table django_session, ")
    assert place in str(error.value.store)
    assert isinstance(error.value.__cause__, DatabaseError)
    assert SessionStore(session.session_key)["a"] == 1


@contextmanager
def broken() -> Iterator[str]:
    """A database that is not there; gives what names it."""
    connection.close()
    wrong = {"NAME": "/nowhere/at/all", "OPTIONS": {}, "HOST": "127.0.0.1", "PORT": "1"}
    with mock.patch.dict(connection.settings_dict, wrong):
        yield "/nowhere/at/all"
    connection.close()


@pytest.mark.parametrize("signal", [pre_delete, post_delete])
def test_whoever_listens_to_the_end_of_a_session_hears_it(engine: Engine, signal: Any) -> None:
    heard: list[Any] = []

    def listen(instance: Session, **kwargs: Any) -> None:
        heard.append(instance.get_decoded())

    signal.connect(listen, sender=Session)
    try:
        stored(a=1).flush()
        expired = stored(a=2)
        expired.set_expiry(-60)
        expired.save()
        assert SessionStore.clear_expired() == 1
    finally:
        signal.disconnect(listen, sender=Session)
    assert [data["a"] for data in heard] == [1, 2]


@contextmanager
def tables(*made: type[models.Model]) -> Iterator[None]:
    with connection.schema_editor() as editor:
        for model in made:
            editor.create_model(model)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(made):
                editor.delete_model(model)


@isolate_apps("demo")
def test_rows_that_refer_to_a_session_go_with_it(engine: Engine) -> None:
    """A key in use elsewhere cannot be renamed: there the session is copied, as Django does."""

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
        session = stored(OwnedStore, account=7)
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
def test_columns_of_every_kind_are_saved(engine: Engine) -> None:
    """As in Django's documentation on extending the engine, and a little further."""

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
        session = stored(WideStore, a=1)
        for seen in (1, 2):
            # With a change and without one: a touch is a save, where there is more to save.
            session["a"] = 2
            session.save()
            row = Wide.objects.get()
            assert (row.seen, row.kind, row.length) == (seen, "web", len(row.session_data))


def test_statements_are_put_together_once(engine: Engine) -> None:
    key = stored(a=1).session_key
    SessionStore(key).load()
    compiled = mock.patch(
        "django.db.models.sql.compiler.SQLCompiler.as_sql", side_effect=AssertionError
    )
    with compiled:
        session = SessionStore(key)
        session["b"] = 2
        session.save()
        session.cycle_key()
        session.flush()
