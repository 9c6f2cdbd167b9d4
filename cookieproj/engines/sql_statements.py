"""The table of sessions, accessed by SQL statements that are built once.

Each statement is one atomic round trip, so none needs a transaction of its own. An error in one
does not break the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.contrib.sessions.backends.base import CreateError
from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Func, Manager, QuerySet, TextField, Value
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from . import sql_direct
from .quick_settings import setting
from .row_deletions import has_other_listeners
from .sql_call import call, in_transaction, place_of
from .sql_texts import BINARY, Model, Statements, saved_fields, statements
from .subclass_hooks import overrides

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession

Result = TypeVar("Result")


class Row(NamedTuple):
    session_data: str
    expire_date: datetime


class Exact(Func):
    """A text that equals only itself, also in a column whose collation ignores differences."""

    template = "%(expressions)s"

    def as_mysql(self, compiler: Any, connection: Any, **options: Any) -> tuple[str, Any]:
        return self.as_sql(compiler, connection, template=BINARY.format(self.template), **options)


def is_expression(value: Any) -> bool:
    """Whether the value is SQL, which the database computes."""
    return hasattr(value, "resolve_expression")


@dataclass(frozen=True)
class Table:
    """The rows of one model in the database with that alias.

    Every method raises StoreError if the database fails. Inside a transaction it raises the
    database's own error if the whole transaction has to be repeated: see ``call``.
    """

    model: Model
    using: str

    def read(self, session_key: str, *, latest: bool = False) -> Row | None:
        """Return the stored data and its expiry; None if there is no row or it has expired.

        At REPEATABLE READ a transaction keeps seeing its snapshot, while its compare-and-swap
        compares with the current row. ``latest`` locks the row inside a transaction, which reads
        the current one.
        """
        connection = self.connection
        locks = latest and in_transaction(connection)
        sql = self._sql.read_latest if locks else self._sql.read
        parameters = [session_key, self.date(timezone.now(), connection)]
        run = self._write_over if locks else self._call_over
        row = run(connection, lambda: fetch_one(connection, sql, parameters))
        return Row(row[0], self._from_database(row[1], connection)) if row else None

    def insert(self, row: AbstractBaseSession) -> None:
        """Insert the row. Raises CreateError if the key is taken."""
        try:
            if self._is_inserted_by_model(row):
                self._write(lambda: row.save(force_insert=True, using=self.using))
            else:
                connection = self.connection
                parameters = self._parameters(self._values(row, add=True), connection)
                self._execute(connection, self._sql.insert, [row.session_key, *parameters])
        except IntegrityError as error:
            raise CreateError from error

    def _is_inserted_by_model(self, row: AbstractBaseSession) -> bool:
        """Whether saving the row may do more than one INSERT of Django's three columns.

        If it overrides ``save``, or somebody listens to its signals, it has a ModelTable.
        """
        return (
            self.has_more_columns
            or overrides(self.model, "_save_table", "_do_insert")
            or type(self.model._base_manager) is not Manager
            or any(map(is_expression, vars(row).values()))
        )

    def compare_and_swap(self, row: AbstractBaseSession, session_data: str) -> bool:
        """Write the row; return False if the table no longer holds that data under its key."""
        values = self._values(row, add=False)
        if any(map(is_expression, values)):
            # An expression is SQL, not a parameter, so Django builds this statement.
            unchanged: Any = self._unchanged(row.session_key, session_data)
            fields = saved_fields(self.model)
            changes = list(zip(fields, [None] * len(fields), values, strict=True))
            return bool(self._write(lambda: unchanged._update(changes)))
        connection = self.connection
        parameters = [*self._parameters(values, connection), row.session_key, session_data]
        return bool(self._execute(connection, self._sql.compare_and_swap, parameters))

    def _values(self, row: AbstractBaseSession, *, add: bool) -> list[Any]:
        """Return what a save writes besides the key."""
        return [field.pre_save(row, add=add) for field in saved_fields(self.model)]

    def _parameters(self, values: list[Any], connection: BaseDatabaseWrapper) -> list[Any]:
        """Return the values of the saved fields as parameters of a statement."""
        fields = saved_fields(self.model)
        return [
            parameter(field, value, connection) for field, value in zip(fields, values, strict=True)
        ]

    def touch(self, session_key: str, session_data: str, expire_date: datetime) -> bool:
        """Move the expiry; return False if the table no longer holds that data under that key."""
        connection = self.connection
        parameters = [self.date(expire_date, connection), session_key, session_data]
        return bool(self._execute(connection, self._sql.touch, parameters))

    @property
    def has_more_columns(self) -> bool:
        """Whether the model has more columns than Django's. A save then writes them all."""
        return len(saved_fields(self.model)) > 2  # noqa: PLR2004 - data and expiry

    def delete(self, session_key: str) -> None:
        """Delete the row: by one statement, unless Django must see it."""
        if self.has_listeners:
            self._write(self._with_key(session_key).delete)
        else:
            self.execute(self._sql.delete, [session_key])

    def compare_and_delete(self, session_key: str, session_data: str) -> bool:
        """Delete the row; return False if it no longer holds that data."""
        if not self.has_listeners:
            return bool(self.execute(self._sql.compare_and_delete, [session_key, session_data]))
        rows = self._unchanged(session_key, session_data)
        return bool(self._write(rows.delete)[0])

    def stored_data(self, session_key: str) -> str | None:
        """Return the row's data as stored, even if it has expired; None if there is no row."""
        rows = self._with_key(session_key)
        return next(iter(self._list(rows.values_list("session_data", flat=True)[:1])), None)

    def page(self, after: str, size: int) -> list[AbstractBaseSession]:
        """Return up to ``size`` live sessions whose keys follow that one."""
        live = self._rows.filter(session_key__gt=after, expire_date__gt=timezone.now())
        return self._list(live.order_by("session_key")[:size])

    def live_lengths(self, keys: Collection[str]) -> dict[str, int]:
        """Return the keys that have not expired, each with the length of its stored data."""
        live = self._rows.filter(expire_date__gt=timezone.now())
        lengths = live.values_list("session_key", Length("session_data"))
        size, remaining = self.max_keys(len(keys)), iter(wanted := set(keys))
        exact = partial(self._exact, "session_key")
        return {
            key: length
            for batch in iter(lambda: list(islice(remaining, size)), [])
            for key, length in self._list(lengths.filter(session_key__in=map(exact, batch)))
            if key in wanted
        }

    def max_keys(self, wanted: int) -> int:
        """Return how many of so many keys fit into one statement, next to a date."""
        limit = self.connection.features.max_query_params
        return min(wanted, limit - 1 if limit else wanted)

    def count(self) -> int:
        return self.call(self._rows.count)

    def count_expired(self) -> int:
        return self.call(self.expired.count)

    def delete_expired(self, session_key: str) -> int:
        """Delete the row of that key if it has expired; return how many rows were deleted."""
        expired = self._with_key(session_key).filter(expire_date__lt=timezone.now())
        return self._write(lambda: self.delete_rows(expired))

    def delete_rows(self, rows: QuerySet[AbstractBaseSession]) -> int:
        """Delete the rows: by one statement, unless Django must see them. Return their number."""
        if self.has_listeners:
            return rows.delete()[1].get(self.model._meta.label, 0)
        return rows._raw_delete(self.using)

    @property
    def has_listeners(self) -> bool:
        """Whether Django must see deletions: for a receiver, or a table that refers to the rows."""
        return bool(self.model._meta.related_objects) or has_other_listeners(self.model)

    @property
    def _rows(self) -> QuerySet[AbstractBaseSession]:
        return self.model._base_manager.using(self.using).all()

    def _with_key(self, session_key: str) -> QuerySet[AbstractBaseSession]:
        return self._rows.filter(session_key=self._exact("session_key", session_key))

    def _unchanged(self, session_key: str, session_data: str) -> QuerySet[AbstractBaseSession]:
        data = self._exact("session_data", session_data)
        return self._with_key(session_key).filter(session_data=data)

    def _exact(self, name: str, text: str) -> Exact:
        """Return the text as it is compared with the field of that name."""
        field: Any = self.model._meta.get_field(name)
        return Exact(Value(text, output_field=field), output_field=field)

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

    def execute(self, sql: str, parameters: list[Any]) -> int:
        """Execute the statement and return how many rows it changed."""
        return self._execute(self.connection, sql, parameters)

    def _execute(self, connection: BaseDatabaseWrapper, sql: str, parameters: list[Any]) -> int:
        return self._write_over(connection, lambda: execute(connection, sql, parameters))

    def _write(self, work: Callable[[], Result]) -> Result:
        """Call ``work``; inside a transaction, within a savepoint, as an error would break it."""
        return self._write_over(self.connection, work)

    def _write_over(self, connection: BaseDatabaseWrapper, work: Callable[[], Result]) -> Result:
        def write() -> Result:
            if connection.get_autocommit():
                return work()
            with transaction.atomic(using=self.using):
                return work()

        return self._call_over(connection, write)

    def call(self, work: Callable[[], Result]) -> Result:
        return self._call_over(self.connection, work)

    def _call_over(self, connection: BaseDatabaseWrapper, work: Callable[[], Result]) -> Result:
        return call(work, connection, lambda: self.place)

    @property
    def place(self) -> Promise:
        """The table, and the database with its kind, name and host."""
        return format_lazy(
            _("table {table}, {database}"),
            table=self.model._meta.db_table,
            database=place_of(self.connection),
        )

    def date(self, date: datetime, connection: BaseDatabaseWrapper) -> Any:
        return parameter(self.model._meta.get_field("expire_date"), date, connection)

    def _from_database(self, date: Any, connection: BaseDatabaseWrapper) -> Any:
        field: Any = self.model._meta.get_field("expire_date")
        column = field.get_col(self.model._meta.db_table)
        for convert in connection.ops.get_db_converters(column):
            date = convert(date, column, connection)
        return date


def parameter(field: Any, value: Any, connection: BaseDatabaseWrapper) -> Any:
    """Return the value of that field as a parameter of a statement.

    Django's own fields look at each value for other types than the usual ones, which are known
    here.
    """
    kind = type(field)
    if kind is TextField and type(value) is str:
        return value
    if kind is DateTimeField and type(value) is datetime and value.tzinfo and setting("USE_TZ"):
        return connection.ops.adapt_datetimefield_value(value)
    return field.get_db_prep_save(value, connection)


def fetch_one(
    connection: BaseDatabaseWrapper, sql: str, parameters: list[Any]
) -> tuple[Any, ...] | None:
    if sql_direct.is_direct(connection, parameters):
        return next(iter(sql_direct.fetch(connection, sql, parameters).rows), None)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        # Fetch all rows: SQLite ends a statement, and its lock, with the last one.
        return next(iter(cursor.fetchall()), None)


def execute(connection: BaseDatabaseWrapper, sql: str, parameters: list[Any]) -> int:
    if sql_direct.is_direct(connection, parameters):
        return sql_direct.execute(connection, sql, parameters).row_count
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)
