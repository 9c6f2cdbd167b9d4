"""A second connection to the database of ``default``, and routers for reads and writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings


class ReadsFromReplica:
    """A router as in Django's documentation of multiple databases."""

    reads, writes = "replica", "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.reads

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return self.writes

    def allow_relation(self, *models: Any, **hints: Any) -> bool:
        return True


class WritesToPrimary(ReadsFromReplica):
    """A router for a site whose ``default`` is the replica."""

    reads, writes = "default", "primary"


@contextmanager
def read_from(settings: Settings, **replica: Any) -> Iterator[BaseDatabaseWrapper]:
    """Read from a replica, whose settings are those of ``default`` and the given ones."""
    with added("replica", **replica) as connection, routed(settings, ReadsFromReplica):
        yield connection


@contextmanager
def added(alias: str, **changes: Any) -> Iterator[BaseDatabaseWrapper]:
    """Add a database with the settings of ``default`` and these changes."""
    connections.settings[alias] = connections.settings["default"] | changes
    connection = connections[alias] = connections.create_connection(alias)
    try:
        with mock.patch.object(BaseDatabaseWrapper, "ensure_connection", ensure_connection):
            yield connection
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]


@contextmanager
def routed(settings: Settings, router: type) -> Iterator[None]:
    before = settings.DATABASE_ROUTERS
    settings.DATABASE_ROUTERS = [f"{__name__}.{router.__name__}"]
    try:
        yield
    finally:
        settings.DATABASE_ROUTERS = before


def ensure_connection(connection: BaseDatabaseWrapper) -> None:
    """Django's own method. In a test it is replaced, and connects only to the first databases."""
    if connection.connection is None:
        with connection.wrap_database_errors:
            connection.connect()


def sqlite(path: object, *, read_only: bool = False) -> dict[str, Any]:
    """The settings of an SQLite file. SQLite refuses to write to it if it is read-only."""
    name = f"file:{path}?mode=ro" if read_only else str(path)
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": {}}
