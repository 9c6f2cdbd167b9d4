"""Sessions in the database."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.contrib.sessions.backends.db import SessionStore as DjangoStore
from django.db import connections, router, transaction

from .base import Engine
from .clock import is_near
from .row_store import RowStore
from .sql_call import in_transaction
from .subclass_hooks import overrides

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.sessions.base_session import AbstractBaseSession

    from .entries import Entry
    from .merge import Data
    from .store import Store


class CommitMarker:
    """Told of the end of a transaction; a rollback, to a savepoint too, takes it off the list."""

    has_come = False

    def __call__(self) -> None:
        self.has_come = True


# Of what Django's engine makes a row.
ROW_HOOKS = (
    *("create_model_instance", "_get_or_create_session_key"),
    *("acreate_model_instance", "_aget_or_create_session_key"),
)


class SessionStore(Engine, DjangoStore):
    """Rows of Django's table, or of the model that a subclass names in ``get_model_class``."""

    # For each save in a transaction: what is told of its commit, and what this session went by
    # before.
    _unsettled: Sequence[tuple[CommitMarker, Entry | None]] = ()

    def make_store(self) -> Store:
        return RowStore(self)

    def _accepts_key(self, session_key: str) -> bool:
        """Without the cache that may be in front of the rows."""
        return RowStore(self).can_hold(session_key)

    def _expires(self) -> datetime:
        """In rows it is a date, as the hook for that gives it."""
        date: datetime = self._overridden("get_expiry_date")()
        return date

    @property
    def using(self) -> str:
        """Of DATABASES, the one with its row."""
        alias: str = router.db_for_write(self.model)
        return alias

    # What a subclass says of its rows.

    @property
    def has_own_reading(self) -> bool:
        return overrides(type(self), "_get_session_from_db", "_aget_session_from_db")

    @property
    def has_own_rows(self) -> bool:
        return overrides(type(self), *ROW_HOOKS)

    def row_of(self, key: str) -> AbstractBaseSession | None:
        row: AbstractBaseSession | None = self._session_with_key(key)._overridden(
            "_get_session_from_db"
        )()
        return row

    def new_row(self, key: str, data: Data, expires: datetime) -> AbstractBaseSession:
        session = self._session_with_key(key)
        if not self.has_own_rows:
            text = session.encode(data)
            return self.model(session_key=key, session_data=text, expire_date=expires)
        if session is not self or not is_near(expires, self.get_expiry_date()):
            # It has to expire at another moment than by its data: as the tombstone of one, say.
            session = copy.copy(session)
            session._fixed_expiry = expires
        row: AbstractBaseSession = session._overridden("create_model_instance")(data)
        return row

    # In a transaction.

    def _set_base(self, written: Entry) -> None:
        connection = connections[self.using]
        if not in_transaction(connection):
            super()._set_base(written)
        elif connection.in_atomic_block:
            commit = CommitMarker()
            self._unsettled = [*self._unsettled, (commit, self._base)]
            super()._set_base(written)
            transaction.on_commit(commit, using=connection.alias)

    def _insert(self, data: Data, *, save_follows: bool = False) -> Entry:
        stored = super()._insert(data, save_follows=save_follows)
        self._unsettled = ()
        return stored

    def _get_session(self, no_load: bool = False) -> Data:
        self._go_back()
        return super()._get_session(no_load=no_load)

    def _go_back(self) -> None:
        """What was rolled back was not saved: go by what was stored before it."""
        if not self._unsettled:
            return
        hooks = [hook for _savepoints, hook, *_ in connections[self.using].run_on_commit]
        self._unsettled = [each for each in self._unsettled if not each[0].has_come]
        for number, (commit, before) in enumerate(self._unsettled):
            if commit not in hooks:
                self._base, self._unsettled = before, self._unsettled[:number]
                return
