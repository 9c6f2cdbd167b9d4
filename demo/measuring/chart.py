"""Bars for the median times of a benchmark: on the page of the engines, and as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.registry import EngineRef

from .results import Benchmark, Measured

TITLES = {
    "plain": gettext_lazy("session left alone"),
    "read": gettext_lazy("read"),
    "write": gettext_lazy("write"),
    "sign_in": gettext_lazy("sign-in"),
    "sign_out": gettext_lazy("sign-out"),
}

# Pixels of the picture.
COLUMNS = 2
PANEL = 490
LABEL = 180
BAR = 220
ROW = 22
HEAD = 44
MARGIN = 24


@dataclass(frozen=True)
class Bar:
    label: str
    microseconds: float
    is_ours: bool


@dataclass(frozen=True)
class Panel:
    """The bars of one kind of request."""

    title: str
    bars: list[Bar]


def panels(made: Benchmark) -> list[Panel]:
    """By kind of request, each engine that was timed."""
    found = (
        Panel(str(title), [bar for each in made.engines for bar in bars_of(each, kind)])
        for kind, title in TITLES.items()
    )
    return [panel for panel in found if panel.bars]


def bars_of(measured: Measured, kind: str) -> list[Bar]:
    cost = measured.requests.get(kind)
    if cost is None or cost.median is None:
        return []
    return [Bar(label(measured.engine), cost.median, not EngineRef(measured.engine).is_djangos)]


def label(engine: str) -> str:
    found = EngineRef(engine)
    return _("Django's") if found.is_djangos else found.label


def longest(drawn: Sequence[Panel]) -> float:
    """What the widest bar stands for: all panels are to one scale."""
    return max((bar.microseconds for panel in drawn for bar in panel.bars), default=1.0)


def picture(drawn: Sequence[Panel], caption: str) -> dict[str, Any]:
    """What the template benchmark.svg draws: panels in columns, the caption below."""
    scale = BAR / longest(drawn)
    top, placed = MARGIN, []
    for start in range(0, len(drawn), COLUMNS):
        row = drawn[start : start + COLUMNS]
        placed += [
            {
                "title": panel.title,
                "x": MARGIN + PANEL * column,
                "y": top,
                "bars": [
                    {
                        "label": bar.label,
                        "is_ours": bar.is_ours,
                        "y": HEAD + ROW * number,
                        "width": round(bar.microseconds * scale, 1),
                        "value": LABEL + round(bar.microseconds * scale, 1) + 8,
                        "microseconds": bar.microseconds,
                    }
                    for number, bar in enumerate(panel.bars)
                ],
            }
            for column, panel in enumerate(row)
        ]
        top += HEAD + ROW * max(len(panel.bars) for panel in row) + MARGIN
    return {
        "panels": placed,
        "caption": caption,
        "left": MARGIN,
        "label": LABEL - 10,
        "bar_left": LABEL,
        "baseline": top,
        "width": 2 * MARGIN + PANEL * min(COLUMNS, len(drawn)),
        "height": top + MARGIN,
    }


def picture_of(made: Benchmark) -> dict[str, Any]:
    caption = _("Median microseconds of a request. %(where)s.") % {"where": made.where}
    return picture(panels(made), caption)
