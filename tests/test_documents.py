"""The documents name existing tests, files, variables and code."""

import ast
import re
from pathlib import Path

import pytest

from .sites import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
REFERENCES = {
    f"{document.name}: {reference}"
    for document in DOCUMENTS
    for reference in re.findall(r"`(tests/[\w/.]+(?:::\w+)?)`", document.read_text())
}


@pytest.mark.parametrize("reference", sorted(REFERENCES))
def test_referenced_test_exists(reference: str) -> None:
    path, _, test = reference.partition(": ")[2].partition("::")
    assert (ROOT / path).exists()
    if test:
        tree = ast.parse((ROOT / path).read_text())
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_relative_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


# The environment variables that the settings read.
VARIABLES = {
    name
    for module in (ROOT / "cookieproj" / "settings").glob("*.py")
    for name in re.findall(
        r'(?:env\.\w+|hosts|is_on|names|whole_number)\(\s*"(\w+)"', module.read_text()
    )
} | {"SESSION_PROFILE"}


def test_every_variable_is_documented() -> None:
    rows = re.findall(
        r"^\| (`[^|]+) \|", (ROOT / "docs" / "variables.md").read_text(), re.MULTILINE
    )
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == VARIABLES


def test_scripts_test_unsets_every_variable() -> None:
    """The tests are independent of the environment of the developer."""
    command = re.search(
        r"^unset (.*?[^\\])\n", (ROOT / "scripts" / "test").read_text(), re.MULTILINE | re.DOTALL
    )
    assert command
    assert set(command[1].split()) >= VARIABLES


def test_documented_example_of_a_store_is_the_tested_one() -> None:
    document = (ROOT / "docs" / "stores.md").read_text()
    assert f"```python\n{(ROOT / 'tests' / 'engines' / 'example.py').read_text()}```" in document
