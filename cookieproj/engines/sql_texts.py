"""The texts of the SQL statements for a table of sessions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession

Model = type["AbstractBaseSession"]

# MariaDB and MySQL compare by the column's collation, which may ignore case, accents and spaces at
# the end. A binary text equals only itself, and is still looked up in the index.
BINARY = "CAST({} AS BINARY)"


class Statements:
    """The SQL of each step. It contains names of the model only; all values are parameters."""

    def __init__(self, model: Model, using: str) -> None:
        connection = connections[using]
        quote, features = connection.ops.quote_name, connection.features
        table = quote(model._meta.db_table)
        key, data, expires = (
            quote(column_of(model, name)) for name in ("session_key", "session_data", "expire_date")
        )
        names = [quote(field.column) for field in saved_fields(model)]
        columns = ", ".join([key, *names])
        values = ", ".join(["%s"] * (1 + len(names)))
        changes = ", ".join(f"{name} = %s" for name in names)
        locks = connection.ops.for_update_sql() if features.has_select_for_update else ""
        exact = BINARY.format("%s") if connection.vendor == "mysql" else "%s"
        where_key = f"WHERE {key} = {exact}"
        where_unchanged = f"{where_key} AND {data} = {exact}"
        self.read = f"SELECT {data}, {expires} FROM {table} {where_key} AND {expires} > %s"
        self.read_latest = f"{self.read} {locks}"
        self.insert = f"INSERT INTO {table} ({columns}) VALUES ({values})"
        self.compare_and_swap = f"UPDATE {table} SET {changes} {where_unchanged}"
        self.touch = f"UPDATE {table} SET {expires} = %s {where_unchanged}"
        self.delete = f"DELETE FROM {table} {where_key}"
        self.compare_and_delete = f"DELETE FROM {table} {where_unchanged}"


statements = cache(Statements)


def column_of(model: Model, name: str) -> str:
    """Return the name of that field's column."""
    field: Any = model._meta.get_field(name)
    return str(field.column)


def saved_fields(model: Model) -> list[Any]:
    """Return the fields that a save writes: all but the key."""
    fields: list[Any] = model._meta.concrete_fields  # type: ignore[assignment]
    return [field for field in fields if not (field.primary_key or field.generated)]
