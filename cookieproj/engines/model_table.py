"""The table of a session model that customizes how its rows are stored.

Such a model overrides how rows are saved, deleted or found, converts a column's values, or inherits
columns from the table of another model.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from .row_deletions import SAVE_SIGNALS, has_other_listeners
from .sql_call import in_transaction
from .sql_statements import Row, Table
from .sql_texts import Model
from .subclass_hooks import overrides

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession


SESSION_FIELDS = ("session_key", "session_data", "expire_date")

# The methods by which a field converts a value to store; ``from_db_value`` converts it back.
CONVERSIONS = (
    "get_prep_value",
    "get_db_prep_value",
    "get_db_prep_save",
    "get_placeholder",
    "pre_save",
)


def table_of(model: Model, using: str) -> Table:
    """Return the table of that model in that database.

    The receivers of signals can change at any time, so they are looked up at each call.
    """
    needs_model = customizes_rows(model) or has_other_listeners(model, SAVE_SIGNALS)
    return cached_table(ModelTable if needs_model else Table, model, using)


@cache
def cached_table(table_class: type[Table], model: Model, using: str) -> Table:
    return table_class(model, using)


@cache
def customizes_rows(model: Model) -> bool:
    """Whether Django's engine, which saves by the model, would do more than one statement."""
    manager: Any = model.objects
    fields: Any = model._meta.concrete_fields
    return (
        overrides(model, "save", "save_base", "delete")
        or overrides(manager.__class__, "get_queryset")
        or overrides(manager._queryset_class, "delete")
        or any(converts(model._meta.get_field(name)) for name in SESSION_FIELDS)
        or any(field.model._meta.db_table != model._meta.db_table for field in fields)
    )


def converts(field: Any) -> bool:
    """Whether the field's values differ in the database; they may be encrypted, for instance."""
    kind: type = type(field)
    return hasattr(field, "from_db_value") or overrides(kind, *CONVERSIONS)


class ModelTable(Table):
    """Rows accessed through the model and its manager ``objects``, as by Django's engine.

    The first statement of a step compares the row and locks it until the model has changed it.
    """

    def read(self, session_key: str, *, latest: bool = False) -> Row | None:
        live = self._with_key(session_key).filter(expire_date__gt=timezone.now())
        if latest and in_transaction(self.connection):
            live = live.select_for_update()
        rows = self._list(live.values_list("session_data", "expire_date")[:1])
        return Row(*rows[0]) if rows else None

    def compare_and_swap(self, row: AbstractBaseSession, session_data: str) -> bool:
        save = partial(row.save, force_update=True, using=self.using)
        return self._if_unchanged(row.session_key, session_data, save)

    def touch(self, session_key: str, session_data: str, expire_date: datetime) -> bool:
        raise NotImplementedError("A row of this table is saved whole.")

    @property
    def has_more_columns(self) -> bool:
        return True

    def delete(self, session_key: str) -> None:
        self._write(partial(self._delete_row, session_key))

    def compare_and_delete(self, session_key: str, session_data: str) -> bool:
        return self._if_unchanged(session_key, session_data, partial(self._delete_row, session_key))

    def _delete_row(self, session_key: str) -> None:
        for row in self._with_key(session_key):
            row.delete(using=self.using)

    def _if_unchanged(
        self, session_key: str, session_data: str, change: Callable[[], object]
    ) -> bool:
        def change_if_unchanged() -> bool:
            with transaction.atomic(using=self.using):
                if is_unchanged := self._lock(session_key, session_data):
                    change()
                return is_unchanged

        return self.call(change_if_unchanged)

    def _lock(self, session_key: str, session_data: str) -> bool:
        """Lock the row until the transaction ends; return False if it no longer has that data."""
        if not converts(self.model._meta.get_field("session_data")):
            unchanged = self._unchanged(session_key, session_data)
            return bool(unchanged.update(session_data=session_data))
        rows = self._with_key(session_key)
        # The field may store the same data in several forms, so it is compared after reading. The
        # update locks the row.
        rows.update(expire_date=F("expire_date"))
        return session_data in rows.values_list("session_data", flat=True)

    @property
    def has_listeners(self) -> bool:
        return True

    @property
    def _rows(self) -> QuerySet[AbstractBaseSession]:
        return self.model.objects.using(self.using)
