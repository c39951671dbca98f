"""An experiment as one page of HTML that needs no other file: tables, figures, settings, versions."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fxpgrad.experiments.experiment import ExperimentResult
from fxpgrad.experiments.summary import (
    SHARES,
    Group,
    Row,
    at_equal_seconds,
    gain_shares,
    group_name,
    interval_text,
    paired_differences,
    share_text,
)
from fxpgrad.figures import import_figure, svg_text

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto }
svg { max-width: 100%; height: auto }
"""
_MARKS = "osv"  # beyond ten methods


def experiment_page(result: ExperimentResult, groups: Sequence[Group]) -> str:
    """Return the page; figures are left out where matplotlib is not installed."""
    preset = result.preset
    parts = [f"<h1>{_text(preset.title)}</h1>", f"<p>{_text(preset.about)}</p>"]
    if result.tasks_left:
        parts.append(f"<p>So far: {result.tasks_left} tasks are yet to be run.</p>")
    for figure in (bars(groups), curves(result)):
        if figure is not None:
            parts.append(svg_text(figure))
    for group in groups:
        parts += [f"<h2>{_text(group.name)}</h2>", _table(group, preset.compare)]
    parts += _pairs(result, groups) + _shares_of_gain(result, groups) + _at_equal_seconds(result)
    if result.searched:
        parts += ["<h2>Learning rates, on validation tasks</h2>", _search_table(result)]
    versions: dict[str, str] = {}
    for record in result.records:
        versions |= record["versions"]
    text = json.dumps(asdict(preset), indent=1)
    parts += [
        "<h2>Settings</h2>",
        f"<p>{_text(', '.join(f'{name} {version}' for name, version in versions.items()))}</p>",
        f"<details><summary>The preset</summary><pre>{_text(text)}</pre></details>",
    ]
    head = f'<meta charset="utf-8"><title>{_text(preset.title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def bars(groups: Sequence[Group]) -> Any:
    """Return a Figure: a panel a group, a bar a method with its 95 % interval; None without matplotlib."""
    try:
        figure_class = import_figure()
    except ImportError:
        return None
    shown = groups[-1:] if len(groups) > 12 else groups
    rows = len(shown[0].rows)
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    figure = figure_class(
        figsize=(3.5 * columns + 2, (0.25 * rows + 0.7) * lines + 0.3), layout="constrained"
    )
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for panel in axes.flat[len(shown) :]:
        panel.set_axis_off()
    for panel, group in zip(axes.flat, shown, strict=False):
        halves = [100 * row.ci95 if math.isfinite(row.ci95) else 0.0 for row in group.rows]
        accuracies = [100 * row.accuracy for row in group.rows]
        panel.barh(range(rows), accuracies, xerr=halves, color="C0", alpha=0.7, ecolor="0.3")
        panel.set_yticks(range(rows), [row.title for row in group.rows], fontsize=8)
        panel.invert_yaxis()
        panel.set_title(group.name, fontsize=9)
        panel.set_xlabel("accuracy, %", fontsize=8)
        low = min(accuracies)
        panel.set_xlim(max(0.0, low - 0.3 * (max(accuracies) - low) - 2), None)
    return figure


def curves(result: ExperimentResult) -> Any:
    """Return a Figure: accuracy against forwards and CPU seconds, mean over tasks; None without matplotlib.

    A line through the points at which a method's runs were measured; a mark alone is the end of runs that
    were not. Results that do not say their CPU time are placed by the clock on the wall.
    """
    try:
        figure = import_figure()(figsize=(10, 3.8), layout="constrained")
    except ImportError:
        return None
    panels = figure.subplots(1, 2, sharey=True)
    for number, method in enumerate(result.preset.methods):
        own = [r for r in result.records if r["method"] == method.name]
        points = [
            [*r["curve"], [r["forwards_done"], r.get("cpu_seconds", r["seconds"]), r["accuracy"]]]
            for r in own
        ]
        length = min(map(len, points))
        means = [[sum(p[k - length][i] for p in points) / len(own) for k in range(length)] for i in range(3)]
        style = f"{_MARKS[number // 10 % len(_MARKS)]}-"
        for panel, x in zip(panels, means[:2], strict=True):
            panel.plot(
                x, [100 * a for a in means[2]], style, color=f"C{number % 10}", markersize=5, linewidth=1,
                clip_on=False,
                label=method.title or method.name,
            )  # fmt: skip
    timed = all("cpu_seconds" in record for record in result.records)
    for panel, label in zip(
        panels, ("forwards a sample", "CPU seconds" if timed else "seconds"), strict=True
    ):
        panel.set_xscale("symlog", linthresh=0.1)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.set_xlabel(label)
        panel.set_xlim(0, None)
    panels[0].set_ylabel("accuracy, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    return figure


def _text(value: str) -> str:
    return html.escape(value)


def _table(group: Group, compare: str) -> str:
    headers = ["method", "rate", "accuracy, %", *([f"less {compare}"] if compare else [])]
    headers += ["forwards", "seconds", "CPU seconds", "scratch, kB", "results", "stopped"]

    def cells(row: Row) -> list[str]:
        difference = [interval_text(row.difference, row.difference_ci95)] if compare else []
        scratch = "" if row.scratch_bytes is None else f"{row.scratch_bytes / 1000:.0f}"
        rate = "" if row.rate is None else f"{row.rate:g}"
        cpu = "" if row.cpu_seconds is None else f"{row.cpu_seconds:.2f}"
        numbers = [f"{row.forwards:.3g}", f"{row.seconds:.1f}", cpu, scratch]
        accuracy = interval_text(row.accuracy, row.ci95)
        return [row.title, rate, accuracy, *difference, *numbers, str(row.cells), str(row.stopped)]

    return _rendered(headers, [cells(row) for row in group.rows])


def _pairs(result: ExperimentResult, groups: Sequence[Group]) -> list[str]:
    rows = [
        [f"{row.first} less {row.second}", *map(interval_text, row.differences, row.ci95)]
        for row in paired_differences(result)
    ]
    title = "<h2>Pairs of methods, difference in points</h2>"
    return [title, _rendered(["pair", *(group.name for group in groups)], rows)] if rows else []


def _shares_of_gain(result: ExperimentResult, groups: Sequence[Group]) -> list[str]:
    found = gain_shares(result, groups)
    if not found:
        return []
    names = [group.name for group in groups[: len(found[0].shares)]]
    rows = [[row.title, *map(share_text, (*row.shares, row.mean))] for row in found]
    title = f"<h2>Share of the gain of {_text(result.preset.compare)}, %</h2>"
    return [title, _rendered(["method", *names, "mean"], rows)]


def _at_equal_seconds(result: ExperimentResult) -> list[str]:
    found = at_equal_seconds(result)
    if not found:
        return []
    rows = [[row.title, *(interval_text(a, math.inf) for a in row.accuracies)] for row in found]
    title = f"<h2>At shares of the CPU time that {_text(result.preset.compare)} takes, accuracy in %</h2>"
    return [title, _rendered(["method", *(f"{share:g}" for share in SHARES)], rows)]


def _search_table(result: ExperimentResult) -> str:
    rows = []
    for record in result.searched:
        chosen = "chosen" if result.rates[record["method"]] == record["rate"] else ""
        task = group_name(record["task"])
        rows.append(
            [record["method"], task, f"{record['rate']:g}", f"{100 * record['accuracy']:.1f}", chosen]
        )
    return _rendered(["method", "task", "rate", "accuracy, %", ""], rows)


def _rendered(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{_text(header)}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
