"""Stores in the memory of this process, and a clock that stands still."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.settings.caches import caches, previous_cache
from tests.conftest import forget_folder
from tests.engines.conftest import database

from .gates import stepped


@pytest.fixture
def cache_url(request: pytest.FixtureRequest) -> str:
    """Of the cache of that name."""
    name = getattr(request, "param", "memory")
    url: str = request.getfixturevalue(f"{name}_url")
    return url


@pytest.fixture
def stopped_at_trips(
    settings: Settings,
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
    cache_url: str,
    mongodb_url: str,
) -> Iterator[None]:
    """One seed is one course: nothing here goes by the time, or by another process."""
    settings.SESSION_FILE_PATH = tmp_path
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.SESSION_MONGODB_URL = mongodb_url
    settings.SESSION_SERIALIZER = "tests.engines.stepping.setups.Pickles"
    settings.CACHES = caches(cache_url)
    if cache_url.startswith("redis"):
        # Sessions hold sets.
        settings.CACHES = settings.CACHES | {
            "sessions": previous_cache(f"{cache_url}/0?serializer=pickle")
        }
    forget_folder()
    # A failing store says so, thousands of times here.
    logging.disable()
    with (
        django_db_blocker.unblock(),
        database("sqlite://:memory:"),
        stepped(),
        time_machine.travel(time.time(), tick=False),
    ):
        yield
    logging.disable(logging.NOTSET)
    forget_folder()
