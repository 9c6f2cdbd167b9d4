"""Access to stored sessions without an engine."""

import json
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.core import signing
from django.core.cache import caches
from django.db import connection

from cookieproj.engines.mongodb_client import documents

# Signs sessions in rows and files.
SALT = "django.contrib.sessions.SessionStore"

UPSERT = """
    INSERT INTO django_session (session_key, session_data, expire_date)
    VALUES (%s, %s, '2999-01-01 00:00:00+00:00')
    ON CONFLICT (session_key) DO UPDATE
    SET session_data = excluded.session_data, expire_date = excluded.expire_date
"""


class Store(Protocol):
    # Whether stored sessions are signed text, or plain JSON.
    signed: bool
    # In which the serializer reads the JSON.
    charset: str

    def plant(self, key: str, payload: bytes) -> None: ...

    def payload_of(self, key: str) -> bytes | None: ...


class Rows:
    """The column is text, so bytes are stored as Latin-1."""

    signed = True
    charset = "latin-1"

    def plant(self, key: str, payload: bytes) -> None:
        # An error of an engine inside the test's transaction does not end that.
        connection.needs_rollback = False
        with connection.cursor() as cursor:
            cursor.execute(UPSERT, [key, payload.decode("latin-1")])

    def payload_of(self, key: str) -> bytes | None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT session_data FROM django_session WHERE session_key = %s", [key])
            row = cursor.fetchone()
        return row[0].encode("latin-1") if row else None


class PostgreSQLRows(Rows):
    """A text of PostgreSQL cannot contain NUL."""

    def plant(self, key: str, payload: bytes) -> None:
        super().plant(key, payload.replace(b"\0", b"\1"))


class Files:
    signed = True
    charset = "latin-1"

    def plant(self, key: str, payload: bytes) -> None:
        self._path(key).write_bytes(payload)

    def payload_of(self, key: str) -> bytes | None:
        path = self._path(key)
        return path.read_bytes() if path.exists() else None

    def _path(self, key: str) -> Path:
        return Path(str(settings.SESSION_FILE_PATH)) / f"sessionid{key}"


class RedisValues:
    signed = False
    charset = "utf-8"

    def __init__(self) -> None:
        cache: Any = caches["sessions"]
        store: Any = import_module(settings.SESSION_ENGINE).SessionStore
        self._redis = cache.client.get_client(write=True)
        self._prefix = cache.make_key(store.cache_key_prefix)

    def plant(self, key: str, payload: bytes) -> None:
        self._redis.set(f"{self._prefix}{key}", payload, ex=600)

    def payload_of(self, key: str) -> bytes | None:
        payload: bytes | None = self._redis.get(f"{self._prefix}{key}")
        return payload


class CachedRows(Rows):
    """Rows that have no copy in the cache."""

    def __init__(self) -> None:
        self._cached = RedisValues()

    def plant(self, key: str, payload: bytes) -> None:
        super().plant(key, payload)
        self._cached._redis.delete(f"{self._cached._prefix}{key}")


class Documents:
    signed = False
    charset = "latin-1"

    def plant(self, key: str, payload: bytes) -> None:
        document = {"data": payload, "expires": datetime(2999, 1, 1, tzinfo=UTC)}
        documents(settings.SESSION_MONGODB_URL).replace_one({"_id": key}, document, upsert=True)

    def payload_of(self, key: str) -> bytes | None:
        document = documents(settings.SESSION_MONGODB_URL).find_one(key)
        return document["data"] if document else None


STORES: dict[str, type[Store]] = {
    "db": Rows,
    "file": Files,
    "cache": RedisValues,
    "cached_db": CachedRows,
    "mongodb": Documents,
}


class BytesSerializer:
    """Passes on data that are already serialized."""

    def dumps(self, payload: bytes) -> bytes:
        return payload

    def loads(self, payload: bytes) -> bytes:
        return payload


def sign(payload: bytes, salt: str = SALT) -> bytes:
    return signing.dumps(payload, salt=salt, serializer=BytesSerializer, compress=True).encode()


def is_session(payload: bytes, charset: str) -> bool:
    """Whether the payload is a JSON object."""
    try:
        return isinstance(json.loads(payload.decode(charset)), dict)
    except (ValueError, RecursionError):
        return False
