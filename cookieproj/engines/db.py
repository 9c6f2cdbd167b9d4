"""Sessions in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.backends.db import SessionStore as DjangoStore
from django.db import connections, router, transaction
from django.utils.functional import Promise

from .base import Engine
from .clearing import clear
from .constants import ENDED
from .exceptions import StoreUnavailableError
from .hooks import overrides
from .merge import Data
from .model_table import table_of
from .sql_call import in_transaction
from .stored import Listed, Location, Page, Stored
from .table import Row, Table

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession


class SessionStore(Engine, DjangoStore):
    """Rows of Django's table, or of the model that a subclass names in ``get_model_class``."""

    # Whether the last compare-and-swap found something else than it went by.
    _lost = False

    # For each save in a transaction that is not over: what is done once it is committed, and what
    # this session went by before. A rollback, to a savepoint too, takes the former off Django's
    # list of hooks.
    _unsettled: Sequence[tuple[Callable[[], None], Stored | None]] = ()

    def _read(self) -> Stored | None:
        row = self._table().read(self._key, latest=self._lost)
        return self._stored(row) if row else None

    def _load(self) -> Stored | None:
        """From the primary, whatever the router names for reading.

        A replica lags: there a session that has ended still opens. It is read while the primary
        is unreachable, as by Django's engine; what it lacks is not gone.
        """
        if self._has_own_reading:
            return self._read_row()
        try:
            return self._read()
        except StoreUnavailableError:
            if stored := self._read_replica():
                return stored
            raise

    def _read_replica(self) -> Stored | None:
        replica = table_of(self.model, router.db_for_read(self.model))
        row = replica.read(self._key) if replica != self._table() else None
        return self._stored(row) if row else None

    def _read_row(self) -> Stored | None:
        """By the method that a subclass has for it, which may keep more than the session."""
        if not self._has_own_reading:
            return self._read()
        row = self._table().call(self._half("_get_session_from_db"))
        return self._stored(row) if row else None

    @property
    def _has_own_reading(self) -> bool:
        return overrides(type(self), "_get_session_from_db", "_aget_session_from_db")

    def _insert(self, data: Data) -> Stored:
        row = self._half("create_model_instance")(data)
        self._table().insert(row)
        self._unsettled = ()
        return self._stored(row)

    def _swap(self, base: Stored, data: Data) -> Stored | None:
        row = self._half("create_model_instance")(data)
        return self._stored(row) if self._won(self._table().swap(row, base.token)) else None

    def _touch(self, base: Stored) -> bool:
        has_own_rows = overrides(type(self), "create_model_instance", "acreate_model_instance")
        if has_own_rows or self._table().has_more_columns:
            return self._swap(base, base.data or {}) is not None
        return self._won(self._table().touch(self._key, base.token, self.get_expiry_date()))

    def _remove(self, session_key: str) -> None:
        if self._takes(session_key):
            self._table().remove(session_key)

    def _take(self, base: Stored) -> bool:
        return self._won(self._table().take(self._key, base.token))

    def _won(self, changed: bool) -> bool:
        self._lost = not changed
        return changed

    def _is_in_transaction(self) -> bool:
        return in_transaction(self._table().connection)

    def _move_base(self, written: Stored) -> None:
        if not self._is_in_transaction():
            super()._move_base(written)
        elif (connection := self._table().connection).in_atomic_block:

            def settle() -> None:
                self._unsettled = [each for each in self._unsettled if each[0] is not settle]

            self._unsettled = [*self._unsettled, (settle, self._base)]
            super()._move_base(written)
            transaction.on_commit(settle, using=connection.alias)

    def _get_session(self, no_load: bool = False) -> Data:
        self._go_back()
        return super()._get_session(no_load=no_load)

    def _go_back(self) -> None:
        """What was rolled back was not saved: go by what was stored before it."""
        if not self._unsettled:
            return
        hooks = [hook for _savepoints, hook, *_ in self._table().connection.run_on_commit]
        for number, (settle, before) in enumerate(self._unsettled):
            if settle not in hooks:
                self._base, self._unsettled = before, self._unsettled[:number]
                return

    def _make_room(self) -> None:
        self._table().remove_expired(self._key)

    def exists(self, session_key: Any) -> bool:
        key = str(session_key or "")
        data = self._table().data(key) if self._takes(key) else None
        return data is not None and not Stored(data, partial(self.decode, data)).is_tombstone

    def _takes(self, session_key: str) -> bool:
        is_text = super()._takes(session_key)
        if "\0" not in session_key:
            return is_text
        features = connections[self._table().using].features
        # What PostgreSQL raises for one.
        return is_text and not features.prohibits_null_characters_in_text_exception

    def _stored(self, row: Row | AbstractBaseSession) -> Stored:
        return Stored(row.session_data, partial(self.decode, row.session_data), row.expire_date)

    @classmethod
    def _table(cls) -> Table:
        model = cls.get_model_class()
        return table_of(model, router.db_for_write(model))

    @classmethod
    def page(cls, position: str = "", size: int = 100) -> Page:
        rows = cls._table().page(position, size + 1)
        store = cls()
        listed = [
            Listed(row.session_key, row.session_data.encode(), store._stored(row))
            for row in rows[:size]
        ]
        live = [each for each in listed if not each.stored.is_tombstone]
        return Page(live, listed[-1].key if len(rows) > size else "")

    @classmethod
    def _alive(cls, keys: Collection[str]) -> set[str]:
        """What is as long as a tombstone is looked at, which hardly any session is."""
        tombstone = len(cls().encode(ENDED))
        found = cls._table().alive(keys).items()
        return {key for key, length in found if length != tombstone or cls(key)._is_live()}

    @classmethod
    def count(cls) -> int:
        return cls._table().count()

    @classmethod
    def _clear(cls, batch_size: int) -> Iterator[int]:
        return clear(cls._table(), batch_size)

    @classmethod
    def count_expired(cls) -> int:
        return cls._table().count_expired()

    def locate(self) -> list[Location]:
        row = self._table().read(self._key)
        if row is None:
            return []
        name = f"session_key = {self._key}"
        return [Location(self._place(), name, row.session_data.encode(), row.expire_date)]

    @classmethod
    def _place(cls) -> str | Promise:
        return cls._table().place

    @classmethod
    def _id(cls) -> str:
        return f"table {cls.get_model_class()._meta.db_table}"
