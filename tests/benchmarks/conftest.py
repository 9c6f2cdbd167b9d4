"""Benchmarks: promises about time, which take minutes. They run with --benchmarks only."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec as spec
from pathlib import Path

import pytest

from tests.figures import put


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """None lets pytest decide by itself."""
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
def figures(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Callable[..., None]:
    """Print lines of Markdown, and with --figures put them where a page has marks for them."""

    def figures(name: str, lines: Iterable[str]) -> None:
        lines = list(lines)
        say("\n".join([name, *lines, ""]))
        if request.config.getoption("--figures"):
            put(name, lines)

    return figures


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure at once, whatever pytest captures."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)  # noqa: T201

    return say
