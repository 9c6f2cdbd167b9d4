"""Keys and data that differ only in what a collation ignores: case, accents, spaces at the end.

MariaDB's default collation ignores all three. The table here has that one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any

import pytest
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.db import connection, models
from django.db.models.functions import Lower
from django.db.models.signals import post_delete
from django.test.utils import isolate_apps

from cookieproj.engines.clock import from_now
from cookieproj.engines.handover_mixin import store_of

from .contract import Engine, on_engines
from .test_custom_models import KINDS, opened, own_store
from .test_db import tables
from .test_overrides import made

KEY = "k" * 32
ALIKE = [KEY.upper(), f"{KEY} ", "ḱ" + KEY[1:]]

pytestmark = on_engines(lambda engine: engine.ours and engine.database == "mariadb")

# Of the models, one whose rows are saved by their own methods stands for the others.
MODELS = [
    pytest.param(kind, marks=[] if kind == "grandchild" else pytest.mark.matrix) for kind in KINDS
]


@contextmanager
def heard() -> Iterator[None]:
    """Rows are deleted through Django while anybody listens."""
    post_delete.connect(note := lambda **kwargs: None, sender=Session)
    try:
        yield
    finally:
        post_delete.disconnect(note, sender=Session)


@contextmanager
def store_class(engine: Engine, kind: str) -> Iterator[Any]:
    if kind == "heard":
        with heard():
            yield engine.Store
    elif kind == "read":
        # As a subclass does that looks at the row first.
        yield made(engine, _get_session_from_db=partialmethod(engine.Store._get_session_from_db))
    elif kind == "read, async":
        yield made(engine, _aget_session_from_db=partialmethod(engine.Store._aget_session_from_db))
    elif kind == "plain":
        yield engine.Store
    else:
        with own_store(engine, kind) as store:
            yield store


@pytest.mark.parametrize("alike", ALIKE, ids=["case", "space", "accent"])
@pytest.mark.parametrize("kind", ["plain", "heard", "read", "read, async", *MODELS])
def test_a_key_that_is_spelled_alike_is_another(engine: Engine, kind: str, alike: str) -> None:
    with store_class(engine, kind) as session_class:
        store = store_of(session_class)
        held = store.insert(KEY, {"a": 1}, from_now(100))
        if hasattr(session_class, "cache_key_prefix"):
            session_class()._cache.clear()
        assert (store.read(alike), store.load(alike), store.refresh(alike, None)) == (None,) * 3
        assert not store.exists(alike)
        assert store.live_keys([KEY, alike]) == {KEY}
        assert store.live_keys([alike]) == set()
        assert store.locate(alike) == []
        assert store.compare_and_swap(alike, held, {"a": 2}, from_now(100)) is None
        assert store.touch(alike, held, from_now(200)) is None
        assert not store.compare_and_delete(alike, held)
        store.delete(alike)
        assert dict(opened(session_class, KEY).items()) == {"a": 1}


def test_any_key_is_looked_up_in_a_column_of_latin1(engine: Engine) -> None:
    """MariaDB refuses to compare other characters with such a column."""
    store = store_of(engine.Store)
    store.insert(KEY, {"a": 1}, from_now(100))
    with column_of_keys("CHARACTER SET latin1 COLLATE latin1_swedish_ci"):
        for key in ("ź" * 32, "\N{SNOWMAN}" * 32):
            assert store.live_keys([KEY, key]) == {KEY}
            assert not store.exists(key)
            assert store.load(key) is None
            store.delete(key)
        assert store.live_keys([KEY]) == {KEY}


@contextmanager
def column_of_keys(collation: str) -> Iterator[None]:
    """Give the column of session keys that collation within the block."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW FULL COLUMNS FROM django_session LIKE 'session_key'")
        _name, _type, previous, *_more = cursor.fetchone()
        alter = "ALTER TABLE django_session MODIFY session_key varchar(40)"
        cursor.execute(f"{alter} {collation} NOT NULL")
        try:
            yield
        finally:
            cursor.execute(f"{alter} COLLATE {previous} NOT NULL")


@pytest.mark.parametrize("kind", ["plain", "heard", "grandchild"])
def test_nor_is_it_cleared_for_another(engine: Engine, kind: str) -> None:
    with store_class(engine, kind) as session_class:
        store = store_of(session_class)
        store.insert(KEY, {"a": 1}, from_now(-1))
        for alike in ALIKE:
            store.purge(alike)
        assert store.count() == 1
        store.purge(KEY)
        assert store.count() == 0


class Capitals(models.CharField):  # type: ignore[type-arg]
    """What a save writes there is an expression, so Django puts the statement together."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return "x" if add else Lower(models.Value("X"))


def plain_text(engine: Engine, **members: Any) -> Any:
    """Sessions of one item, stored as they are: what is written is the name in a table of names."""
    return made(
        engine,
        encode=lambda self, data: str(data.get("name", "")),
        decode=lambda self, text: {"name": text},
        **members,
    )


@contextmanager
def names(engine: Engine, kind: str) -> Iterator[Any]:
    if kind == "plain":
        yield plain_text(engine)
        return
    with isolate_apps("demo"):

        class Written(AbstractBaseSession):
            if kind == "expression":
                letter = Capitals(max_length=9)
            else:

                def save(self, *arguments: Any, **options: Any) -> None:
                    super().save(*arguments, **options)

            class Meta:
                app_label = "demo"

        with tables(Written):
            yield plain_text(engine, get_model_class=classmethod(lambda cls: Written))


@pytest.mark.parametrize("kind", ["plain", "expression", "model"])
def test_data_that_are_spelled_alike_are_other_data(engine: Engine, kind: str) -> None:
    with names(engine, kind) as session_class:
        store = store_of(session_class)
        old = store.insert(KEY, {"name": "ada"}, from_now(100))
        new = store.compare_and_swap(KEY, old, {"name": "Ada"}, from_now(100))
        assert new
        assert store.compare_and_swap(KEY, old, {"name": "Bob"}, from_now(100)) is None
        assert store.touch(KEY, old, from_now(200)) is None
        assert not store.compare_and_delete(KEY, old)
        stored = store.read(KEY)
        assert stored
        assert stored.data == {"name": "Ada"}
        assert store.compare_and_delete(KEY, new)


@on_engines(lambda engine: engine.name == "db")
def test_a_key_is_looked_up_in_the_index(engine: Engine) -> None:
    """Were each row compared, every request would read the whole table."""
    from cookieproj.engines.sql_texts import statements  # noqa: PLC0415

    for number in range(50):
        store_of(engine.Store).insert(f"{number:032}", {}, from_now(100))
    sql = statements(Session, "default")
    with connection.cursor() as cursor:
        for statement, parameters in [
            (sql.delete, [f"{7:032}"]),
            (sql.compare_and_delete, [f"{7:032}", ""]),
            (sql.read, [f"{7:032}", "2020-01-01"]),
        ]:
            cursor.execute(f"EXPLAIN {statement}", parameters)
            ((*_, key, _length, _ref, rows, _extra),) = cursor.fetchall()
            assert (key, int(rows)) in {("PRIMARY", 1), (None, 0)}, statement
