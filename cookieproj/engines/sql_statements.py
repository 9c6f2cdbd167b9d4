"""The table of sessions, by statements that are put together once and then only executed.

One statement is one trip. None stands in a transaction of its own, since each is whole
by itself; none leaves broken the transaction of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.contrib.sessions.backends.base import CreateError
from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .row_deletions import has_other_listeners
from .sql_call import call, in_transaction, place_of

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession

Model = type["AbstractBaseSession"]
Result = TypeVar("Result")


class Row(NamedTuple):
    session_data: str
    expire_date: datetime


class Statements:
    """Names from the model are all that is put in; what comes from outside is a parameter."""

    def __init__(self, model: Model, using: str) -> None:
        connection = connections[using]
        quote, features = connection.ops.quote_name, connection.features
        table = quote(model._meta.db_table)
        key, data, expires = (
            quote(column_of(model, name)) for name in ("session_key", "session_data", "expire_date")
        )
        columns = ", ".join(f"{quote(field.column)} = %s" for field in but_the_key(model))
        locks = connection.ops.for_update_sql() if features.has_select_for_update else ""
        is_it = f"WHERE {key} = %s AND {data} = %s"
        self.read = (
            f"SELECT {data}, {expires}, {key} FROM {table} WHERE {key} = %s AND {expires} > %s"
        )
        self.read_latest = f"{self.read} {locks}"
        self.swap = f"UPDATE {table} SET {columns} {is_it}"
        self.touch = f"UPDATE {table} SET {expires} = %s {is_it}"
        self.remove = f"DELETE FROM {table} WHERE {key} = %s"
        self.take = f"DELETE FROM {table} {is_it}"


statements = cache(Statements)


def column_of(model: Model, field: str) -> str:
    found: Any = model._meta.get_field(field)
    return str(found.column)


def but_the_key(model: Model) -> list[Any]:
    """The columns that a save writes."""
    fields: list[Any] = model._meta.concrete_fields  # type: ignore[assignment]
    return [field for field in fields if not (field.primary_key or field.generated)]


@dataclass(frozen=True)
class Table:
    """The rows of one model in the database with that alias.

    Every method raises StoreError where the database fails, and inside a transaction the
    database's own error for one that has to be begun again: see ``call``.
    """

    model: Model
    using: str

    def read(self, session_key: str, *, latest: bool = False) -> Row | None:
        """The data as stored and its expiry; None for no row or an expired one.

        A transaction goes on seeing what it once saw, at REPEATABLE READ, while its
        compare-and-swap compares with what is there: to read that, the row is locked.
        """
        locks = latest and in_transaction(self.connection)
        sql = self._sql.read_latest if locks else self._sql.read
        parameters = [session_key, self.date(timezone.now())]
        row = (self._write if locks else self.call)(lambda: self._one(sql, parameters))
        # To MariaDB a key in capitals is the same; a copy under that one nobody would ever end.
        if row is None or row[2] != session_key:
            return None
        return Row(row[0], self._from_database(row[1]))

    def insert(self, row: AbstractBaseSession) -> None:
        """Raises CreateError if the key is taken. By the model, so its signals are sent."""

        try:
            self._write(lambda: row.save(force_insert=True, using=self.using))
        except IntegrityError as error:
            raise CreateError from error

    def swap(self, row: AbstractBaseSession, session_data: str) -> bool:
        """Write the row if the table still holds that data under its key."""
        fields = but_the_key(self.model)
        values = [field.pre_save(row, add=False) for field in fields]
        if any(hasattr(value, "resolve_expression") for value in values):
            # An expression is a part of the statement, not a parameter of it.
            rows: Any = self._rows.filter(session_key=row.session_key, session_data=session_data)
            changes = list(zip(fields, [None] * len(fields), values, strict=True))
            return bool(self._write(lambda: rows._update(changes)))
        parameters = [
            field.get_db_prep_save(value, self.connection)
            for field, value in zip(fields, values, strict=True)
        ]
        return self._changed(self._sql.swap, [*parameters, row.session_key, session_data])

    def touch(self, session_key: str, session_data: str, expire_date: datetime) -> bool:
        """Move the expiry if the table still holds that data under that key."""
        parameters = [self.date(expire_date), session_key, session_data]
        return self._changed(self._sql.touch, parameters)

    @property
    def has_more_columns(self) -> bool:
        """Than Django's own: then a save writes them all, whatever it changes."""
        return len(but_the_key(self.model)) > 2  # noqa: PLR2004 - data and expiry

    def remove(self, session_key: str) -> None:
        """One statement, unless Django must see the row go."""
        if self.has_listeners:
            self._write(self._rows.filter(session_key=session_key).delete)
        else:
            self._changed(self._sql.remove, [session_key])

    def take(self, session_key: str, session_data: str) -> bool:
        """Remove the row if it still holds that data."""
        if not self.has_listeners:
            return self._changed(self._sql.take, [session_key, session_data])
        rows = self._rows.filter(session_key=session_key, session_data=session_data)
        return bool(self._write(rows.delete)[0])

    def data(self, session_key: str) -> str | None:
        """As stored, of a row that has expired too; None for no row."""
        rows = self._rows.filter(session_key=session_key)
        return next(iter(self._list(rows.values_list("session_data", flat=True)[:1])), None)

    def page(self, after: str, size: int) -> list[AbstractBaseSession]:
        """Up to ``size`` live sessions with the next keys in order."""
        live = self._rows.filter(session_key__gt=after, expire_date__gt=timezone.now())
        return self._list(live.order_by("session_key")[:size])

    def alive(self, keys: Collection[str]) -> dict[str, int]:
        """Those that have not expired, and how long their data is as stored."""
        live = self._rows.filter(expire_date__gt=timezone.now())
        found = live.values_list("session_key", Length("session_data"))
        size, rest = self.fitting(len(keys)), iter(keys)
        return {
            key: length
            for batch in iter(lambda: list(islice(rest, size)), [])
            for key, length in self._list(found.filter(session_key__in=batch))
        }

    def fitting(self, keys: int) -> int:
        """So many of them as one statement takes, beside a date."""
        limit = self.connection.features.max_query_params
        return min(keys, limit - 1 if limit else keys)

    def count(self) -> int:
        return self.call(self._rows.count)

    def count_expired(self) -> int:
        return self.call(self.expired.count)

    def remove_expired(self, session_key: str) -> int:
        """The row of that key, if it has expired: how many went."""
        expired = self.expired.filter(session_key=session_key)
        return self._write(lambda: self.delete(expired))

    def delete(self, rows: QuerySet[AbstractBaseSession]) -> int:
        """By one statement, unless Django must see the rows go: how many sessions went."""
        if self.has_listeners:
            return rows.delete()[1].get(self.model._meta.label, 0)
        return rows._raw_delete(self.using)

    @property
    def has_listeners(self) -> bool:
        """Whether another table refers to the rows, or somebody listens to their end."""
        return bool(self.model._meta.related_objects) or has_other_listeners(self.model)

    @property
    def _rows(self) -> QuerySet[AbstractBaseSession]:
        return self.model._base_manager.using(self.using).all()

    @property
    def expired(self) -> QuerySet[AbstractBaseSession]:
        return self._rows.filter(expire_date__lt=timezone.now())

    def _list(self, rows: QuerySet[Any, Any]) -> list[Any]:
        return self.call(lambda: list(rows))

    @property
    def _sql(self) -> Statements:
        return statements(self.model, self.using)

    @property
    def quoted_name(self) -> str:
        return self.connection.ops.quote_name(self.model._meta.db_table)

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.using]

    def _one(self, sql: str, parameters: list[Any]) -> tuple[Any, ...] | None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            # All of it: SQLite ends a statement, and its lock, with the last row.
            return next(iter(cursor.fetchall()), None)

    def _changed(self, sql: str, parameters: list[Any]) -> bool:
        return bool(self.execute(sql, parameters))

    def execute(self, sql: str, parameters: list[Any]) -> int:
        """How many rows it changed."""

        def execute() -> int:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return int(cursor.rowcount)

        return self._write(execute)

    def _write(self, work: Callable[[], Result]) -> Result:
        """In an open transaction with a savepoint: an error here must not be the end of that."""

        def write() -> Result:
            # A savepoint, inside an open transaction only: a taken key would be the end of that.
            alone = self.connection.get_autocommit()
            with nullcontext() if alone else transaction.atomic(using=self.using):
                return work()

        return self.call(write)

    def call(self, work: Callable[[], Result]) -> Result:
        return call(work, self.connection, lambda: self.place)

    @property
    def place(self) -> Promise:
        """Table, kind of database, its name and host."""
        return format_lazy(
            _("table {table}, {database}"),
            table=self.model._meta.db_table,
            database=place_of(self.connection),
        )

    def date(self, date: datetime) -> Any:
        return self.model._meta.get_field("expire_date").get_db_prep_value(date, self.connection)

    def _from_database(self, date: Any) -> Any:
        field: Any = self.model._meta.get_field("expire_date")
        column = field.get_col(self.model._meta.db_table)
        for convert in self.connection.ops.get_db_converters(column):
            date = convert(date, column, self.connection)
        return date
