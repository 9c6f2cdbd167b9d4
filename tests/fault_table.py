"""The table of faults and attacks: each with its tries, and how many of them lost something."""

from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from . import figures

Whose = Literal["ours", "Django's"]
Tally = Callable[[str, Whose, int, int], None]

WHOSE: tuple[Whose, Whose] = ("ours", "Django's")

# Tries, and how many of them lost something, by row of the table and by whose engine it is.
Rows = dict[str, dict[Whose, tuple[int, int]]]
ROWS = pytest.StashKey[Rows]()


@pytest.fixture
def tally(pytestconfig: pytest.Config) -> Tally:
    """Adds tries to a row of the table, and how many of them lost data or signed somebody in.

    ``tally("Redis killed under load, cached_db", "ours", 4000, 0)``. Several calls for one row are
    added up.
    """

    def tally(name: str, whose: Whose, tries: int, lost: int) -> None:
        row = pytestconfig.stash.setdefault(ROWS, {}).setdefault(name, {})
        tries_before, lost_before = row.get(whose, (0, 0))
        row[whose] = tries_before + tries, lost_before + lost

    return tally


def table(rows: Rows) -> Iterator[str]:
    """The table in Markdown."""
    yield "| fault or attack | ours: lost of tries | Django's: lost of tries |"
    yield "| --- | --- | --- |"
    for name, row in rows.items():
        cells = ("{1:,} of {0:,}".format(*row[whose]) if whose in row else "" for whose in WHOSE)
        yield f"| {name} | {' | '.join(cells)} |"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table. Rows of xdist workers are not collected."""
    rows = config.stash.get(ROWS, None)
    if rows:
        lines = list(table(rows))
        terminalreporter.section("faults and attacks")
        terminalreporter.write_line("\n".join(lines))
        if config.getoption("--figures"):
            figures.put("held", lines)
