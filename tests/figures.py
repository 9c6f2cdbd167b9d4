"""Writes the figures of tests into the documentation, for --figures."""

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent

PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


def put(name: str, lines: Iterable[str]) -> None:
    """Replace the lines between the marks of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    page = next(page for page in PAGES if begin in page.read_text())
    before, _, rest = page.read_text().partition(begin)
    text = "".join(f"{line}\n" for line in lines)
    page.write_text(f"{before}{begin}{text}{end}{rest.partition(end)[2]}")
