"""Delete expired rows in batches, by any number of processes at once.

No process waits for another: if the database can, each skips rows that another one has locked. So
they cannot deadlock, and together they take as long as one.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from .sql_statements import fetch_one
from .sql_texts import column_of

if TYPE_CHECKING:
    from .sql_statements import Table

# The size of a batch that is found by the index on the expiry. On PostgreSQL larger batches follow.
INDEXED_BATCH_SIZE = 1000

# PostgreSQL: ``ctid`` is the physical place of a row. It finds a locked row at once, and a locked
# row cannot move. It is unique within one table only, not across partitions. The first condition
# spares a row that is not expired, whatever row is at that place by now.
DELETE_BY_CTID = (
    "DELETE FROM {table} WHERE {expires} < %s AND ctid = ANY(ARRAY("
    "SELECT ctid FROM {table} WHERE {expires} < %s "
)
HAS_PARTITIONS = "SELECT relhassubclass FROM pg_class WHERE oid = %s::regclass"
# MariaDB and MySQL: a join in this order finds each row by its key. For a list of keys they would
# scan all of a small table, and wait there for rows that others have locked.
DELETE_BY_JOIN = (
    "DELETE {table} FROM (SELECT {key} FROM {table} WHERE {expires} < %s ORDER BY {expires}"
    " LIMIT %s FOR UPDATE SKIP LOCKED) AS expired"
    " STRAIGHT_JOIN {table} ON {table}.{key} = expired.{key}"
)
DELETE_BATCH = {
    "postgresql": DELETE_BY_CTID + "ORDER BY {expires} LIMIT %s FOR UPDATE SKIP LOCKED))",
    "mysql": DELETE_BY_JOIN,
}

# Databases whose rows have a place in pages. If many rows have expired they are looked for page by
# page, and each page is read once. A page of PostgreSQL has at most 291 rows.
HAS_PAGES = {"postgresql"}
MAX_ROWS_PER_PAGE = 291
PAGE_COUNT = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int"
DELETE_IN_PAGES = DELETE_BY_CTID + "AND ctid >= %s::tid AND ctid < %s::tid FOR UPDATE SKIP LOCKED))"


def clear(table: "Table", batch_size: int) -> Iterator[int]:
    """Delete expired rows in batches, each by one statement if the database can.

    Yields the number of rows that each batch deleted.
    """
    connection = table.connection
    can_delete_at_once = (
        connection.features.has_select_for_update_skip_locked and connection.vendor in DELETE_BATCH
    )
    by_key = table.has_listeners or not can_delete_at_once or _has_partitions(table)
    return (_clear_by_key if by_key else _clear_at_once)(table, batch_size)


def _has_partitions(table: "Table") -> bool:
    if table.connection.vendor not in HAS_PAGES:
        return False
    row = table.call(lambda: fetch_one(table.connection, HAS_PARTITIONS, [table.quoted_name]))
    return bool(row and row[0])


def _clear_at_once(table: "Table", batch_size: int) -> Iterator[int]:
    # Rows that have expired before now. If a row moves meanwhile, it has been renewed.
    now, size = table.date(timezone.now(), table.connection), min(INDEXED_BATCH_SIZE, batch_size)
    vendor = table.connection.vendor
    dates = [now] * DELETE_BATCH[vendor].count("{expires} < %s")
    while deleted := table.execute(_sql(table, DELETE_BATCH[vendor]), [*dates, size]):
        yield deleted
        if vendor in HAS_PAGES and deleted == INDEXED_BATCH_SIZE:
            yield from _clear_pages(table, now, batch_size // MAX_ROWS_PER_PAGE)
            return


def _clear_pages(table: "Table", now: Any, pages_per_batch: int) -> Iterator[int]:
    row = table.call(lambda: fetch_one(table.connection, PAGE_COUNT, [table.quoted_name]))
    for first_page in range(0, row[0] if row else 0, pages_per_batch):
        bounds = [f"({page},0)" for page in (first_page, first_page + pages_per_batch)]
        if deleted := table.execute(_sql(table, DELETE_IN_PAGES), [now, now, *bounds]):
            yield deleted


def _sql(table: "Table", statement: str) -> str:
    key, expires = (
        table.connection.ops.quote_name(column_of(table.model, name))
        for name in ("session_key", "expire_date")
    )
    return statement.format(table=table.quoted_name, key=key, expires=expires)


def _clear_by_key(table: "Table", batch_size: int) -> Iterator[int]:
    features = table.connection.features
    locks = features.has_select_for_update_skip_locked
    by_one_statement = (
        features.allow_sliced_subqueries_with_in and not locks and not table.has_listeners
    )
    clear_batch = _clear_batch if by_one_statement else _lock_and_clear_batch
    expired = table.expired
    while (deleted := table.call(partial(clear_batch, table, expired, batch_size))) is not None:
        # Nothing of a batch is left to delete if another process has just cleared the same rows.
        if deleted:
            yield deleted


def _clear_batch(table: "Table", expired: QuerySet[Any], size: int) -> int | None:
    keys = expired.order_by("expire_date").values("session_key")[:size]
    return table.delete_rows(expired.filter(session_key__in=keys)) or None


def _lock_and_clear_batch(table: "Table", expired: QuerySet[Any], size: int) -> int | None:
    """Return how many rows were deleted; None if no expired row is left that others do not lock."""
    keys = expired.order_by("expire_date").values_list("session_key", flat=True)
    if table.connection.features.has_select_for_update_skip_locked:
        keys = keys.select_for_update(skip_locked=True)
    with transaction.atomic(using=table.using):
        batch = list(keys[: table.max_keys(min(INDEXED_BATCH_SIZE, size))])
        return table.delete_rows(table._rows.filter(session_key__in=batch)) if batch else None
