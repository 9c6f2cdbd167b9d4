"""Benchmarks: promises about time, which take minutes. They run with --benchmarks only."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.sites import ROOT

README = ROOT / "README.md"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """None lets pytest decide by itself."""
    return None if config.getoption("--benchmarks") else True


@pytest.fixture
def figures(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Callable[..., None]:
    """Print lines of Markdown, and with --figures put them into README, between their marks."""

    def figures(name: str, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        say(f"{name}\n{text}")
        if request.config.getoption("--figures"):
            begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
            before, _, rest = README.read_text().partition(begin)
            _, _, after = rest.partition(end)
            assert after, f"README.md has no marks for {name}"
            README.write_text(f"{before}{begin}{text}{end}{after}")

    return figures


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure at once, whatever pytest captures."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)  # noqa: T201

    return say
