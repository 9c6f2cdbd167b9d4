"""Engines whose session model has extra columns or methods, as in packages for Django's engine."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.models.signals import post_save
from django.test.utils import isolate_apps
from django.utils import timezone

from .contract import ALL, Engine, kept, on_engines
from .test_db import tables
from .test_overrides import made

pytestmark = on_engines(lambda engine: engine.name in {"db", "cached_db"})


def opened(store: Any, key: str) -> Any:
    """Open the session from its row, without its cached copy."""
    session = store(key)
    if hasattr(session, "_cache"):
        session._cache.clear()
    return session


@isolate_apps("demo")
def test_extra_column_survives_each_save(engine: Engine) -> None:
    """Like the user of a session in django-user-sessions."""

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
def test_save_and_delete_of_the_model_are_called(engine: Engine) -> None:
    """Like django-qsessions, which stores the time of creation and deletes a copy elsewhere."""
    deleted: list[str] = []

    class Rows(models.QuerySet[Any]):
        def delete(self) -> Any:
            deleted.extend(row.session_key for row in self)
            return super().delete()

    class Dated(AbstractBaseSession):
        created_at = models.DateTimeField(null=True)
        objects: ClassVar[Any] = BaseSessionManager.from_queryset(Rows)()

        class Meta:
            app_label = "demo"

        def save(self, *arguments: Any, **options: Any) -> None:
            existing = type(self).objects.filter(pk=self.pk).first()
            self.created_at = existing.created_at if existing else timezone.now()
            super().save(*arguments, **options)

        def delete(self, *arguments: Any, **options: Any) -> Any:
            deleted.append(self.session_key)
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
        assert deleted == [session.session_key]
        session = store()
        session.set_expiry(-60)
        session.save()
        store.clear_expired()
        assert deleted[1:] == [session.session_key]


@isolate_apps("demo")
def test_model_that_overrides_save_loses_no_write(engine: Engine) -> None:
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
        first, second = store(session.session_key), store(session.session_key)
        first["b"], second["c"] = 2, 3
        first.save()
        second.save()
        data = dict(opened(store, session.session_key).items())
        second.flush()
        with pytest.raises(UpdateError):
            first.save()
        kept(engine, data == {"a": 1, "b": 2, "c": 3}, data, ALL)


@isolate_apps("demo")
def test_row_that_the_manager_hides_opens_nothing(engine: Engine) -> None:
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


def test_each_save_sends_post_save(engine: Engine) -> None:
    created_flags: list[bool] = []

    def receiver(created: bool, **kwargs: Any) -> None:
        created_flags.append(created)

    post_save.connect(receiver, sender=Session)
    try:
        session = engine.Store()
        session["a"] = 1
        session.save()
        again = opened(engine.Store, session.session_key)
        again["b"] = 2
        again.save()
        again.save()
    finally:
        post_save.disconnect(receiver, sender=Session)
    assert created_flags == [True, False, False]
    assert dict(opened(engine.Store, session.session_key).items()) == {"a": 1, "b": 2}


class Reversed(models.TextField):  # type: ignore[type-arg]
    """Stores its value in another form each time, like an encrypted field."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else secrets.token_hex(4) + str(value)[::-1]

    def from_db_value(self, value: Any, *arguments: Any) -> Any:
        return None if value is None else value[8:][::-1]


def models_of_kind(kind: str) -> list[type[models.Model]]:
    """Return a model that works on Django's engine, after the models whose tables it needs."""

    class Meta:
        app_label = "demo"

    if kind == "proxy":
        proxy = type("Meta", (Meta,), {"proxy": True})
        return [type("Proxy", (Session,), {"Meta": proxy, "__module__": __name__})]
    if kind == "child":
        members: dict[str, Any] = {"note": models.CharField(max_length=9, default="new")}
        return [type("Child", (Session,), members | {"Meta": Meta, "__module__": __name__})]
    if kind == "grandchild":
        parent: Any = type("Parent", (AbstractBaseSession,), {"Meta": Meta, "__module__": __name__})
        return [parent, type("Grand", (parent,), {"Meta": Meta, "__module__": __name__})]
    kinds: dict[str, dict[str, Any]] = {
        "columns": {
            "session_key": models.CharField(max_length=40, primary_key=True, db_column="sid"),
            "session_data": models.TextField(db_column="Payload of it"),
            "expire_date": models.DateTimeField(db_index=True, db_column="expires"),
        },
        "table": {"Meta": type("Meta", (Meta,), {"db_table": "Sessions of theirs"})},
        "converted": {"session_data": Reversed()},
        "numbered": {
            "id": models.BigAutoField(primary_key=True),
            "session_key": models.CharField(max_length=40, unique=True),
        },
    }
    members = {"Meta": Meta, "__module__": __name__} | kinds[kind]
    return [type("Own", (AbstractBaseSession,), members)]


KINDS = ["proxy", "child", "grandchild", "columns", "table", "converted", "numbered"]


@contextmanager
def own_store(engine: Engine, kind: str) -> Iterator[Any]:
    with isolate_apps("demo"):
        all_models = models_of_kind(kind)
        model: Any = all_models[-1]

        def create_model_instance(self: Any, data: dict[str, Any]) -> Any:
            """Set the primary key, by which Django's engine saves a row."""
            row = super(store, self).create_model_instance(data)
            row.id = model.objects.filter(session_key=row.session_key).values_list("id").first()
            row.id = row.id and row.id[0]
            return row

        numbered = {"create_model_instance": create_model_instance} if kind == "numbered" else {}
        store = made(engine, get_model_class=classmethod(lambda cls: model), **numbered)
        with tables(*(any_model for any_model in all_models if not any_model._meta.proxy)):
            yield store


def stored_session(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


@pytest.mark.parametrize("kind", KINDS)
def test_life_of_a_session_in_each_kind_of_model(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        model = store.get_model_class()
        key = stored_session(store, a=1).session_key
        assert store().exists(key)
        assert not store().exists("n" * 32)
        for change in ({"b": 2}, {}, {"c": 3}):
            again = opened(store, key)
            assert again["a"] == 1
            again.update(change)
            again.save()
        again = opened(store, key)
        assert dict(again.items()) == {"a": 1, "b": 2, "c": 3}
        again.set_expiry(300)
        again.save()
        assert model.objects.get(session_key=key).expire_date < timezone.now() + timedelta(301)
        again.cycle_key()
        again.save()
        assert not store().exists(key)
        new = opened(store, again.session_key)
        assert (new["a"], new.get_expiry_age()) == (1, 300)
        new.flush()
        assert dict(opened(store, again.session_key).items()) == {}
        assert not model.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_concurrent_writes_in_each_kind_of_model(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        key = stored_session(store, a=1).session_key
        first, second = store(key), store(key)
        first["b"], second["c"] = 2, 3
        first.save()
        second.save()
        data = dict(opened(store, key).items())
        second.flush()
        # On Django's engine a row without its id is an error, and a child row is inserted again.
        with pytest.raises(UpdateError) if engine.ours else suppress(UpdateError, ValueError):
            first.save()
        if engine.ours:
            assert not store().exists(key)
        kept(engine, data == {"a": 1, "b": 2, "c": 3}, data, ALL)


@pytest.mark.parametrize("kind", KINDS)
def test_transactions_in_each_kind_of_model(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        key = stored_session(store, a=1).session_key
        with transaction.atomic():
            session = opened(store, key)
            session["b"] = 2
            session.save()
            session["c"] = 3
            session.save()
        with transaction.atomic():
            session = opened(store, key)
            session.cycle_key()
            session.save()
            transaction.set_rollback(True)
        assert dict(opened(store, key).items()) == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("kind", KINDS)
def test_clear_expired_in_each_kind_of_model(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        model = store.get_model_class()
        lasting = stored_session(store, a=1)
        for _time in range(3):
            expired = store()
            expired.set_expiry(-60)
            expired.save()
        assert dict(opened(store, expired.session_key).items()) == {}
        if engine.ours:
            assert store.count_expired() == 3
            assert store.count() == 4
        cleared = store.clear_expired()
        assert cleared == (3 if engine.ours else None)
        assert [row.session_key for row in model.objects.all()] == [lasting.session_key]
        assert opened(store, lasting.session_key)["a"] == 1


@on_engines(lambda engine: engine.ours and engine.name in {"db", "cached_db"})
@pytest.mark.parametrize("kind", KINDS)
def test_page_apply_and_locate_in_each_kind_of_model(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        sessions = sorted((stored_session(store, a=number) for number in range(3)), key=key_of)
        first_page = store.page(size=2)
        second_page = store.page(first_page.next, size=2)
        listed = [*first_page.sessions, *second_page.sessions]
        assert [each.key for each in listed] == [key_of(each) for each in sessions]
        assert [each.data for each in listed] == [dict(each.items()) for each in sessions]
        keys = [key_of(each) for each in sessions]
        assert store.alive({*keys, "n" * 32}) == set(keys)
        assert opened(store, keys[0]).apply("n", lambda number: number + 1, 1) == 2
        assert opened(store, keys[0])["n"] == 2
        location, *_copy = opened(store, keys[0]).locate()
        assert location.expires
        assert location.expires > timezone.now()


def key_of(session: Any) -> str:
    return str(session.session_key)
