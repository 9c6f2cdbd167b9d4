"""A row of Django's own three columns is inserted without the ORM, any other one by its model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar
from unittest import mock

import pytest
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.models.functions import Now
from django.db.models.signals import post_save, pre_save
from django.test.utils import isolate_apps

from cookieproj.engines.clock import from_now
from cookieproj.engines.handover_mixin import store_of

from .contract import Engine, on_engines
from .test_db import tables
from .test_overrides import made

pytestmark = on_engines(lambda engine: engine.ours and engine.name == "db")

KEY = "k" * 32


@contextmanager
def saved_by_model() -> Iterator[list[Any]]:
    """Yield the rows that a model saves."""
    rows: list[Any] = []
    save_base = models.Model.save_base

    def spy(row: Any, *arguments: Any, **options: Any) -> None:
        rows.append(row)
        save_base(row, *arguments, **options)

    with mock.patch.object(models.Model, "save_base", spy):
        yield rows


def insert(session_class: Any) -> tuple[list[Any], Any]:
    """Insert a session; return the rows that a model has saved, and the stored entry."""
    store = store_of(session_class)
    with saved_by_model() as rows:
        store.insert(KEY, {"a": 1}, from_now(100))
    return rows, store.read(KEY)


@pytest.mark.parametrize("context", [nullcontext, transaction.atomic])
def test_plain_row_is_inserted_without_its_model(
    engine: Engine, context: Callable[[], Any]
) -> None:
    with context():
        rows, entry = insert(engine.Store)
        assert not rows
        assert entry.data == {"a": 1}
        with pytest.raises(CreateError):
            insert(engine.Store)
        assert Session.objects.get().get_decoded() == {"a": 1}


@pytest.mark.parametrize("signal", [pre_save, post_save])
@pytest.mark.parametrize("sender", [Session, None])
def test_row_is_saved_by_its_model_if_a_signal_has_a_receiver(
    engine: Engine, signal: Any, sender: Any
) -> None:
    received: list[Any] = []

    def receive(instance: Any, **kwargs: Any) -> None:
        received.append(instance)

    signal.connect(receive, sender=sender)
    try:
        rows, _entry = insert(engine.Store)
    finally:
        signal.disconnect(receive, sender=sender)
    assert len(rows) == len(received) == 1


def with_more_columns() -> Any:
    class Numbered(AbstractBaseSession):
        number = models.IntegerField(default=7)

        class Meta:
            app_label = "demo"

    return Numbered


def with_key_of_its_own() -> Any:
    class Keyed(AbstractBaseSession):
        id = models.BigAutoField(primary_key=True)
        session_key = models.CharField(max_length=40, unique=True)

        class Meta:
            app_label = "demo"

    return Keyed


def overriding(name: str) -> Callable[[], Any]:
    def overridden_model() -> Any:
        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            return getattr(super(model, self), name)(*arguments, **options)

        meta = type("Meta", (), {"app_label": "demo"})
        attributes = {name: method, "Meta": meta, "__module__": __name__}
        model: Any = type("Overriding", (AbstractBaseSession,), attributes)
        return model

    return overridden_model


def with_base_manager() -> Any:
    class Manager(models.Manager[Any]):
        pass

    class Managed(AbstractBaseSession):
        rows: ClassVar[Any] = Manager()

        class Meta:
            app_label = "demo"
            base_manager_name = "rows"

    return Managed


@pytest.mark.parametrize(
    "create_model",
    [
        with_more_columns,
        with_key_of_its_own,
        with_base_manager,
        *map(overriding, ("save", "save_base", "_save_table", "_do_insert")),
    ],
)
@isolate_apps("demo")
def test_row_is_saved_by_a_model_that_may_do_more(
    engine: Engine, create_model: Callable[[], Any]
) -> None:
    model = create_model()
    session_class = made(engine, get_model_class=classmethod(lambda cls: model))
    with tables(model):
        rows, entry = insert(session_class)
    assert len(rows) == 1
    assert entry.data == {"a": 1}


def test_value_that_the_database_computes_is_saved_by_the_model(engine: Engine) -> None:
    def create_model_instance(self: Any, data: Any) -> Any:
        row = super(session_class, self).create_model_instance(data)
        row.expire_date = Now()
        return row

    session_class = made(engine, create_model_instance=create_model_instance)
    rows, _entry = insert(session_class)
    assert len(rows) == 1
    assert isinstance(Session.objects.get().expire_date, datetime)
    assert Session.objects.get().expire_date <= datetime.now(UTC)
