"""Sessions end on time in any time zone, and when daylight saving time begins or ends."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.cache import caches as cache_connections
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.settings.caches import caches
from tests.conftest import forget_folder, new_database
from tests.engines.conftest import database
from tests.families import FAMILIES
from tests.fault_table import Tally, Whose

# Offsets of whole hours, of halves and quarters, and zones without daylight saving time.
ZONES = ["Europe/Berlin", "America/St_Johns", "Pacific/Chatham", "Asia/Kolkata", "UTC"]

# In Berlin the clock changes at 01:00 UTC. The sessions are saved before that.
SAVE_TIMES = [
    change - timedelta(minutes=minutes)
    for change in (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
    for minutes in (15, 45, 7 * 24 * 60)
]
AGES = [timedelta(minutes=30), timedelta(minutes=90), timedelta(days=14)]

MARGIN = timedelta(seconds=10)
HOUR = timedelta(hours=1)

STORES = [
    ("db", "sqlite"),
    ("db", "postgresql"),
    ("cache", "sqlite"),
    ("file", "sqlite"),
    ("cached_db", "sqlite"),
    ("cached_db", "postgresql"),
    ("signed_cookies", "sqlite"),
]

IsAlive = Callable[[timedelta], bool]


@pytest.fixture(scope="module")
def sqlite_clock_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('clock')}/clock.sqlite3"


@pytest.fixture(scope="module")
def postgresql_clock_url(postgresql_url: str) -> str:
    return new_database(postgresql_url, "clock")


@pytest.fixture(params=STORES, ids="-".join)
def engine(
    request: pytest.FixtureRequest,
    whose: Whose,
    settings: Settings,
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """The engine's name. Its cache is local, since the clock of a Redis cannot be set."""
    engine, kind = request.param
    settings.SESSION_ENGINE = f"{FAMILIES[whose]}{engine}"
    settings.SESSION_FILE_PATH = tmp_path
    settings.CACHES = caches("locmem://")
    forget_folder()
    url = request.getfixturevalue(f"{kind}_clock_url")
    with django_db_blocker.unblock(), database(url):
        yield engine
    forget_folder()


def at(moment: datetime) -> Any:
    """Travel to that time. As a number, since a datetime would also change the time zone."""
    return time_machine.travel(moment.timestamp(), tick=False)


def save_session(settings: Settings, saved: datetime, age: timedelta) -> IsAlive:
    """Save a session, and return a function that tests whether it is alive some time later."""
    settings.SESSION_COOKIE_AGE = int(age.total_seconds())
    store = import_module(settings.SESSION_ENGINE).SessionStore
    with at(saved):
        session = store()
        session["color"] = "blue"
        session.save()
        for path in settings.SESSION_FILE_PATH.glob(f"*{session.session_key}"):
            # Django's engine leaves the file's time to the system, whose clock did not travel.
            if settings.SESSION_ENGINE.startswith(FAMILIES["Django's"]):
                os.utime(path, (time.time(), time.time()))
    if settings.SESSION_ENGINE.endswith("cached_db"):
        # The session is then read from its row.
        cache_connections["sessions"].clear()

    def is_alive(after: timedelta) -> bool:
        with at(saved + after):
            return bool(store(session.session_key).get("color") == "blue")

    return is_alive


def test_sessions_end_on_time(engine: str, whose: Whose, settings: Settings, tally: Tally) -> None:
    """The process that reads a session has another time zone than the one that saved it."""
    wrong = []
    trials = list(product(ZONES, SAVE_TIMES, AGES))
    for trial in trials:
        zone, saved, age = trial
        settings.TIME_ZONE = zone
        is_alive = save_session(settings, saved, age)
        settings.TIME_ZONE = ZONES[ZONES.index(zone) - 1]
        if not is_alive(age - MARGIN) or is_alive(age + MARGIN):
            wrong.append(trial)
    tally("Sessions over a change of the clock: early or late", whose, len(trials), len(wrong))
    if whose == "ours":
        assert wrong == []


def test_no_session_ends_early_without_use_tz(
    engine: str, whose: Whose, settings: Settings, tally: Tally
) -> None:
    """In the database, a session that ends in the repeated hour may end an hour late."""
    settings.USE_TZ = False
    early, late = [], []
    latest = HOUR if engine in {"db", "cached_db"} else timedelta()
    trials = list(product(ZONES, SAVE_TIMES, AGES))
    for trial in trials:
        settings.TIME_ZONE, saved, age = trial
        is_alive = save_session(settings, saved, age)
        if not is_alive(age - MARGIN):
            early.append(trial)
        if is_alive(age + latest + MARGIN):
            late.append(trial)
    what = "Sessions over a change of the clock, USE_TZ off: early"
    tally(what, whose, len(trials), len(early))
    if whose == "ours":
        assert (early, late) == ([], [])
