"""Expired rows are removed a batch at a time, by any number of processes at once.

None waits for another: where the database can, a row that somebody else has locked is left to
him. So no two can wait for each other, and together they take as long as one.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from .sql_statements import column_of

if TYPE_CHECKING:
    from .sql_statements import Table

# So many are found by the index on their date. PostgreSQL has larger batches after the first.
FEW = 1000

# PostgreSQL: by its place a row that is locked is found at once, and nobody can have moved it.
# Only in one table: in another partition the same place is another row. What is not seen to have
# expired stays, whatever else lies at a place.
PLACED = (
    "DELETE FROM {table} WHERE {expires} < %s AND ctid = ANY(ARRAY("
    "SELECT ctid FROM {table} WHERE {expires} < %s "
)
HAS_PARTS = "SELECT relhassubclass FROM pg_class WHERE oid = %s::regclass"
# MariaDB and MySQL: in this order each row is found by its key. With a list of keys they would
# rather go through all of a small table, and wait there for what somebody else has locked.
JOINED = (
    "DELETE {table} FROM (SELECT {key} FROM {table} WHERE {expires} < %s ORDER BY {expires}"
    " LIMIT %s FOR UPDATE SKIP LOCKED) AS expired"
    " STRAIGHT_JOIN {table} ON {table}.{key} = expired.{key}"
)
BATCH = {
    "postgresql": PLACED + "ORDER BY {expires} LIMIT %s FOR UPDATE SKIP LOCKED))",
    "mysql": JOINED,
}

# Where rows have a place in pages and are many, they are looked for page by page, each of which is
# read once. A page of PostgreSQL holds at most 291.
HAS_PAGES = {"postgresql"}
ROWS_OF_A_PAGE = 291
PAGES = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int"
OF_PAGES = PLACED + "AND ctid >= %s::tid AND ctid < %s::tid FOR UPDATE SKIP LOCKED))"


def clear(table: "Table", batch_size: int) -> Iterator[int]:
    """Remove expired rows, a batch by one statement where the database can: how many went."""
    connection = table.connection
    can = connection.features.has_select_for_update_skip_locked and connection.vendor in BATCH
    by_key = table.has_listeners or not can or _has_parts(table)
    return (_clear_by_key if by_key else _clear_at_once)(table, batch_size)


def _has_parts(table: "Table") -> bool:
    if table.connection.vendor not in HAS_PAGES:
        return False
    row = table.call(lambda: table._one(HAS_PARTS, [table.quoted_name]))
    return bool(row and row[0])


def _clear_at_once(table: "Table", batch_size: int) -> Iterator[int]:
    # What has expired before now: a row that moves meanwhile has been renewed.
    now, size = table.date(timezone.now()), min(FEW, batch_size)
    vendor = table.connection.vendor
    dates = [now] * BATCH[vendor].count("{expires} < %s")
    while removed := table.execute(_sql(table, BATCH[vendor]), [*dates, size]):
        yield removed
        if vendor in HAS_PAGES and removed == FEW:
            yield from _clear_pages(table, now, batch_size // ROWS_OF_A_PAGE)
            return


def _clear_pages(table: "Table", now: Any, at_once: int) -> Iterator[int]:
    row = table.call(lambda: table._one(PAGES, [table.quoted_name]))
    for first in range(0, row[0] if row else 0, at_once):
        places = [f"({page},0)" for page in (first, first + at_once)]
        if removed := table.execute(_sql(table, OF_PAGES), [now, now, *places]):
            yield removed


def _sql(table: "Table", statement: str) -> str:
    key, expires = (
        table.connection.ops.quote_name(column_of(table.model, name))
        for name in ("session_key", "expire_date")
    )
    return statement.format(table=table.quoted_name, key=key, expires=expires)


def _clear_by_key(table: "Table", batch_size: int) -> Iterator[int]:
    features = table.connection.features
    locks = features.has_select_for_update_skip_locked
    in_one = features.allow_sliced_subqueries_with_in and not locks and not table.has_listeners
    clear_batch = _clear_batch if in_one else _lock_and_clear_batch
    expired = table.expired
    while (removed := table.call(partial(clear_batch, table, expired, batch_size))) is not None:
        # None of a batch are left where somebody else has just cleared the same.
        if removed:
            yield removed


def _clear_batch(table: "Table", expired: QuerySet[Any], size: int) -> int | None:
    keys = expired.order_by("expire_date").values("session_key")[:size]
    return table.delete(expired.filter(session_key__in=keys)) or None


def _lock_and_clear_batch(table: "Table", expired: QuerySet[Any], size: int) -> int | None:
    """None where nothing has expired that is not in the hands of somebody else."""
    keys = expired.order_by("expire_date").values_list("session_key", flat=True)
    if table.connection.features.has_select_for_update_skip_locked:
        keys = keys.select_for_update(skip_locked=True)
    with transaction.atomic(using=table.using):
        batch = list(keys[: table.fitting(min(FEW, size))])
        return table.delete(table._rows.filter(session_key__in=batch)) if batch else None
