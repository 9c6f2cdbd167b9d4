"""The table of sessions, by statements that are put together once and then only executed.

One statement is one trip. None stands in a transaction of its own, since each is whole
by itself; none leaves broken the transaction of somebody else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.sessions.backends.base import CreateError
from django.db import IntegrityError, InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .exceptions import StoreUnavailableError
from .signals import others_hear
from .trips import trip

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession

Model = type["AbstractBaseSession"]


# Where rows have a place in pages, they are looked for page by page, each of which is read once,
# unless they are so few that an index finds them sooner. A page of PostgreSQL holds at most 291.
HAS_PAGES = {"postgresql"}
ROWS_OF_A_PAGE = 291
FEW = 1000
PAGES = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int"


class Row(NamedTuple):
    session_data: str
    expire_date: datetime


class Statements(NamedTuple):
    read: str
    swap: str
    touch: str
    remove: str
    take: str
    clear_pages: str


@cache
def statements(model: Model, using: str) -> Statements:
    connection = connections[using]
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    key, data, expires = map(quote, ("session_key", "session_data", "expire_date"))
    columns = ", ".join(f"{quote(field.column)} = %s" for field in but_the_key(model))
    # Names of Django's own choosing are all that is put in; what comes from outside is a parameter.
    return Statements(
        read=f"SELECT {data}, {expires} FROM {table} WHERE {key} = %s AND {expires} > %s",
        swap=f"UPDATE {table} SET {columns} WHERE {key} = %s AND {data} = %s",
        touch=f"UPDATE {table} SET {expires} = %s WHERE {key} = %s AND {data} = %s",
        remove=f"DELETE FROM {table} WHERE {key} = %s",
        take=f"DELETE FROM {table} WHERE {key} = %s AND {data} = %s",
        clear_pages=f"DELETE FROM {table} WHERE {expires} < %s"
        " AND ctid >= %s::tid AND ctid < %s::tid",
    )


def but_the_key(model: Model) -> list[Any]:
    """The columns that a save writes."""
    fields: list[Any] = model._meta.local_concrete_fields  # type: ignore[assignment]
    return [field for field in fields if not (field.primary_key or field.generated)]


@dataclass(frozen=True)
class Table:
    """The rows of one model in the database with that alias.

    Every method raises StoreError when the database does not answer.
    """

    model: Model
    using: str

    def read(self, session_key: str) -> Row | None:
        """The data as stored and its expiry; None for no row or an expired one."""
        row = self._one(self._sql.read, [session_key, self._date(timezone.now())])
        return Row(row[0], self._from_database(row[1])) if row else None

    def insert(self, row: AbstractBaseSession) -> None:
        """Raises CreateError if the key is taken. By the model, so its signals are sent."""
        try:
            with self._reached(), self._unharmed():
                row.save(force_insert=True, using=self.using)
        except IntegrityError as error:
            raise CreateError from error

    def swap(self, row: AbstractBaseSession, session_data: str) -> bool:
        """Write the row if the table still holds that data under its key."""
        fields = but_the_key(self.model)
        values = [field.pre_save(row, add=False) for field in fields]
        if any(hasattr(value, "resolve_expression") for value in values):
            # An expression is a part of the statement, not a parameter of it.
            rows: Any = self._rows.filter(session_key=row.session_key, session_data=session_data)
            with self._reached():
                return bool(
                    rows._update(list(zip(fields, [None] * len(fields), values, strict=True)))
                )
        parameters = [
            field.get_db_prep_save(value, self._connection)
            for field, value in zip(fields, values, strict=True)
        ]
        return self._changed(self._sql.swap, [*parameters, row.session_key, session_data])

    def touch(self, session_key: str, session_data: str, expire_date: datetime) -> bool:
        """Move the expiry if the table still holds that data under that key."""
        parameters = [self._date(expire_date), session_key, session_data]
        return self._changed(self._sql.touch, parameters)

    @property
    def has_more_columns(self) -> bool:
        """Than Django's own: then a save writes them all, whatever it changes."""
        return len(but_the_key(self.model)) > 2  # noqa: PLR2004 - data and expiry

    def remove(self, session_key: str) -> None:
        """One statement, unless Django must see the row go."""
        if self.watched:
            with self._reached():
                self._rows.filter(session_key=session_key).delete()
        else:
            self._changed(self._sql.remove, [session_key])

    def take(self, session_key: str, session_data: str) -> bool:
        """Remove the row if it still holds that data."""
        if not self.watched:
            return self._changed(self._sql.take, [session_key, session_data])
        rows = self._rows.filter(session_key=session_key, session_data=session_data)
        with self._reached():
            return bool(rows.delete()[0])

    def exists(self, session_key: str) -> bool:
        return self._any(self._rows.filter(session_key=session_key))

    def page(self, after: str, size: int) -> list[AbstractBaseSession]:
        """Up to ``size`` live sessions with the next keys in order."""
        live = self._rows.filter(session_key__gt=after, expire_date__gt=timezone.now())
        return self._list(live.order_by("session_key")[:size])

    def alive(self, keys: Collection[str]) -> set[str]:
        live = self._rows.filter(expire_date__gt=timezone.now())
        found = live.values_list("session_key", flat=True)
        size, rest = self._fitting(len(keys)), iter(keys)
        return {
            key
            for batch in iter(lambda: list(islice(rest, size)), [])
            for key in self._list(found.filter(session_key__in=batch))
        }

    def _fitting(self, keys: int) -> int:
        """So many of them as one statement takes, beside a date."""
        limit = self._connection.features.max_query_params
        return min(keys, limit - 1 if limit else keys)

    def count(self) -> int:
        with self._reached():
            return self._rows.count()

    def clear(self, batch_size: int) -> Iterator[int]:
        """Remove expired rows, a batch by one statement: how many went."""
        expired = self._expired
        keys = expired.order_by("expire_date").values_list("session_key", flat=True)
        pages = self._pages(batch_size)
        size = FEW if pages else batch_size
        while True:
            removed = self._clear_batch(expired, keys, size)
            if removed:
                yield removed
            if pages and removed == size:
                yield from self._clear_pages(pages, batch_size // ROWS_OF_A_PAGE)
                return
            # A batch may be small because somebody else was just clearing the same rows.
            if removed < size and not self._any(expired):
                return

    def _pages(self, batch_size: int) -> int:
        """How many the table has; 0 where it is not gone through by them."""
        goes = self._connection.vendor in HAS_PAGES and batch_size >= FEW
        if not goes or self.watched:
            return 0
        row = self._one(PAGES, [self._connection.ops.quote_name(self.model._meta.db_table)])
        return int(row[0]) if row else 0

    def _clear_pages(self, pages: int, at_once: int) -> Iterator[int]:
        """What has expired before now: a row that moves meanwhile has been renewed."""
        now = self._date(timezone.now())
        for first in range(0, pages, at_once):
            places = [f"({page},0)" for page in (first, first + at_once)]
            if removed := self._execute(self._sql.clear_pages, [now, *places]):
                yield removed

    def remove_expired(self, session_key: str) -> int:
        """The row of that key, if it has expired: how many went."""
        return self._clear_rows(self._expired.filter(session_key=session_key))

    def _clear_batch(
        self, expired: QuerySet[AbstractBaseSession], keys: QuerySet[Any, Any], size: int
    ) -> int:
        batch: Any = keys[:size]
        if not self._connection.features.allow_sliced_subqueries_with_in:
            # MySQL has none in a DELETE, so there the keys make a way to us and back.
            batch = self._list(keys[: self._fitting(size)])
        return self._clear_rows(expired.filter(session_key__in=batch))

    def _clear_rows(self, rows: QuerySet[AbstractBaseSession]) -> int:
        with self._reached():
            if self.watched:
                return rows.delete()[1].get(self.model._meta.label, 0)
            return rows._raw_delete(self.using)

    def count_expired(self) -> int:
        with self._reached():
            return self._expired.count()

    @property
    def watched(self) -> bool:
        """Whether another table refers to the rows, or somebody listens to their end."""
        return bool(self.model._meta.related_objects) or others_hear(self.model)

    @property
    def _rows(self) -> QuerySet[AbstractBaseSession]:
        return self.model._base_manager.using(self.using).all()

    @property
    def _expired(self) -> QuerySet[AbstractBaseSession]:
        return self._rows.filter(expire_date__lt=timezone.now())

    def _any(self, rows: QuerySet[Any, Any]) -> bool:
        with self._reached():
            return rows.exists()

    def _list(self, rows: QuerySet[Any, Any]) -> list[Any]:
        with self._reached():
            return list(rows)

    @property
    def _sql(self) -> Statements:
        return statements(self.model, self.using)

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self.using]

    def _one(self, sql: str, parameters: list[Any]) -> tuple[Any, ...] | None:
        with self._cursor() as cursor:
            cursor.execute(sql, parameters)
            # All of it: SQLite ends a statement, and its lock, with the last row.
            return next(iter(cursor.fetchall()), None)

    def _changed(self, sql: str, parameters: list[Any]) -> bool:
        return bool(self._execute(sql, parameters))

    def _execute(self, sql: str, parameters: list[Any]) -> int:
        with self._cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    @contextmanager
    def _cursor(self) -> Iterator[CursorWrapper]:
        with self._reached(), self._connection.cursor() as cursor:
            yield cursor

    def _unharmed(self) -> AbstractContextManager[Any]:
        """A savepoint, inside an open transaction only: a taken key would be the end of that."""
        if self._connection.get_autocommit():
            return nullcontext()
        return transaction.atomic(using=self.using)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            with trip():
                yield
        except (InterfaceError, OperationalError) as error:
            raise StoreUnavailableError(self.place, error) from error

    @property
    def place(self) -> Promise:
        """Table, kind of database, its name and host."""
        settings = self._connection.settings_dict
        if settings["HOST"]:
            text = _("table {table}, {kind} {name} at {host}:{port}")
        else:
            text = _("table {table}, {kind} {name}")
        return format_lazy(
            text,
            table=self.model._meta.db_table,
            kind=self._connection.display_name,
            name=settings["NAME"],
            host=settings["HOST"],
            port=settings["PORT"],
        )

    def _date(self, date: datetime) -> Any:
        return self.model._meta.get_field("expire_date").get_db_prep_value(date, self._connection)

    def _from_database(self, date: Any) -> Any:
        field: Any = self.model._meta.get_field("expire_date")
        column = field.get_col(self.model._meta.db_table)
        for convert in self._connection.ops.get_db_converters(column):
            date = convert(date, column, self._connection)
        return date
