from collections.abc import Callable, Iterator
from functools import partial
from itertools import filterfalse
from pathlib import Path
from threading import Lock
from unittest import mock

import pytest

from demo import health
from demo.health import Watch
from tests.servers import StoppableRedis, UnavailableError
from tests.tiers import AGAIN, parameters

# Profiles that use the site's database in the same way as one of the others.
REDUNDANT_PROFILES = {"file", "cached_db", "encrypted_cookies"}

PROBES = {
    "database": health.probe_database,
    "sessions": health.probe_sessions,
    "cache": health.probe_cache,
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that run again on another database skip profiles that use it alike."""

    def is_redundant(item: pytest.Item) -> bool:
        return (
            item.path.parent.name in AGAIN and parameters(item).get("profile") in REDUNDANT_PROFILES
        )

    config.hook.pytest_deselected(items=list(filter(is_redundant, items)))
    items[:] = filterfalse(is_redundant, items)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[StoppableRedis]:
    """A separate server, since a test changes its configuration."""
    try:
        server = StoppableRedis(tmp_path)
    except UnavailableError as error:
        pytest.skip(str(error))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def fresh_watches() -> Iterator[None]:
    """Watches as in a process that has probed no store yet; their threads end with the test.

    SQLite in memory refuses a second writer at once, so the probes run one after another.
    """
    lock = Lock()

    def probe_alone(probe: Callable[[], None]) -> None:
        with lock:
            probe()

    watches = [Watch(name, partial(probe_alone, probe)) for name, probe in PROBES.items()]
    database, sessions, cache = watches
    with (
        mock.patch.multiple(health, DATABASE=database, SESSIONS=sessions, CACHE=cache),
        # A busy machine must not make a probe time out.
        mock.patch.object(health, "PROBE_TIMEOUT", 60),
    ):
        yield
    for watch in watches:
        assert watch._ended.wait(60)
