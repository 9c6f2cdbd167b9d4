"""Sessions end on time, whatever the time zone, and while clocks are put forward or back."""

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
from tests.fault_table import Held, Whose

# By whole hours, by halves and quarters of one, and without a change of the clock.
ZONES = ["Europe/Berlin", "America/St_Johns", "Pacific/Chatham", "Asia/Kolkata", "UTC"]

# In Berlin clocks are put forward, or back, at one o'clock of UTC. Sessions begin before that.
BEGINNINGS = [
    changed - timedelta(minutes=before)
    for changed in (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
    for before in (15, 45, 7 * 24 * 60)
]
AGES = [timedelta(minutes=30), timedelta(minutes=90), timedelta(days=14)]

A_LITTLE = timedelta(seconds=10)
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
    """Its name. The cache is one whose clock can be set, which that of Redis cannot."""
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
    """By its number: a date would bring its time zone along."""
    return time_machine.travel(moment.timestamp(), tick=False)


def begun(settings: Settings, beginning: datetime, age: timedelta) -> IsAlive:
    """Whether a session that was saved then is alive so long after it."""
    settings.SESSION_COOKIE_AGE = int(age.total_seconds())
    store = import_module(settings.SESSION_ENGINE).SessionStore
    with at(beginning):
        session = store()
        session["color"] = "blue"
        session.save()
        for path in settings.SESSION_FILE_PATH.glob(f"*{session.session_key}"):
            # Django's engine leaves its times to the system, whose clock goes on; ours sets them.
            if settings.SESSION_ENGINE.startswith(FAMILIES["Django's"]):
                os.utime(path, (time.time(), time.time()))
    if settings.SESSION_ENGINE.endswith("cached_db"):
        # So that it is the row that is read, and copied.
        cache_connections["sessions"].clear()

    def is_alive(after: timedelta) -> bool:
        with at(beginning + after):
            return bool(store(session.session_key).get("color") == "blue")

    return is_alive


def test_sessions_end_on_time(engine: str, whose: Whose, settings: Settings, held: Held) -> None:
    """In a process of another time zone too."""
    wrong = []
    trials = list(product(ZONES, BEGINNINGS, AGES))
    for trial in trials:
        zone, beginning, age = trial
        settings.TIME_ZONE = zone
        is_alive = begun(settings, beginning, age)
        settings.TIME_ZONE = ZONES[ZONES.index(zone) - 1]
        if not is_alive(age - A_LITTLE) or is_alive(age + A_LITTLE):
            wrong.append(trial)
    held("Sessions over a change of the clock: early or late", whose, len(trials), len(wrong))
    if whose == "ours":
        assert wrong == []


def test_without_use_tz_none_ends_early(
    engine: str, whose: Whose, settings: Settings, held: Held
) -> None:
    """In the database one that is to end in an hour that comes twice may end in the second."""
    settings.USE_TZ = False
    early, late = [], []
    latest = HOUR if engine in {"db", "cached_db"} else timedelta()
    trials = list(product(ZONES, BEGINNINGS, AGES))
    for trial in trials:
        settings.TIME_ZONE, beginning, age = trial
        is_alive = begun(settings, beginning, age)
        if not is_alive(age - A_LITTLE):
            early.append(trial)
        if is_alive(age + latest + A_LITTLE):
            late.append(trial)
    what = "Sessions over a change of the clock, USE_TZ off: early"
    held(what, whose, len(trials), len(early))
    if whose == "ours":
        assert (early, late) == ([], [])
