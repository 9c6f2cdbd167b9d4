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

if TYPE_CHECKING:
    from .table import Table

# Where rows have a place in pages, they are looked for page by page, each of which is read once,
# unless they are so few that an index finds them sooner. A page of PostgreSQL holds at most 291.
HAS_PAGES = {"postgresql"}
ROWS_OF_A_PAGE = 291
FEW = 1000
PAGES = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int"

# By its place a row that is locked is found at once, and no other statement can have moved it.
CLEAR = "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {expires} < %s "
FIRST = CLEAR + "ORDER BY {expires} LIMIT %s FOR UPDATE SKIP LOCKED))"
OF_PAGES = CLEAR + "AND ctid >= %s::tid AND ctid < %s::tid FOR UPDATE SKIP LOCKED))"


def clear(table: "Table", batch_size: int) -> Iterator[int]:
    """Remove expired rows, a batch by one statement where the database can: how many went."""
    if table.connection.vendor in HAS_PAGES and not table.watched:
        return _clear_by_place(table, batch_size)
    return _clear_by_key(table, batch_size)


def _clear_by_place(table: "Table", batch_size: int) -> Iterator[int]:
    # What has expired before now: a row that moves meanwhile has been renewed.
    now, size = table.date(timezone.now()), min(FEW, batch_size)
    while removed := table.execute(_sql(table, FIRST), [now, size]):
        yield removed
        if removed == FEW:
            yield from _clear_pages(table, now, batch_size // ROWS_OF_A_PAGE)
            return


def _clear_pages(table: "Table", now: Any, at_once: int) -> Iterator[int]:
    row = table._one(PAGES, [table.quoted_name])
    for first in range(0, row[0] if row else 0, at_once):
        places = [f"({page},0)" for page in (first, first + at_once)]
        if removed := table.execute(_sql(table, OF_PAGES), [now, *places]):
            yield removed


def _sql(table: "Table", statement: str) -> str:
    expires = table.connection.ops.quote_name("expire_date")
    return statement.format(table=table.quoted_name, expires=expires)


def _clear_by_key(table: "Table", batch_size: int) -> Iterator[int]:
    features = table.connection.features
    locks = features.has_select_for_update_skip_locked
    in_one = features.allow_sliced_subqueries_with_in and not locks and not table.watched
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
        # By their keys, and by few: for many, or by the date, MariaDB would rather go through all
        # rows than find these, and wait for what somebody else has locked.
        return table.delete(table._rows.filter(session_key__in=batch)) if batch else None
