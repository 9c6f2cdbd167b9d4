"""Benchmarks: promises about time, which take minutes. They run with --benchmarks only."""

from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """None lets pytest decide by itself."""
    return None if config.getoption("--benchmarks") else True


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure at once, whatever pytest captures."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)  # noqa: T201

    return say
