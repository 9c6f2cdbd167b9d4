"""Stores in this process and a frozen clock, so that a seed always gives the same run."""

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

from .gates import pausing_at_store_calls


@pytest.fixture
def cache_url(request: pytest.FixtureRequest) -> str:
    """The URL of the cache that an indirect parameter names, or of the local memory cache."""
    name = getattr(request, "param", "memory")
    url: str = request.getfixturevalue(f"{name}_url")
    return url


@pytest.fixture
def paused_at_store_calls(
    settings: Settings,
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
    cache_url: str,
    mongodb_url: str,
) -> Iterator[None]:
    settings.SESSION_FILE_PATH = tmp_path
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.SESSION_MONGODB_URL = mongodb_url
    settings.SESSION_SERIALIZER = "tests.engines.stepping.setups.PickleSerializer"
    settings.CACHES = caches(cache_url)
    if cache_url.startswith("redis"):
        # Sessions contain sets, which JSON cannot store.
        settings.CACHES = settings.CACHES | {
            "sessions": previous_cache(f"{cache_url}/0?serializer=pickle")
        }
    forget_folder()
    # Each failing store call would log an error.
    logging.disable()
    with (
        django_db_blocker.unblock(),
        database("sqlite://:memory:"),
        pausing_at_store_calls(),
        time_machine.travel(time.time(), tick=False),
    ):
        yield
    logging.disable(logging.NOTSET)
    forget_folder()
