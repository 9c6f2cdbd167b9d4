from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock
from unittest import mock

import pytest

from cookieproj.engines.probe import by_itself
from demo import health
from demo.health import Watch

ATTEMPTS = {
    "database": health.try_database,
    "sessions": health.try_sessions,
    "cache": health.try_cache,
}


@pytest.fixture
def unwatched() -> Iterator[None]:
    """As in a process that has tried no store yet; and no thread is left to the next test.

    SQLite in memory refuses a second writer at once, so here none tries while another does.
    """
    # Classes of file engines remember their folder.
    by_itself.cache_clear()
    alone = Lock()

    def attempt(really: Callable[[], None]) -> None:
        with alone:
            really()

    watches = [Watch(name, partial(attempt, really)) for name, really in ATTEMPTS.items()]
    database, sessions, cache = watches
    with (
        mock.patch.multiple(health, DATABASE=database, SESSIONS=sessions, CACHE=cache),
        # However busy the machine is.
        mock.patch.object(health, "LIMIT", 60),
    ):
        yield
    for watch in watches:
        assert watch._ended.wait(60)
