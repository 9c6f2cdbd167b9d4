"""The table of sessions whose model has a way of its own.

It saves, deletes or finds its rows by more than a statement, keeps a column in another form than
it tells, or has columns in the table of another model.
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
from .sql_statements import Model, Row, Table
from .subclass_hooks import overrides

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession


OWN_FIELDS = ("session_key", "session_data", "expire_date")

# Of a field, to the database. From there it is ``from_db_value``.
CONVERSIONS = (
    "get_prep_value",
    "get_db_prep_value",
    "get_db_prep_save",
    "get_placeholder",
    "pre_save",
)


def table_of(model: Model, using: str) -> Table:
    """Receivers come and go; all else that a model does is written in it."""
    is_own = has_own_way(model) or has_other_listeners(model, SAVE_SIGNALS)
    return made(ModelTable if is_own else Table, model, using)


@cache
def made(kind: type[Table], model: Model, using: str) -> Table:
    return kind(model, using)


@cache
def has_own_way(model: Model) -> bool:
    """Whether Django's engine, which does all by the model, would do more than a statement does."""
    manager: Any = model.objects
    fields: Any = model._meta.concrete_fields
    return (
        overrides(model, "save", "save_base", "delete")
        or overrides(manager.__class__, "get_queryset")
        or overrides(manager._queryset_class, "delete")
        or any(converts(model._meta.get_field(name)) for name in OWN_FIELDS)
        or any(each.model._meta.db_table != model._meta.db_table for each in fields)
    )


def converts(field: Any) -> bool:
    """Whether a value is another one in the database: encrypted, say."""
    kind: type = type(field)
    return hasattr(field, "from_db_value") or overrides(kind, *CONVERSIONS)


class ModelTable(Table):
    """Rows by the model and its manager ``objects``, as in Django's engine.

    Compared as in any table: the first statement of a step compares, and keeps the row
    from others until the model is done with it.
    """

    def read(self, session_key: str, *, latest: bool = False) -> Row | None:
        live = self._rows.filter(session_key=session_key, expire_date__gt=timezone.now())
        if latest and in_transaction(self.connection):
            live = live.select_for_update()
        rows = self._list(live.values_list("session_data", "expire_date", "session_key")[:1])
        return Row(*rows[0][:2]) if rows and rows[0][2] == session_key else None

    def swap(self, row: AbstractBaseSession, session_data: str) -> bool:
        save = partial(row.save, force_update=True, using=self.using)
        return self._if_kept(row.session_key, session_data, save)

    def touch(self, session_key: str, session_data: str, expire_date: datetime) -> bool:
        raise NotImplementedError("A row of this table is saved whole.")

    @property
    def has_more_columns(self) -> bool:
        return True

    def remove(self, session_key: str) -> None:
        self._write(partial(self._remove, session_key))

    def take(self, session_key: str, session_data: str) -> bool:
        return self._if_kept(session_key, session_data, partial(self._remove, session_key))

    def _remove(self, session_key: str) -> None:
        for row in self._rows.filter(session_key=session_key):
            row.delete(using=self.using)

    def _if_kept(self, session_key: str, session_data: str, change: Callable[[], object]) -> bool:
        def changed() -> bool:
            with transaction.atomic(using=self.using):
                if is_kept := self._keep(session_key, session_data):
                    change()
                return is_kept

        return self.call(changed)

    def _keep(self, session_key: str, session_data: str) -> bool:
        """Whether the row holds that data: then others wait till the transaction ends."""
        rows = self._rows.filter(session_key=session_key)
        if not converts(self.model._meta.get_field("session_data")):
            rows = rows.filter(session_data=session_data)
            return bool(rows.update(session_data=session_data))
        # The same data can be stored in many ways. It is read once nobody can change it.
        rows.update(expire_date=F("expire_date"))
        return session_data in rows.values_list("session_data", flat=True)

    @property
    def has_listeners(self) -> bool:
        return True

    @property
    def _rows(self) -> QuerySet[AbstractBaseSession]:
        return self.model.objects.using(self.using)
