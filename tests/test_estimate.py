"""docs/hundred-million.md is computed from docs/figures.md; ``--figures`` writes its table."""

import pytest

from .estimate import claims, measured, needs
from .figures import ROOT, put


def page() -> str:
    return (ROOT / "docs" / "hundred-million.md").read_text()


def test_table_is_computed_from_the_figures(pytestconfig: pytest.Config) -> None:
    lines = list(needs(measured()))
    if pytestconfig.getoption("--figures"):
        put("needs", lines)
    written = page().partition("<!-- needs -->\n")[2].partition("<!-- /needs -->")[0]
    assert written.splitlines() == lines


@pytest.mark.parametrize("number", range(6))
def test_statement_is_computed_from_the_figures(number: int) -> None:
    claim = list(claims(measured()))[number]
    # The page's lines are wrapped anywhere.
    assert claim in " ".join(page().split())
