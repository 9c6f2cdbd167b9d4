"""The verdicts on this site, and the forms in which they are written."""

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _

# The modules add their requirements to the standards, in this order.
from . import (  # noqa: F401
    asvs_v3,
    asvs_v7,
    asvs_v7_ending,
    nist_cookies,
    nist_secrets,
    nist_timeouts,
)
from .requirement import (
    ASVS,
    LABELS,
    NIST,
    Finding,
    Requirement,
    Standard,
    Verdict,
    not_met,
)

STANDARDS: dict[str, Standard] = {standard.prefix: standard for standard in (ASVS, NIST)}


@dataclass(frozen=True)
class Line:
    """A requirement and the finding on this site."""

    requirement: Requirement
    finding: Finding

    @property
    def is_silenced(self) -> bool:
        """Whether the site says, by SILENCED_SYSTEM_CHECKS, that it does without."""
        return self.requirement.id in settings.SILENCED_SYSTEM_CHECKS

    @property
    def label(self) -> str:
        label = str(LABELS[self.finding.verdict])
        return _("%(verdict)s (silenced)") % {"verdict": label} if self.is_silenced else label

    @property
    def severity(self) -> int:
        """The level of its system check; 0 if it is none."""
        if self.finding.verdict is not Verdict.NOT_MET:
            return 0
        return checks.INFO if self.requirement.is_recommendation else checks.WARNING


def report(levels: dict[str, int]) -> list[Line]:
    """Judge what the standards require at these levels, by their prefixes.

    SESSION_ENGINE names an engine: Django's checks report another value.
    """
    return [
        Line(requirement, judge(requirement))
        for prefix, level in levels.items()
        for requirement in STANDARDS[prefix].at(level)
    ]


def judge(requirement: Requirement) -> Finding:
    """Return the finding: not met if a module of the site, or a wrong setting, raises an error."""
    try:
        return requirement.judge()
    except Exception as error:  # noqa: BLE001 - a module of the site may raise any
        text = _("Mend this first: %(error)s")
        return not_met(text % {"error": " ".join(f"{type(error).__name__}: {error}".split())})


def failures(lines: list[Line], severity: int) -> list[Line]:
    """Return what is not met, not silenced, and at least so severe."""
    return [line for line in lines if line.severity >= severity and not line.is_silenced]


def as_table(lines: list[Line]) -> str:
    rows = [(line.requirement.id, line.requirement.level, line.label) for line in lines]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([*map(padded, row, widths), line.finding.sentence])
        for row, line in zip(rows, lines, strict=True)
    )


def width(text: str) -> int:
    """Return how many columns of a terminal the text takes: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def as_json(lines: list[Line]) -> str:
    described: list[dict[str, Any]] = [
        {
            "id": line.requirement.id,
            "level": line.requirement.level,
            "requirement": str(line.requirement.text),
            "verdict": line.finding.verdict,
            "silenced": line.is_silenced,
            "finding": line.finding.sentence,
            "tests": line.requirement.tests,
        }
        for line in lines
    ]
    return json.dumps(described, indent=2, ensure_ascii=False)


def as_markdown(lines: list[Line]) -> str:
    tables = []
    for standard in STANDARDS.values():
        rows = [markdown_row(line) for line in lines if line.requirement in standard.requirements]
        if rows:
            heading = _("| id | level | requirement | verdict | how, or what to do | shown by |")
            tables.append(
                "\n".join([f"## {standard.name}", "", heading, "|" + " --- |" * 6, *rows])
            )
    return "\n\n".join(tables)


def markdown_row(line: Line) -> str:
    requirement = line.requirement
    tests = ", ".join(f"`{test}`" for test in requirement.tests)
    cells = [
        f"`{requirement.id}`",
        requirement.level,
        str(requirement.text),
        line.label,
        line.finding.sentence,
        tests,
    ]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


FORMATS: dict[str, Callable[[list[Line]], str]] = {
    "table": as_table,
    "json": as_json,
    "markdown": as_markdown,
}
