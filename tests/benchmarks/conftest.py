"""Benchmarks: promises about time, which take minutes. They run with --benchmarks only."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec as spec
from pathlib import Path

import pytest

from tests.sites import ROOT

PAGES = [ROOT / "README.md", ROOT / "docs" / "figures.md"]


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
        text = "".join(f"{line}\n" for line in lines)
        say(f"{name}\n{text}")
        if request.config.getoption("--figures"):
            begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
            page = next(page for page in PAGES if begin in page.read_text())
            before, _, rest = page.read_text().partition(begin)
            page.write_text(f"{before}{begin}{text}{end}{rest.partition(end)[2]}")

    return figures


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure at once, whatever pytest captures."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)  # noqa: T201

    return say
