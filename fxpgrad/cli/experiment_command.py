"""`fxpgrad experiment`: a preset's methods on its tasks, with tables and one page of HTML."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import click
from rich.progress import MofNCompleteColumn
from rich.table import Table

from fxpgrad.cli.terminal import (
    FILE_NAME,
    byte_text,
    default_threads,
    json_option,
    print_json,
    print_rich,
    progress_bar,
    writable_folder,
)
from fxpgrad.errors import InputError
from fxpgrad.experiments.experiment import ExperimentResult, run_experiment
from fxpgrad.experiments.experiment_page import experiment_page
from fxpgrad.experiments.preset import load_preset, preset_names
from fxpgrad.experiments.records import Records
from fxpgrad.experiments.summary import (
    Group,
    at_equal_seconds,
    gain_shares,
    interval_text,
    paired_differences,
    summarize,
)
from fxpgrad.files import write_atomically


@click.command("experiment")
@click.argument("name", required=False)
@click.option("--list", "show_list", is_flag=True, help="List the presets.")
@click.option("--quick", is_flag=True, help="The preset's shorter form: minutes instead of hours.")
@click.option(
    "--data", type=FILE_NAME, default=".", show_default=True, help="Folder that the preset's files lie in."
)
@click.option(
    "-o",
    "--output",
    type=FILE_NAME,
    help="Folder for NAME.jsonl (every result) and NAME.html, made if need be.  [default: the current one]",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Cells that run at the same time; changes the time only.  [default: one per CPU, at most 8]",
)
@click.option(
    "--so-far", is_flag=True, help="Run nothing: tables and page of the tasks that every method has run."
)
@json_option
def experiment_command(
    name: str | None,
    show_list: bool,
    quick: bool,
    data: str,
    output: str | None,
    processes: int | None,
    so_far: bool,
    as_json: bool,
) -> None:
    """Run the experiment NAME: a preset that comes along, or a .toml file.

    Learning rates are chosen on validation tasks. Every result is a line of NAME.jsonl; run the command again
    to go on after an interruption.
    """
    if show_list or name is None:
        _show_presets(as_json)
        return
    preset = load_preset(name, quick=quick)
    if not Path(data).is_dir():
        raise InputError(f"there is no folder {data}; --data names where the preset's files lie")
    stem = preset.name + ("-quick" if quick else "")
    lines, page = (f"{stem}.jsonl", f"{stem}.html")
    folder = writable_folder(output or ".", (lines, page))
    records = Records(folder / lines)
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("Preparing", total=None)

        def show(done: int, total: int, method: str) -> None:
            bar.update(task, completed=done, total=total, description=method)

        result = run_experiment(
            preset, Path(data), records, processes=processes or default_threads(), on_cell=show, so_far=so_far
        )
    groups = summarize(result)
    write_atomically(folder / page, experiment_page(result, groups).encode())
    if as_json:
        print_json(payload_of(result, groups))
        return
    for group in groups:
        print_rich(_table(result, group), "")
    if preset.pairs:
        print_rich(_pair_table(result, groups), "")
    if result.tasks_left:
        print_rich(f"So far: {result.tasks_left} tasks are yet to be run.")
    print_rich(f"Every result: {folder / lines}; the report: {folder / page}")


def payload_of(result: ExperimentResult, groups: tuple[Group, ...]) -> dict[str, Any]:
    """Return the result as JSON-able data."""
    return {
        "preset": dataclasses.asdict(result.preset),
        "rates": result.rates,
        "tasks_left": result.tasks_left,
        "groups": [
            {"name": group.name, "rows": [_finite(dataclasses.asdict(row)) for row in group.rows]}
            for group in groups
        ],
        "pairs": [_finite(dataclasses.asdict(row)) for row in paired_differences(result)],
        "gain_shares": [dataclasses.asdict(row) for row in gain_shares(result, groups)],
        "at_equal_seconds": [dataclasses.asdict(row) for row in at_equal_seconds(result)],
        "records": list(result.records),
        "searched": list(result.searched),
    }


def _finite(value: Any) -> Any:
    """Return data for JSON: None for what is infinite (an interval of fewer than three values)."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _show_presets(as_json: bool) -> None:
    presets = [load_preset(name) for name in preset_names()]
    if as_json:
        print_json({"presets": [{"name": p.name, "title": p.title, "about": p.about} for p in presets]})
        return
    table = Table(show_header=False)
    for preset in presets:
        table.add_row(preset.name, preset.title)
    print_rich(table)


def _pair_table(result: ExperimentResult, groups: tuple[Group, ...]) -> Table:
    """Return the paired differences, a line for each pair and group: groups can be too many for columns."""
    table = Table(title=f"{result.preset.title}: pairs, difference in points", title_justify="left")
    for header in ("method", "less", "tasks"):
        table.add_column(header)
    table.add_column("points", justify="right", no_wrap=True)
    for row in paired_differences(result):
        for group, difference, half in zip(groups, row.differences, row.ci95, strict=True):
            table.add_row(row.first, row.second, group.name, interval_text(difference, half))
    return table


def _table(result: ExperimentResult, group: Group) -> Table:
    table = Table(title=f"{result.preset.title}: {group.name}", title_justify="left")
    table.add_column("method")
    compare = result.preset.compare
    headers = [
        "rate",
        "accuracy %",
        *([f"less {compare}"] if compare else []),
        "forwards",
        "s",
        "scratch",
        "n",
    ]
    for header in headers:
        table.add_column(header, justify="right")
    for row in group.rows:
        cells = [
            row.title,
            "" if row.rate is None else f"{row.rate:g}",
            interval_text(row.accuracy, row.ci95),
        ]
        if compare:
            cells.append(interval_text(row.difference, row.difference_ci95))
        stopped = f" ({row.stopped} stopped)" if row.stopped else ""
        scratch = "" if row.scratch_bytes is None else byte_text(row.scratch_bytes)
        cells += [f"{row.forwards:.3g}", f"{row.seconds:.1f}", scratch, f"{row.cells}{stopped}"]
        table.add_row(*cells)
    return table
