"""Sessions in the database."""

from collections.abc import Collection, Iterator
from functools import partial

from django.contrib.sessions.backends.db import SessionStore as DjangoStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import router
from django.utils.functional import Promise

from .base import Engine
from .clearing import clear
from .merge import Data
from .stored import Listed, Location, Page, Stored
from .table import Row, Table


class SessionStore(Engine, DjangoStore):
    """Rows of Django's table, or of the model that a subclass names in ``get_model_class``.

    Rows change without model signals. They are inserted with them, and deleted with
    them where somebody listens.
    """

    # Whether the last compare-and-swap found something else than it went by.
    _lost = False

    def _read(self) -> Stored | None:
        row = self._table().read(self._key, latest=self._lost)
        return self._stored(row) if row else None

    def _load(self) -> Stored | None:
        """From a replica, if the router names one, which may lag: what it lacks the primary has."""
        replica = Table(self.model, router.db_for_read(self.model))
        row = replica.read(self._key)
        if row is None and replica != self._table():
            return self._read()
        return self._stored(row) if row else None

    def _insert(self, data: Data) -> Stored:
        row = self.create_model_instance(data)
        self._table().insert(row)
        return self._stored(row)

    def _swap(self, base: Stored, data: Data) -> Stored | None:
        row = self.create_model_instance(data)
        return self._stored(row) if self._won(self._table().swap(row, base.token)) else None

    def _touch(self, base: Stored) -> bool:
        if self._table().has_more_columns:
            return self._swap(base, base.data or {}) is not None
        return self._won(self._table().touch(self._key, base.token, self.get_expiry_date()))

    def _rename(self, new_key: str) -> Stored | None:
        row = self._table().rename(self._key, new_key)
        return self._stored(row) if row else None

    def _remove(self, session_key: str) -> None:
        self._table().remove(session_key)

    def _take(self, base: Stored) -> bool:
        return self._won(self._table().take(self._key, base.token))

    def _won(self, changed: bool) -> bool:
        self._lost = not changed
        return changed

    def _make_room(self) -> None:
        self._table().remove_expired(self._key)

    def exists(self, session_key: str) -> bool:
        return bool(session_key) and self._table().exists(session_key)

    def _stored(self, row: Row | AbstractBaseSession) -> Stored:
        return Stored(row.session_data, partial(self.decode, row.session_data), row.expire_date)

    @classmethod
    def _table(cls) -> Table:
        model = cls.get_model_class()
        return Table(model, router.db_for_write(model))

    @classmethod
    def page(cls, position: str = "", size: int = 100) -> Page:
        rows = cls._table().page(position, size + 1)
        store = cls()
        listed = [
            Listed(row.session_key, row.session_data.encode(), store._stored(row))
            for row in rows[:size]
        ]
        return Page(listed, listed[-1].key if len(rows) > size else "")

    @classmethod
    def alive(cls, keys: Collection[str]) -> set[str]:
        return cls._table().alive(keys)

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
