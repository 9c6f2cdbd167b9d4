"""The engine that keeps sessions in the database."""

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
    """Records that a transaction was committed. A rollback, to a savepoint too, removes it."""

    is_committed = False

    def __call__(self) -> None:
        """Called by Django on the commit."""
        self.is_committed = True


# The methods with which Django's engine makes a row.
ROW_HOOKS = (
    *("create_model_instance", "_get_or_create_session_key"),
    *("acreate_model_instance", "_aget_or_create_session_key"),
)


class SessionStore(Engine, DjangoStore):
    """Rows of Django's table, or of the model that a subclass names in ``get_model_class``."""

    # For each save inside the open transaction: the marker of its commit, and the base before the
    # save.
    _uncommitted: Sequence[tuple[CommitMarker, Entry | None]] = ()

    def make_store(self) -> Store:
        return RowStore(self)

    def _accepts_key(self, session_key: str) -> bool:
        """Whether the rows can have this key. A cache in front of them does not decide that."""
        return RowStore(self).can_hold(session_key)

    def _expires(self) -> datetime:
        """Return the date of ``get_expiry_date``, which Django's engine stores in the row."""
        date: datetime = self._overridden("get_expiry_date")()
        return date

    @property
    def using(self) -> str:
        """The alias in DATABASES of the database that this session is written to."""
        alias: str = router.db_for_write(self.model)
        return alias

    # Subclasses' methods for rows.

    @property
    def overrides_reading(self) -> bool:
        """Whether a subclass reads the row in its own way, which may load more than the session."""
        return overrides(type(self), "_get_session_from_db", "_aget_session_from_db")

    @property
    def overrides_row_creation(self) -> bool:
        """Whether a subclass creates the row in its own way."""
        return overrides(type(self), *ROW_HOOKS)

    def row_of(self, key: str) -> AbstractBaseSession | None:
        row: AbstractBaseSession | None = self._session_with_key(key)._overridden(
            "_get_session_from_db"
        )()
        return row

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        return self._exact_row(super()._get_session_from_db())  # type: ignore[misc]

    async def _aget_session_from_db(self) -> AbstractBaseSession | None:
        return self._exact_row(await super()._aget_session_from_db())  # type: ignore[misc]

    def _exact_row(self, row: AbstractBaseSession | None) -> AbstractBaseSession | None:
        """Return the row if it has this very key: MariaDB may find that of a key in capitals."""
        if row is None or row.session_key == self._session_key:
            return row
        self._session_key = None
        return None

    def new_row(self, key: str, data: Data, expires: datetime) -> AbstractBaseSession:
        session = self._session_with_key(key)
        if not self.overrides_row_creation:
            text = session.encode(data)
            return self.model(session_key=key, session_data=text, expire_date=expires)
        if session is not self or not is_near(expires, self.get_expiry_date()):
            # This row expires at another moment than its data says: a tombstone, for instance.
            session = copy.copy(session)
            session._fixed_expiry = expires
        row: AbstractBaseSession = session._overridden("create_model_instance")(data)
        return row

    # Transactions.

    def _set_base(self, written: Entry) -> None:
        connection = connections[self.using]
        if not in_transaction(connection):
            super()._set_base(written)
        elif connection.in_atomic_block:
            marker = CommitMarker()
            self._uncommitted = [*self._uncommitted, (marker, self._base)]
            super()._set_base(written)
            transaction.on_commit(marker, using=connection.alias)

    def _insert(self, data: Data, *, save_follows: bool = False) -> Entry:
        entry = super()._insert(data, save_follows=save_follows)
        self._uncommitted = ()
        return entry

    def _get_session(self, no_load: bool = False) -> Data:
        self._undo_rolled_back_saves()
        return super()._get_session(no_load=no_load)

    def _undo_rolled_back_saves(self) -> None:
        """Restore the base of the last save that was not rolled back."""
        if not self._uncommitted:
            return
        hooks = [hook for _savepoints, hook, *_ in connections[self.using].run_on_commit]
        self._uncommitted = [save for save in self._uncommitted if not save[0].is_committed]
        for number, (marker, base_before) in enumerate(self._uncommitted):
            if marker not in hooks:
                self._base, self._uncommitted = base_before, self._uncommitted[:number]
                return
