"""Sessions in an SQLite file, by Python's ``sqlite3``: the example of docs/stores.md."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError

from cookieproj.engines.base import Engine
from cookieproj.engines.clock import aware
from cookieproj.engines.entries import Entry
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.merge import Data
from cookieproj.engines.round_trips import round_trip
from cookieproj.engines.store import SerializedStore, Store

CREATE = "CREATE TABLE IF NOT EXISTS session (key TEXT PRIMARY KEY, data BLOB, expires REAL)"


class SQLite(SerializedStore):
    @property
    def default_id(self) -> str:
        return "sqlite3 session"

    @property
    def label(self) -> str:
        return f"SQLite {self._path}"

    def read(self, key: str, *, with_expiry: bool = False) -> Entry | None:
        with self._call("SELECT data, expires FROM session WHERE key = ?", key) as cursor:
            row = cursor.fetchone()
        if row is None or row[1] <= datetime.now(UTC).timestamp():
            return None
        return self.stored(row[0], datetime.fromtimestamp(row[1], UTC))

    def insert(self, key: str, data: Data, expires: datetime) -> Entry:
        payload = self.encode(data)
        sql = "INSERT INTO session VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        if not self._changed(sql, key, payload, seconds(expires)):
            raise CreateError
        return self.stored(payload, expires)

    def compare_and_swap(self, key: str, old: Entry, data: Data, expires: datetime) -> Entry | None:
        payload = self.encode(data)
        sql = "UPDATE session SET data = ?, expires = ? WHERE key = ? AND data = ?"
        won = self._changed(sql, payload, seconds(expires), key, old.token)
        return self.stored(payload, expires) if won else None

    def touch(self, key: str, old: Entry, expires: datetime) -> Entry | None:
        sql = "UPDATE session SET expires = ? WHERE key = ? AND data = ?"
        return old if self._changed(sql, seconds(expires), key, old.token) else None

    def compare_and_delete(self, key: str, old: Entry) -> bool:
        return self._changed("DELETE FROM session WHERE key = ? AND data = ?", key, old.token)

    def delete(self, key: str) -> None:
        if self.can_hold(key):
            self._changed("DELETE FROM session WHERE key = ?", key)

    def purge(self, key: str) -> None:
        now = datetime.now(UTC).timestamp()
        self._changed("DELETE FROM session WHERE key = ? AND expires <= ?", key, now)

    @property
    def _path(self) -> Path:
        return Path(settings.SESSION_FILE_PATH) / "sessions.sqlite3"

    def _changed(self, sql: str, *values: Any) -> bool:
        with self._call(sql, *values) as cursor:
            return bool(cursor.rowcount)

    @contextmanager
    def _call(self, sql: str, *values: Any) -> Iterator[sqlite3.Cursor]:
        try:
            with (
                round_trip(),
                closing(sqlite3.connect(self._path, timeout=20)) as connection,
                connection,
            ):
                connection.execute(CREATE)
                yield connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            raise StoreUnavailableError(self.label, error) from error


def seconds(moment: datetime) -> float:
    return aware(moment).timestamp()


class SessionStore(Engine):
    def make_store(self) -> Store:
        return SQLite()
