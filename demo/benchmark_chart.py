"""The bar charts of the engines page: median times of a benchmark."""

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
    """The median time of one engine, in microseconds."""

    label: str
    microseconds: float
    is_ours: bool


@dataclass(frozen=True)
class Panel:
    """The bars of one kind of request."""

    title: str
    bars: list[Bar]


def panels(benchmark: Benchmark) -> list[Panel]:
    """Return a panel for each kind of request that was timed, with a bar for each engine."""
    candidates = (
        Panel(
            str(title),
            [bar for measured in benchmark.engines for bar in bars_of(measured, kind)],
        )
        for kind, title in TITLES.items()
    )
    return [panel for panel in candidates if panel.bars]


def bars_of(measured: EngineResult, kind: str) -> list[Bar]:
    """Return the engine's bar for this kind of request, or nothing if it was not timed."""
    cost = measured.requests.get(kind)
    if cost is None or cost.median is None:
        return []
    return [Bar(label(measured.engine), cost.median, not EngineRef(measured.engine).is_djangos)]


def label(engine_path: str) -> str:
    engine = EngineRef(engine_path)
    return _("Django's") if engine.is_djangos else engine.label


def longest_time(drawn: Sequence[Panel]) -> float:
    """Return the microseconds of the widest bar: all panels have the same scale."""
    return max((bar.microseconds for panel in drawn for bar in panel.bars), default=1.0)
