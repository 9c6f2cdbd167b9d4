"""What is in a store, put there and looked at past all engines."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.core import signing
from django.core.cache import caches
from django.db import connection

# Of rows and files.
SALT = "django.contrib.sessions.SessionStore"

UPSERT = """
    INSERT INTO django_session (session_key, session_data, expire_date)
    VALUES (%s, %s, '2999-01-01 00:00:00+00:00')
    ON CONFLICT (session_key) DO UPDATE
    SET session_data = excluded.session_data, expire_date = excluded.expire_date
"""


class Store(Protocol):
    """Whose sessions are signed text, or plain JSON."""

    signed: bool

    def plant(self, key: str, payload: bytes) -> None: ...

    def held(self, key: str) -> bytes | None: ...


class Rows:
    """Text: of bytes, those that Latin-1 makes of them."""

    signed = True

    def plant(self, key: str, payload: bytes) -> None:
        # What an engine has raised inside the test's own transaction does not end that.
        connection.needs_rollback = False
        with connection.cursor() as cursor:
            cursor.execute(UPSERT, [key, payload.decode("latin-1")])

    def held(self, key: str) -> bytes | None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT session_data FROM django_session WHERE session_key = %s", [key])
            row = cursor.fetchone()
        return row[0].encode("latin-1") if row else None


class PostgreSQLRows(Rows):
    """A text takes no NUL there."""

    def plant(self, key: str, payload: bytes) -> None:
        super().plant(key, payload.replace(b"\0", b"\1"))


class Files:
    signed = True

    def plant(self, key: str, payload: bytes) -> None:
        self._path(key).write_bytes(payload)

    def held(self, key: str) -> bytes | None:
        path = self._path(key)
        return path.read_bytes() if path.exists() else None

    def _path(self, key: str) -> Path:
        return Path(str(settings.SESSION_FILE_PATH)) / f"sessionid{key}"


class RedisValues:
    signed = False

    def __init__(self) -> None:
        cache: Any = caches["sessions"]
        store: Any = import_module(settings.SESSION_ENGINE).SessionStore
        self._redis = cache.client.get_client(write=True)
        self._prefix = cache.make_key(store.cache_key_prefix)

    def plant(self, key: str, payload: bytes) -> None:
        self._redis.set(f"{self._prefix}{key}", payload, ex=600)

    def held(self, key: str) -> bytes | None:
        held: bytes | None = self._redis.get(f"{self._prefix}{key}")
        return held


class CachedRows(Rows):
    """Rows of which the cache has no copy."""

    def __init__(self) -> None:
        self._copies = RedisValues()

    def plant(self, key: str, payload: bytes) -> None:
        super().plant(key, payload)
        self._copies._redis.delete(f"{self._copies._prefix}{key}")


STORES: dict[str, type[Store]] = {
    "db": Rows,
    "file": Files,
    "cache": RedisValues,
    "cached_db": CachedRows,
}


class Bytes:
    """A serializer of what is serialized already."""

    def dumps(self, payload: bytes) -> bytes:
        return payload

    def loads(self, payload: bytes) -> bytes:
        return payload


def sign(payload: bytes, salt: str = SALT) -> bytes:
    return signing.dumps(payload, salt=salt, serializer=Bytes, compress=True).encode()


def is_session(payload: bytes, charset: str) -> bool:
    """Whether that is a JSON object."""
    try:
        return isinstance(json.loads(payload.decode(charset)), dict)
    except (ValueError, RecursionError):
        return False
