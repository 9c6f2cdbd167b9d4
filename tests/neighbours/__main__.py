"""Run other projects' own tests on Django's session engine and on ours: nox -s neighbours

This writes the tables in docs/neighbours.md, which explains the comparison.
"""

import argparse
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from cookieproj.engines.constants import DJANGO_ENGINES, ENGINE_NAMES, OUR_ENGINES
from tests import figures, sdists
from tests.benchmarks.machine import machine

from .comparing import Comparison, compare, table
from .projects import NEIGHBOURS, Neighbour
from .running import DidNotRunError, run

PAGE = figures.ROOT / "docs" / "neighbours.md"
PROJECTS = [neighbour.name for neighbour in NEIGHBOURS]


def run_and_compare(neighbour: Neighbour, engine: str) -> Comparison:
    """Raises DidNotRunError."""
    if neighbour.requires:
        pip = [sys.executable, "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *neighbour.requires], check=True)
    with tempfile.TemporaryDirectory() as folder:
        source = sdists.unpacked(neighbour.requirement, Path(folder))
        djangos, ours = (
            run(neighbour, source, package, engine) for package in (DJANGO_ENGINES, OUR_ENGINES)
        )
    return compare(neighbour.name, neighbour.version, djangos, ours)


def write(engine: str, lines: list[str]) -> None:
    """Write the table of an engine into the page, with a new section if it has none."""
    name, text = f"neighbours {engine}", PAGE.read_text()
    if f"<!-- {name} -->" not in text:
        PAGE.write_text(f"{text}\n## `{engine}`\n\n<!-- {name} -->\n<!-- /{name} -->\n")
    figures.put(name, lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.neighbours")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="db")
    help_text = f"of {', '.join(PROJECTS)}; with one, the page is not written"
    parser.add_argument("names", nargs="*", metavar="project", help=help_text)
    options = parser.parse_args()
    if unknown := set(options.names) - set(PROJECTS):
        parser.error(f"no such project: {', '.join(sorted(unknown))}")
    comparisons, did_not_run = [], False
    for neighbour in NEIGHBOURS:
        if options.names and neighbour.name not in options.names:
            continue
        print(neighbour.requirement, flush=True)  # noqa: T201
        try:
            comparisons.append(run_and_compare(neighbour, options.engine))
        except DidNotRunError as error:
            did_not_run = True
            print(f"did not run: {error}")  # noqa: T201
    platform = f"cookieproj {version('cookieproj')} on {machine()}."
    lines = [*table(options.engine, comparisons), "", platform]
    print("\n".join(lines))  # noqa: T201
    if not options.names and not did_not_run:
        write(options.engine, lines)
    return int(did_not_run or any(comparison.is_worse for comparison in comparisons))


if __name__ == "__main__":
    sys.exit(main())
