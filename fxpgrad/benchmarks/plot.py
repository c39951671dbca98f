"""The figure of a run: for each candidate a dot a case and a bar at their mean, on one axis of ratios."""

from __future__ import annotations

from typing import Any

from fxpgrad.benchmarks.candidate import PEAK
from fxpgrad.benchmarks.report import Report, SuiteResult
from fxpgrad.benchmarks.statistics import geometric_mean
from fxpgrad.figures import import_figure

_LINE, _EXTRA = 0.2, 0.9  # inches
_WIDTH = 9.0
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
# The library's colour, by the beginning of a candidate's name; what is compared with itself is grey.
_COLOURS = {"litert": "C0", "onnxruntime": "C1", "torch": "C2", "numpy": "C4", "tflm": "C5", "fxpgrad": "C3"}
_OWN = "0.35"


def plot_report(report: Report) -> Any:
    """Return a Figure with one panel a suite; right of the line at 1 the base is faster."""
    found = [(suite, _ratios(suite)) for suite in report.suites]
    panels = [(suite, ratios) for suite, ratios in found if ratios]
    heights = [_EXTRA + _LINE * len(ratios) for _, ratios in panels]
    figure = import_figure()(figsize=(_WIDTH, sum(heights, 0.6)), layout="constrained")
    figure.suptitle(f"{report.environment.cpu}, {report.threads} thread(s), {report.environment.date}")
    if panels:
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for panel, (suite, ratios) in zip(axes[:, 0], panels, strict=True):
            _draw(panel, suite.name, ratios)
    return figure


def _ratios(suite: SuiteResult) -> dict[str, list[tuple[float, bool]]]:
    """Return (ratio, inexact) of every case by candidate, the base and the peak left out."""
    found: dict[str, list[tuple[float, bool]]] = {}
    for case in suite.cases:
        for row in case.rows:
            if row.ratio is not None and row.name not in (case.base, PEAK):
                found.setdefault(row.name, []).append((row.ratio, row.result.startswith("inexact")))
    return found


def _draw(panel: Any, title: str, ratios: dict[str, list[tuple[float, bool]]]) -> None:
    low = min(ratio for pairs in ratios.values() for ratio, _ in pairs)
    high = max(ratio for pairs in ratios.values() for ratio, _ in pairs)
    for at, (name, pairs) in enumerate(ratios.items()):
        colour = next((c for start, c in _COLOURS.items() if name.startswith(start)), _OWN)
        mean = geometric_mean([ratio for ratio, _ in pairs])
        panel.plot([1.0, mean], [at, at], color=colour, linewidth=5, alpha=0.4, solid_capstyle="butt")
        for inexact in (False, True):
            dots = [ratio for ratio, wrong in pairs if wrong == inexact]
            face = "white" if inexact else colour
            panel.plot(dots, [at] * len(dots), "o", color=colour, markerfacecolor=face, markersize=4)
    panel.axvline(1.0, color="black", linewidth=1)
    panel.set_xscale("log")
    panel.set_xlim(min(low, 0.9) / 1.15, max(high, 1.1) * 1.15)
    ticks = [tick for tick in _TICKS if min(low, 0.9) / 1.15 <= tick <= max(high, 1.1) * 1.15]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.set_xticks([], minor=True)
    panel.set_yticks(range(len(ratios)), list(ratios))
    panel.grid(axis="x", color="0.9")
    panel.set_ylim(len(ratios) - 0.5, -0.5)
    panel.set_title(title)
    panel.set_xlabel("time over the base's; a dot a case (open: inexact), a bar to the geometric mean")
