"""Stores whose model has more columns or a way of its own, as others build on Django's engine."""

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


class Reversed(models.TextField):  # type: ignore[type-arg]
    """A column in another form than a row tells, and in another one each time: as if encrypted."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else secrets.token_hex(4) + str(value)[::-1]

    def from_db_value(self, value: Any, *arguments: Any) -> Any:
        return None if value is None else value[8:][::-1]


def of_kind(kind: str) -> list[type[models.Model]]:
    """A model that works on Django's engine, after those that have their tables first."""

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
        kept_models = of_kind(kind)
        model: Any = kept_models[-1]

        def create_model_instance(self: Any, data: dict[str, Any]) -> Any:
            """Django's saves a row by its primary key, so that one has to be found."""
            row = super(store, self).create_model_instance(data)
            row.id = model.objects.filter(session_key=row.session_key).values_list("id").first()
            row.id = row.id and row.id[0]
            return row

        numbered = {"create_model_instance": create_model_instance} if kind == "numbered" else {}
        store = made(engine, get_model_class=classmethod(lambda cls: model), **numbered)
        with tables(*(each for each in kept_models if not each._meta.proxy)):
            yield store


def stored(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_lives_and_ends_in_a_model_of_any_kind(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        model = store.get_model_class()
        key = stored(store, a=1).session_key
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
def test_what_two_requests_write_is_kept_in_each(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        key = stored(store, a=1).session_key
        one, two = store(key), store(key)
        one["b"], two["c"] = 2, 3
        one.save()
        two.save()
        data = dict(opened(store, key).items())
        two.flush()
        # Django's finds no row of that number; of one in two tables it makes another.
        with pytest.raises(UpdateError) if engine.ours else suppress(UpdateError, ValueError):
            one.save()
        if engine.ours:
            assert not store().exists(key)
        kept(engine, data == {"a": 1, "b": 2, "c": 3}, data, ALL)


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_transaction_too(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        key = stored(store, a=1).session_key
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
def test_expired_ones_are_cleared_and_the_others_stay(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        model = store.get_model_class()
        lasting = stored(store, a=1)
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
def test_it_can_be_listed_applied_to_and_located(engine: Engine, kind: str) -> None:
    with own_store(engine, kind) as store:
        sessions = sorted((stored(store, a=number) for number in range(3)), key=key_of)
        first = store.page(size=2)
        rest = store.page(first.next, size=2)
        listed = [*first.sessions, *rest.sessions]
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
