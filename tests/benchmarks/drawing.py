"""The charts of the documentation, all in one style."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.sites import ROOT

ACCENT, MUTED = "#9a4f12", "#b9afa2"

STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.facecolor": "#fbf9f5",
    "figure.facecolor": "#fbf9f5",
    "axes.edgecolor": "#655e55",
    "text.color": "#24211d",
}


@contextmanager
def picture(name: str, inches: tuple[float, float], caption: str) -> Iterator[Figure]:
    """Yields a figure, and then saves it as docs/``name``.svg."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=inches, layout="constrained")
        yield figure
        figure.suptitle(caption, fontsize=8)
        figure.savefig(ROOT / "docs" / f"{name}.svg", metadata={"Date": None})
