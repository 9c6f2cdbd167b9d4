"""Stores whose model has more columns or a way of its own, as others build on Django's engine."""

from typing import Any, ClassVar

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.signals import post_save
from django.test.utils import isolate_apps
from django.utils import timezone

from .contract import ALL, Engine, kept, on_engines
from .test_db import tables
from .test_overrides import made

pytestmark = on_engines(lambda engine: engine.name in {"db", "cached_db"})


def opened(store: Any, key: str) -> Any:
    """From the row, without the copy of it."""
    session = store(key)
    if hasattr(session, "_cache"):
        session._cache.clear()
    return session


@isolate_apps("demo")
def test_a_column_that_the_store_remembers_stays(engine: Engine) -> None:
    """As django-user-sessions keeps whose a session is."""

    class Owned(AbstractBaseSession):
        user_id = models.IntegerField(null=True)

        class Meta:
            app_label = "demo"

    def get_session_from_db(self: Any) -> Any:
        row = super(store, self)._get_session_from_db()
        if row:
            self.user_id = row.user_id
        return row

    def create_model_instance(self: Any, data: dict[str, Any]) -> Any:
        row = super(store, self).create_model_instance(data)
        row.user_id = self.user_id
        return row

    store = made(
        engine,
        user_id=None,
        get_model_class=classmethod(lambda cls: Owned),
        _get_session_from_db=get_session_from_db,
        create_model_instance=create_model_instance,
    )
    with tables(Owned):
        session = store()
        session.user_id = 7
        session["a"] = 1
        session.save()
        for change in ({"b": 2}, {}, {"c": 3}):
            again = opened(store, session.session_key)
            again.get("a")
            again.update(change)
            again.save()
            assert Owned.objects.get().user_id == 7
        again = opened(store, session.session_key)
        again.cycle_key()
        again.save()
        assert Owned.objects.get().user_id == 7
        assert dict(store(again.session_key).items()) == {"a": 1, "b": 2, "c": 3}
        assert dict(opened(store, session.session_key).items()) == {}


@isolate_apps("demo")
def test_what_a_model_does_as_it_saves_and_deletes(engine: Engine) -> None:
    """As django-qsessions keeps when a session began, and forgets what it has elsewhere."""
    gone: list[str] = []

    class Rows(models.QuerySet[Any]):
        def delete(self) -> Any:
            gone.extend(row.session_key for row in self)
            return super().delete()

    class Dated(AbstractBaseSession):
        created_at = models.DateTimeField(null=True)
        objects: ClassVar[Any] = BaseSessionManager.from_queryset(Rows)()

        class Meta:
            app_label = "demo"

        def save(self, *arguments: Any, **options: Any) -> None:
            known = type(self).objects.filter(pk=self.pk).first()
            self.created_at = known.created_at if known else timezone.now()
            super().save(*arguments, **options)

        def delete(self, *arguments: Any, **options: Any) -> Any:
            gone.append(self.session_key)
            return super().delete(*arguments, **options)

    store = made(engine, get_model_class=classmethod(lambda cls: Dated))
    with tables(Dated):
        session = store()
        session["a"] = 1
        session.save()
        created = Dated.objects.get().created_at
        assert created
        for change in ({"b": 2}, {}):
            again = opened(store, session.session_key)
            again.get("a")
            again.update(change)
            again.save()
            assert Dated.objects.get().created_at == created
        again = opened(store, session.session_key)
        again.flush()
        assert gone == [session.session_key]
        session = store()
        session.set_expiry(-60)
        session.save()
        store.clear_expired()
        assert gone[1:] == [session.session_key]


@isolate_apps("demo")
def test_two_writes_at_once_are_kept_there_too(engine: Engine) -> None:
    class Saved(AbstractBaseSession):
        class Meta:
            app_label = "demo"

        def save(self, *arguments: Any, **options: Any) -> None:
            super().save(*arguments, **options)

    store = made(engine, get_model_class=classmethod(lambda cls: Saved))
    with tables(Saved):
        session = store()
        session["a"] = 1
        session.save()
        one, two = store(session.session_key), store(session.session_key)
        one["b"], two["c"] = 2, 3
        one.save()
        two.save()
        data = dict(opened(store, session.session_key).items())
        two.flush()
        with pytest.raises(UpdateError):
            one.save()
        kept(engine, data == {"a": 1, "b": 2, "c": 3}, data, ALL)


@isolate_apps("demo")
def test_what_a_manager_does_not_find_opens_nothing(engine: Engine) -> None:
    class Live(BaseSessionManager[Any]):
        def get_queryset(self) -> Any:
            return super().get_queryset().exclude(is_locked=True)

    class Lockable(AbstractBaseSession):
        is_locked = models.BooleanField(default=False)
        objects: ClassVar[Any] = Live()

        class Meta:
            app_label = "demo"

    store = made(engine, get_model_class=classmethod(lambda cls: Lockable))
    with tables(Lockable):
        session = store()
        session["a"] = 1
        session.save()
        assert opened(store, session.session_key).get("a") == 1
        Lockable.objects.update(is_locked=True)
        assert opened(store, session.session_key).get("a") is None


def test_whoever_listens_hears_of_each_save(engine: Engine) -> None:
    heard: list[bool] = []

    def listen(created: bool, **kwargs: Any) -> None:
        heard.append(created)

    post_save.connect(listen, sender=Session)
    try:
        session = engine.Store()
        session["a"] = 1
        session.save()
        again = opened(engine.Store, session.session_key)
        again["b"] = 2
        again.save()
        again.save()
    finally:
        post_save.disconnect(listen, sender=Session)
    assert heard == [True, False, False]
    assert dict(opened(engine.Store, session.session_key).items()) == {"a": 1, "b": 2}
