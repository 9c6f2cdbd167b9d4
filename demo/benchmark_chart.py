"""Bars for the median times of a benchmark, on the page of the engines."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.benchmark.results import Benchmark, EngineResult
from cookieproj.engines.engine_registry import EngineRef

TITLES = {
    "plain": gettext_lazy("session left alone"),
    "read": gettext_lazy("read"),
    "write": gettext_lazy("write"),
    "sign_in": gettext_lazy("sign-in"),
    "sign_out": gettext_lazy("sign-out"),
}


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


def bars_of(measured: EngineResult, kind: str) -> list[Bar]:
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
