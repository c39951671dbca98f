"""The figure of a run: every ratio as a bar, with a line where both are equally fast."""

from __future__ import annotations

from typing import Any

from fxpgrad.benchmarks.report import CaseResult, Report, SuiteResult
from fxpgrad.errors import MissingExtraError

_BAR, _CASE_GAP = 0.2, 0.25  # inches
_WIDTH = 9.0


def import_figure() -> Any:
    """Return Matplotlib's Figure class, or say how to get it."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError('the plot needs Matplotlib: pip install "fxpgrad[bench]"') from error
    return Figure


def plot_report(report: Report) -> Any:
    """Return a Figure with one panel a suite; bars right of the line mean that the base is faster."""
    suites = [suite for suite in report.suites if any(_bars(case) for case in suite.cases)]
    heights = [max(1.5, sum(_BAR * len(_bars(case)) + _CASE_GAP for case in s.cases)) for s in suites]
    figure = import_figure()(figsize=(_WIDTH, sum(heights, 1.0)), layout="constrained")
    figure.suptitle(f"{report.environment.cpu}, {report.threads} thread(s), {report.environment.date}")
    if suites:
        panels = figure.subplots(len(suites), 1, squeeze=False, height_ratios=heights)
        for panel, suite in zip(panels[:, 0], suites, strict=True):
            _draw(panel, suite)
    return figure


def _bars(case: CaseResult) -> list[tuple[str, float, bool]]:
    """Return (name, ratio, inexact) of everything but the base."""
    return [
        (row.name, row.ratio, row.result.startswith("inexact"))
        for row in case.rows
        if row.ratio is not None and row.name != case.base
    ]


def _draw(panel: Any, suite: SuiteResult) -> None:
    at, ticks, labels = 0.0, [], []
    names = list(dict.fromkeys(name for case in suite.cases for name, _, _ in _bars(case)))
    seen: set[str] = set()
    for case in suite.cases:
        bars = _bars(case)
        if not bars:
            continue
        ticks.append(at + _BAR * (len(bars) - 1) / 2)
        labels.append(case.label)
        for name, ratio, inexact in bars:
            panel.barh(
                at,
                ratio,
                height=0.9 * _BAR,
                color=f"C{names.index(name) % 10}",
                alpha=0.45 if inexact else 1.0,
                hatch="//" if inexact else None,
                label=None if name in seen else name,
            )
            seen.add(name)
            at += _BAR
        at += _CASE_GAP
    panel.axvline(1.0, color="black", linewidth=1)
    panel.set_xscale("log")
    panel.set_yticks(ticks, labels)
    panel.margins(y=0.01)
    panel.invert_yaxis()
    panel.set_title(suite.name)
    panel.set_xlabel("time over the base's (hatched: inexact)")
    panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
