"""Sessions in the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from django.db import connections, router, transaction
from django.utils.asyncio import async_unsafe

from .clear_expired_rows import clear
from .clock import as_django_stores
from .constants import SESSION_TOMBSTONE
from .entries import Entry, ListedSession, Location, Page
from .exceptions import StoreUnavailableError
from .model_table import table_of
from .sql_call import in_transaction
from .sql_statements import Row, Table
from .store import Store
from .subclass_hooks import can_decode, decoder, is_stored, serialized_form

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.sessions.base_session import AbstractBaseSession
    from django.utils.functional import Promise

    from .db import SessionStore
    from .merge import Data


class RowStore(Store):
    """Django's table, or that of the model which a subclass names in ``get_model_class``.

    ``session`` is a session of the engine. Its methods, which a subclass may override, create and
    encode the rows.
    """

    def __init__(self, session: SessionStore) -> None:
        self.session = session

    @cached_property
    def table(self) -> Table:
        return table_of(self.session.model, self.session.using)

    @property
    def default_id(self) -> str:
        return f"table {self.session.model._meta.db_table}"

    @property
    def label(self) -> str | Promise:
        return self.table.place

    def can_hold(self, key: str) -> bool:
        is_text = super().can_hold(key)
        if "\0" not in key:
            return is_text
        features = connections[self.table.using].features
        # PostgreSQL does not store it.
        return is_text and not features.prohibits_null_characters_in_text_exception

    def form(self, data: Data) -> Data:
        return serialized_form(self.session, data)

    def is_stored(self, old: Entry, data: Data) -> bool:
        return is_stored(self.session, old, data)

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        return self._entry_or_none(key, self.table.read(key))

    def refresh(self, key: str, old: Entry | None) -> Entry | None:
        return self._entry_or_none(key, self.table.read(key, latest=old is not None))

    def load(self, key: str) -> Entry | None:
        """Return the row from the primary, whichever database the router names for reading.

        A lagging replica would still open an ended session. While the primary is unreachable the
        replica is read, as by Django's engine. A row that the replica lacks may exist, so then the
        error is raised.
        """
        try:
            return self.load_from_primary(key)
        except StoreUnavailableError:
            if not self.session.overrides_reading and (stored := self._read_replica(key)):
                return stored
            raise

    def load_from_primary(self, key: str) -> Entry | None:
        """Return the row, by the subclass's method for that if it has one."""
        if not self.session.overrides_reading:
            return self.read(key)
        return self._entry_or_none(key, self.table.call(partial(self.session.row_of, key)))

    def _read_replica(self, key: str) -> Entry | None:
        replica = table_of(self.session.model, router.db_for_read(self.session.model))
        return self._entry_or_none(key, replica.read(key)) if replica != self.table else None

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        row = self.session.new_row(key, data, as_django_stores(expires))
        self.table.insert(row)
        return self._entry(key, row)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        row = self.session.new_row(key, data, as_django_stores(expires))
        return self._entry(key, row) if self.table.compare_and_swap(row, old.token) else None

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        if self.session.overrides_row_creation or self.table.has_more_columns:
            return self.compare_and_swap(key, old, old.content() or {}, expires)
        return old if self.table.touch(key, old.token, as_django_stores(expires)) else None

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        return self.table.compare_and_delete(key, old.token)

    def delete(self, key: str) -> None:
        if self.can_hold(key):
            self.table.delete(key)

    def purge(self, key: str) -> None:
        self.table.delete_expired(key)

    def exists(self, key: str) -> bool:
        """Whether a session is stored; an expired one too, as on Django's engine."""
        data = self.table.stored_data(key) if self.can_hold(key) else None
        if data is None:
            return False
        return not Entry(data, decoder(self.session, key, data)).is_tombstone

    @property
    def in_transaction(self) -> bool:
        return in_transaction(self.table.connection)

    def on_commit(self, step: Callable[[], Any]) -> None:
        """Call ``step`` at the commit, or now if there is no transaction.

        If a site commits by hand (autocommit off), it is never called, as Django does not report
        that.
        """
        connection = self.table.connection
        if not in_transaction(connection):
            step()
        elif connection.in_atomic_block:
            transaction.on_commit(step, using=connection.alias, robust=True)

    def batched(self) -> AbstractContextManager[Any]:
        """Return a transaction, as a commit for each row is slow."""
        return transaction.atomic(using=self.table.using)

    def refuse_event_loop(self) -> None:
        async_unsafe(lambda: None)()

    def page(self, position: str, size: int) -> Page:
        rows = self.table.page(position, size + 1)
        listed = [
            ListedSession(
                row.session_key, row.session_data.encode(), self._entry(row.session_key, row)
            )
            for row in rows[:size]
        ]
        live = [session for session in listed if not session.stored.is_tombstone]
        return Page(live, listed[-1].key if len(rows) > size else "")

    def live_keys(self, keys: Collection[str]) -> set[str]:
        """Return the keys of live sessions, by the length of their data.

        Only a row as long as a tombstone has to be read, which hardly any session is.
        """
        tombstone_length = len(self.session.encode(SESSION_TOMBSTONE))
        lengths = self.table.live_lengths(keys).items()
        is_live = partial(Store.exists, self)
        return {key for key, length in lengths if length != tombstone_length or is_live(key)}

    def count(self) -> int:
        return self.table.count()

    def count_expired(self) -> int:
        return self.table.count_expired()

    def clear(self, batch_size: int) -> Iterator[int]:
        return clear(self.table, batch_size)

    def locate(self, key: str) -> list[Location]:
        row = self.table.read(key)
        if row is None:
            return []
        payload = row.session_data.encode()
        return [Location(self.label, f"session_key = {key}", payload, row.expire_date)]

    def is_readable(self, listed: ListedSession) -> bool:
        return can_decode(self.session, listed.payload.decode())

    def _entry_or_none(self, key: str, row: Row | AbstractBaseSession | None) -> Entry | None:
        return self._entry(key, row) if row else None

    def _entry(self, key: str, row: Row | AbstractBaseSession) -> Entry:
        decode = decoder(self.session, key, row.session_data)
        return Entry(row.session_data, decode, row.expire_date)
