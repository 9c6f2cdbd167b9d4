"""What a neighbour's own process loads: a test runner, or a plugin of pytest, that notes outcomes.

It stands alone on that process's path, where ``tests`` is the neighbour's package.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import TestCase, TextTestResult

from django.conf import settings
from django.test.runner import DiscoverRunner

# Outcomes by name of test. One that failed in any of its parts has failed.
OUTCOMES: dict[str, str] = {}


def note(name: str, outcome: str) -> None:
    if OUTCOMES.get(name) != "failed":
        OUTCOMES[name] = outcome


def write() -> None:
    Path(os.environ["NEIGHBOUR_OUTCOMES"]).write_text(json.dumps(OUTCOMES))


def with_middleware(named: Iterable[str]) -> list[str]:
    """Those, with the one to be tested in the place of the session middleware that they name."""
    tested = os.environ["NEIGHBOUR_MIDDLEWARE"]
    return [tested if name.endswith(".SessionMiddleware") else name for name in named]


class Result(TextTestResult):
    def addSuccess(self, test: TestCase) -> None:  # noqa: N802
        super().addSuccess(test)
        note(test.id(), "passed")

    def addSkip(self, test: TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        note(test.id(), "skipped")

    def addError(self, test: TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        note(test.id(), "failed")

    def addFailure(self, test: TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        note(test.id(), "failed")

    def addSubTest(self, test: TestCase, subtest: TestCase, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            note(test.id(), "failed")

    def addExpectedFailure(self, test: TestCase, err: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, err)
        note(test.id(), "passed")

    def addUnexpectedSuccess(self, test: TestCase) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        note(test.id(), "failed")


class Runner(DiscoverRunner):
    def __init__(self, **options: Any) -> None:
        # Django's runtests.py names its middleware itself, after the settings are read.
        settings.MIDDLEWARE = with_middleware(settings.MIDDLEWARE)
        super().__init__(**options)

    def get_resultclass(self) -> type[TextTestResult]:
        return Result

    def suite_result(self, *args: Any, **kwargs: Any) -> int:
        write()
        return super().suite_result(*args, **kwargs)


def pytest_runtest_logreport(report: Any) -> None:
    if report.when == "call" or not report.passed:
        note(report.nodeid, report.outcome)


def pytest_sessionfinish() -> None:
    write()
