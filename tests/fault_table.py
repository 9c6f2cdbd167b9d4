"""The table of faults and attacks: what was tried, how often, and how often something was lost."""

from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from . import figures

Whose = Literal["ours", "Django's"]
Held = Callable[[str, Whose, int, int], None]

WHOSE: tuple[Whose, Whose] = ("ours", "Django's")

# Tries, and how many of them lost something: by what was tried, and on whose engine.
Rows = dict[str, dict[Whose, tuple[int, int]]]
ROWS = pytest.StashKey[Rows]()


@pytest.fixture
def held(pytestconfig: pytest.Config) -> Held:
    """Note tries, and how many of them lost something or let somebody in.

    ``held("Redis is killed under load, cached_db", "ours", 4000, 0)``. What is noted more than
    once, for one engine after the other say, is added up.
    """

    def held(what: str, whose: Whose, tries: int, lost: int) -> None:
        row = pytestconfig.stash.setdefault(ROWS, {}).setdefault(what, {})
        tries_before, lost_before = row.get(whose, (0, 0))
        row[whose] = tries_before + tries, lost_before + lost

    return held


def table(rows: Rows) -> Iterator[str]:
    """A line of Markdown each."""
    yield "| fault or attack | ours: lost of tries | Django's: lost of tries |"
    yield "| --- | --- | --- |"
    for what, row in rows.items():
        cells = ("{1:,} of {0:,}".format(*row[whose]) if whose in row else "" for whose in WHOSE)
        yield f"| {what} | {' | '.join(cells)} |"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Of a run in one process; the workers of another keep theirs to themselves."""
    rows = config.stash.get(ROWS, None)
    if rows:
        lines = list(table(rows))
        terminalreporter.section("what held")
        terminalreporter.write_line("\n".join(lines))
        if config.getoption("--figures"):
            figures.put("held", lines)
