"""A test runner and a pytest plugin that record outcomes, in the process of a project's tests.

This file is copied to that process's path, where ``tests`` is the project's own package.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import TestCase, TextTestResult

from django.conf import settings
from django.test.runner import DiscoverRunner

# Outcomes by name of test. A test has failed if one of its subtests or phases has.
OUTCOMES: dict[str, str] = {}


def record(name: str, outcome: str) -> None:
    if OUTCOMES.get(name) != "failed":
        OUTCOMES[name] = outcome


def write() -> None:
    Path(os.environ["NEIGHBOUR_OUTCOMES"]).write_text(json.dumps(OUTCOMES))


def with_middleware(names: Iterable[str]) -> list[str]:
    """The middleware, with the tested session middleware in place of the project's."""
    tested = os.environ["NEIGHBOUR_MIDDLEWARE"]
    return [tested if name.endswith(".SessionMiddleware") else name for name in names]


class Result(TextTestResult):
    def addSuccess(self, test: TestCase) -> None:  # noqa: N802
        super().addSuccess(test)
        record(test.id(), "passed")

    def addSkip(self, test: TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        record(test.id(), "skipped")

    def addError(self, test: TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        record(test.id(), "failed")

    def addFailure(self, test: TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        record(test.id(), "failed")

    def addSubTest(self, test: TestCase, subtest: TestCase, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            record(test.id(), "failed")

    def addExpectedFailure(self, test: TestCase, err: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, err)
        record(test.id(), "passed")

    def addUnexpectedSuccess(self, test: TestCase) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        record(test.id(), "failed")


class Runner(DiscoverRunner):
    def __init__(self, **options: Any) -> None:
        # Django's runtests.py sets its middleware after the settings are read.
        settings.MIDDLEWARE = with_middleware(settings.MIDDLEWARE)
        super().__init__(**options)

    def get_resultclass(self) -> type[TextTestResult]:
        return Result

    def suite_result(self, *args: Any, **kwargs: Any) -> int:
        write()
        return super().suite_result(*args, **kwargs)


def pytest_runtest_logreport(report: Any) -> None:
    if report.when == "call" or not report.passed:
        record(report.nodeid, report.outcome)


def pytest_sessionfinish() -> None:
    write()
