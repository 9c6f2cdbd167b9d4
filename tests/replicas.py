"""A database of which ``default`` is one way in, and a router that sends reads elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings


class ReadsFromReplica:
    """As in Django's documentation on several databases."""

    reads, writes = "replica", "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.reads

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return self.writes

    def allow_relation(self, *models: Any, **hints: Any) -> bool:
        return True


class WritesToPrimary(ReadsFromReplica):
    """The other way round: ``default`` is the replica."""

    reads, writes = "default", "primary"


@contextmanager
def read_from(settings: Settings, **replica: Any) -> Iterator[BaseDatabaseWrapper]:
    """Till the block ends; the replica's settings are those of ``default`` but for the named."""
    with added("replica", **replica) as connection, routed(settings, ReadsFromReplica):
        yield connection


@contextmanager
def added(alias: str, **there: Any) -> Iterator[BaseDatabaseWrapper]:
    """That alias leads to the same as ``default`` but for what is named."""
    connections.settings[alias] = connections.settings["default"] | there
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
    """Django's. A test has another, by which it connects to what was there as it began."""
    if connection.connection is None:
        with connection.wrap_database_errors:
            connection.connect()


def sqlite(path: object, *, read_only: bool = False) -> dict[str, Any]:
    """The settings of a file, which SQLite itself refuses to write to where it is read-only."""
    name = f"file:{path}?mode=ro" if read_only else str(path)
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": {}}
