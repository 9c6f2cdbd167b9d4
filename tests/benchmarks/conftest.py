"""Benchmarks take minutes, and run only with --benchmarks."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec as spec
from pathlib import Path

import pytest

from tests.figures import put


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore these tests without --benchmarks. ``None`` leaves the decision to pytest."""
    if not config.getoption("--benchmarks"):
        return True
    missing = [name for name in ("flask_session", "matplotlib", "starsessions") if not spec(name)]
    if missing:
        raise pytest.UsageError(
            f"The benchmarks need {', '.join(missing)}: "
            "python3 scripts/environment.py tests/benchmarks/requirements.txt"
        )
    return None


@pytest.fixture
def figures(
    request: pytest.FixtureRequest, print_line: Callable[[str], None]
) -> Callable[..., None]:
    """Prints lines of Markdown, and with --figures writes them into the documentation."""

    def figures(name: str, lines: Iterable[str]) -> None:
        lines = list(lines)
        print_line("\n".join([name, *lines, ""]))
        if request.config.getoption("--figures"):
            put(name, lines)

    return figures


@pytest.fixture
def print_line(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints at once, even if pytest captures output."""

    def print_line(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)  # noqa: T201

    return print_line
