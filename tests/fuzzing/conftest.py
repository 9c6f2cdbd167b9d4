"""How many inputs each test gets, and the site that gets them."""

import logging
import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker, Settings

from demo.models import User
from tests.conftest import connected
from tests.families import run_on
from tests.fault_table import Whose
from tests.tiers import is_fast

from .site import Site

# In the fast tier, in the suite, and with --long.
FEW, INPUTS, MANY = 1_000, 10_000, 1_000_000

# So many each test gets at least.
LEAST = 20

# What hypothesis remembers of one run grows with it, so a long one is made of many.
AT_ONCE = 2_000

LOGGER = logging.getLogger("django")

Property = Callable[..., None]
Fuzz = Callable[..., int]


def inputs_of(config: pytest.Config) -> int:
    """How many are all inputs of a run."""
    if config.getoption("--long"):
        return MANY
    return FEW if is_fast(config) else INPUTS


class Log(logging.Handler):
    """What Django's loggers have said since it was last asked."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def said(self) -> list[logging.LogRecord]:
        records, self._records = self._records, []
        return records

    def alone(self) -> None:
        """Without pytest's own, there since the test began: it keeps all of a million requests."""
        LOGGER.handlers = [self]


@pytest.fixture
def log() -> Iterator[Log]:
    log, handlers = Log(), LOGGER.handlers
    LOGGER.handlers, LOGGER.propagate = [log], False
    yield log
    LOGGER.handlers, LOGGER.propagate = handlers, True


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, log: Log) -> Fuzz:
    """``fuzz(4, holds, strategy)``: hold it against 4 percent of all inputs; how many they were.

    The same ones each time, but for --long: there others each time, and what has failed
    is kept in .hypothesis and tried again first.
    """
    is_long = request.config.getoption("--long")
    all_inputs = inputs_of(request.config)

    def fuzz(percent: float, holds: Property, *strategies: st.SearchStrategy[Any]) -> int:
        log.alone()
        tries = 0

        @wraps(holds)
        def counted(**drawn: Any) -> None:
            nonlocal tries
            holds(**drawn)
            tries += 1

        inputs = max(LEAST, round(all_inputs * percent / 100))
        run = settings(
            derandomize=not is_long,
            deadline=None,
            # An engine is slower than what makes the inputs, and all that is slow is the engine.
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        with warnings.catch_warnings():
            # As an error it would be told instead of what is wrong with that input.
            warnings.filterwarnings("ignore", "Generating overly large repr")
            for first in range(0, inputs, AT_ONCE):
                some = settings(run, max_examples=min(AT_ONCE, inputs - first))
                some(given(*strategies)(counted))()
        # Somewhat fewer, where some were not for this property.
        assert tries > inputs / 2
        return tries

    return fuzz


@pytest.fixture(params=["ours", "Django's"])
def whose(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    owner: Whose = request.param
    run_on(settings, owner, profile)
    return owner


@pytest.fixture
def on_postgresql(stores: dict[str, str], django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """As deployed: each statement a transaction of its own, and the connection stays."""
    url = stores["DATABASE_URL"]
    with django_db_blocker.unblock(), connected(url, CONN_MAX_AGE=None):
        with connection.cursor() as cursor:
            # What is not on disk yet is read all the same.
            cursor.execute("SET synchronous_commit TO off")
        known = list(User.objects.values_list("pk", flat=True))
        yield
        User.objects.exclude(pk__in=known).delete()


ours = pytest.mark.parametrize("whose", ["ours"], indirect=True)


@pytest.fixture
def site(whose: Whose, log: Log) -> Site:
    return Site()
