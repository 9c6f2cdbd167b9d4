import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import filterfalse
from pathlib import Path
from threading import Lock
from unittest import mock

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from demo import health
from demo.health import Watch
from tests.conftest import connected
from tests.tiers import AGAIN, parameters

# Of the profiles these are to the site's database as others are.
ALIKE = {"file", "cached_db", "encrypted_cookies"}

ATTEMPTS = {
    "database": health.probe_database,
    "sessions": health.probe_sessions,
    "cache": health.probe_cache,
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is tested again on another database is so on profiles that differ there."""

    def is_alike(item: pytest.Item) -> bool:
        return item.path.parent.name in AGAIN and parameters(item).get("profile") in ALIKE

    config.hook.pytest_deselected(items=list(filter(is_alike, items)))
    items[:] = filterfalse(is_alike, items)


@pytest.fixture
def unwatched() -> Iterator[None]:
    """As in a process that has tried no store yet; and no thread is left to the next test.

    SQLite in memory refuses a second writer at once, so here none tries while another does.
    """
    alone = Lock()

    def attempt(really: Callable[[], None]) -> None:
        with alone:
            really()

    watches = [Watch(name, partial(attempt, really)) for name, really in ATTEMPTS.items()]
    database, sessions, cache = watches
    with (
        mock.patch.multiple(health, DATABASE=database, SESSIONS=sessions, CACHE=cache),
        # However busy the machine is.
        mock.patch.object(health, "PROBE_TIMEOUT", 60),
    ):
        yield
    for watch in watches:
        assert watch._ended.wait(60)


@pytest.fixture(scope="session")
def migrated(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The database of the tests, with nothing in it, as a file of SQLite."""
    path = tmp_path_factory.mktemp("migrated") / "db.sqlite3"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    return path


@pytest.fixture
def on_file(migrated: Path, db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file is the database, and all commits are real: other connections see them."""
    path = Path(shutil.copy(migrated, tmp_path_factory.mktemp("on_file")))
    with connected(f"sqlite:///{path}"):
        yield path
