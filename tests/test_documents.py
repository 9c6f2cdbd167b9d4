"""What the documents name is there."""

import ast
import re
from pathlib import Path

import pytest

from .sites import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMED = {
    f"{document.name}: {named}"
    for document in DOCUMENTS
    for named in re.findall(r"`(tests/[\w/.]+(?:::\w+)?)`", document.read_text())
}


@pytest.mark.parametrize("named", sorted(NAMED))
def test_a_test_that_is_named_is_there(named: str) -> None:
    path, _, test = named.partition(": ")[2].partition("::")
    assert (ROOT / path).exists()
    if test:
        tree = ast.parse((ROOT / path).read_text())
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


READ = {
    name
    for module in (ROOT / "cookieproj" / "settings").glob("*.py")
    for name in re.findall(
        r'(?:env\.\w+|hosts|is_on|names|whole_number)\(\s*"(\w+)"', module.read_text()
    )
} | {"SESSION_PROFILE"}


def test_the_document_has_every_variable_that_is_read() -> None:
    rows = re.findall(
        r"^\| (`[^|]+) \|", (ROOT / "docs" / "variables.md").read_text(), re.MULTILINE
    )
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == READ


def test_scripts_test_goes_by_none_of_them() -> None:
    """What is tested is the project, not the settings of whoever runs this."""
    command = re.search(
        r"^unset (.*?[^\\])\n", (ROOT / "scripts" / "test").read_text(), re.MULTILINE | re.DOTALL
    )
    assert command
    assert set(command[1].split()) >= READ


def test_the_example_of_a_store_is_the_one_that_keeps_the_promises() -> None:
    document = (ROOT / "docs" / "stores.md").read_text()
    assert f"```python\n{(ROOT / 'tests' / 'engines' / 'example.py').read_text()}```" in document
