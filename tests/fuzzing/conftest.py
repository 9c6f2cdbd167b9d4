"""The number of inputs of each test, and the site that gets them."""

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

# All inputs of a run: in the fast tier, in the suite, and with --long.
FAST_INPUTS, SUITE_INPUTS, LONG_INPUTS = 1_000, 10_000, 1_000_000

# The minimum of each test.
MIN_INPUTS = 20

# A run of hypothesis keeps its inputs in memory, so a long test consists of several runs.
RUN_INPUTS = 2_000

LOGGER = logging.getLogger("django")

Check = Callable[..., None]
Fuzz = Callable[..., int]


def inputs_of(config: pytest.Config) -> int:
    """The number of inputs of all tests together."""
    if config.getoption("--long"):
        return LONG_INPUTS
    return FAST_INPUTS if is_fast(config) else SUITE_INPUTS


class Log(logging.Handler):
    """Collects the records of Django's loggers."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def take_records(self) -> list[logging.LogRecord]:
        """Return the records since the last call."""
        records, self._records = self._records, []
        return records

    def remove_other_handlers(self) -> None:
        """pytest's handler would keep the records of a million requests."""
        LOGGER.handlers = [self]


@pytest.fixture
def log() -> Iterator[Log]:
    log, handlers = Log(), LOGGER.handlers
    LOGGER.handlers, LOGGER.propagate = [log], False
    yield log
    LOGGER.handlers, LOGGER.propagate = handlers, True


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, log: Log) -> Fuzz:
    """``fuzz(4, check, strategy)`` runs the check on 4 percent of all inputs, and returns how many.

    The inputs are the same in each run. With --long they are random, and failed ones are stored in
    .hypothesis and tried first in the next run.
    """
    is_long = request.config.getoption("--long")
    all_inputs = inputs_of(request.config)

    def fuzz(percent: float, check: Check, *strategies: st.SearchStrategy[Any]) -> int:
        log.remove_other_handlers()
        tries = 0

        @wraps(check)
        def counted_check(**drawn: Any) -> None:
            nonlocal tries
            check(**drawn)
            tries += 1

        inputs = max(MIN_INPUTS, round(all_inputs * percent / 100))
        options = settings(
            derandomize=not is_long,
            deadline=None,
            # The engine is slow, not the generation of inputs.
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        with warnings.catch_warnings():
            # As an error, this warning would hide the failure of the input.
            warnings.filterwarnings("ignore", "Generating overly large repr")
            for first in range(0, inputs, RUN_INPUTS):
                run = settings(options, max_examples=min(RUN_INPUTS, inputs - first))
                run(given(*strategies)(counted_check))()
        # A check may skip some inputs.
        assert tries > inputs / 2
        return tries

    return fuzz


@pytest.fixture(params=["ours", "Django's"])
def whose(request: pytest.FixtureRequest, profile: str, settings: Settings) -> Whose:
    whose: Whose = request.param
    run_on(settings, whose, profile)
    return whose


@pytest.fixture
def on_postgresql(stores: dict[str, str], django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """As in production: each statement is a transaction, and the connection stays open."""
    url = stores["DATABASE_URL"]
    with django_db_blocker.unblock(), connected(url, CONN_MAX_AGE=None):
        with connection.cursor() as cursor:
            # The tests need not wait for the disk.
            cursor.execute("SET synchronous_commit TO off")
        existing = list(User.objects.values_list("pk", flat=True))
        yield
        User.objects.exclude(pk__in=existing).delete()


on_our_engines = pytest.mark.parametrize("whose", ["ours"], indirect=True)


@pytest.fixture
def site(whose: Whose, log: Log) -> Site:
    return Site()
