"""`fxpgrad bench`: this package against the other runtimes that are installed."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from rich.table import Table

from fxpgrad.benchmarks.candidate import OURS, Options
from fxpgrad.benchmarks.markdown import INEXACT, LARGE_TITLE, report_as_markdown, time_text
from fxpgrad.benchmarks.nets import model_files
from fxpgrad.benchmarks.peers.table import PEERS, peers_named
from fxpgrad.benchmarks.plot import plot_report
from fxpgrad.benchmarks.report import CaseResult, Report, Row, SuiteResult
from fxpgrad.benchmarks.suites import SUITES, plan_cases, run_suites, suites_named
from fxpgrad.cli.terminal import (
    FILE_NAME,
    json_option,
    print_json,
    print_rich,
    progress_bar,
    warn,
    writable_folder,
)
from fxpgrad.errors import InputError, MissingExtraError
from fxpgrad.figures import import_figure
from fxpgrad.files import write_atomically
from fxpgrad.graph.attributes import nearest

_JSON, _TABLES, _PLOT = "bench.json", "bench.md", "bench.png"
_EPILOG = "Suites: " + "; ".join(f"{suite.name}: {suite.about}" for suite in SUITES.values()) + "."


@click.command("bench", epilog=_EPILOG)
@click.argument("suites", nargs=-1)
@click.option(
    "--model", "models", multiple=True, type=FILE_NAME, help="Model file for nets and compile; repeatable."
)
@click.option(
    "--models", "folders", multiple=True, type=FILE_NAME, help="Directory: all .tflite files in it."
)
@click.option(
    "--peers",
    default=None,
    metavar="NAME,...",
    help="Libraries (litert) or variants (litert-xnnpack) to compare with; none for nothing. [default: all]",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 10_000),
    default=15,
    show_default=True,
    help="Times that each candidate is sampled, in turn.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 3600, min_open=True),
    default=0.2,
    show_default=True,
    help="Time for all samples of one candidate.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Threads for each candidate; above 1: wall times.",
)
@click.option("--only", default="", metavar="TEXT", help="Only the cases whose name holds TEXT.")
@click.option("--w16", "wide", is_flag=True, help="Layers with 16-bit weights too, in 32- and 64-bit sums.")
@click.option(
    "--out", type=FILE_NAME, help=f"Directory for {_JSON}, {_TABLES} and, with Matplotlib, {_PLOT}."
)
@json_option
def bench_command(
    suites: tuple[str, ...],
    models: tuple[str, ...],
    folders: tuple[str, ...],
    peers: str | None,
    rounds: int,
    seconds: float,
    threads: int,
    only: str,
    wide: bool,
    out: str | None,
    as_json: bool,
) -> None:
    """Measure this package against the runtimes that are installed.

    All candidates of a case take turns in one process, on CPU time. A ratio above 1 means that the base
    (fxpgrad, or a forward pass) is faster. Integer peers are first compared with exact sums at full-range
    operands. Without SUITES all are run, nets only if there are model files.
    """
    if math.isnan(seconds):  # which no range excludes
        raise InputError("--seconds must be a number above 0 and at most 3600; got nan")
    chosen = suites_named(suites)
    files = model_files(models, folders)
    if not files:
        wanting = [suite.name for suite in chosen if suite.needs_models]
        if wanting and suites:
            raise InputError(f"suite {', '.join(wanting)} needs model files: give --model or --models")
        for name in wanting:
            warn(f"suite {name} is left out: it needs model files (--model or --models)")
        chosen = tuple(suite for suite in chosen if not suite.needs_models)
    compared = PEERS if peers is None else peers_named([] if peers == "none" else peers.split(","))
    options = Options(compared, rounds, seconds, threads, files, only, wide)
    planned = plan_cases(chosen, options)
    total = sum(len(cases) for cases in planned.values())
    if not total:
        labels = [case.label for suite in chosen for case in suite.cases(options)]
        raise InputError(f"no case's name holds {only!r}{nearest(only, tuple(labels))}")
    folder = None if out is None else writable_folder(out, (_JSON, _TABLES, _PLOT))
    for note in dict.fromkeys(peer.absence for peer in compared if not peer.installed):
        warn(note)
    with progress_bar() as bar:
        task = bar.add_task("", total=total)
        started = 0

        def on_case(suite: str, case: str) -> None:
            nonlocal started
            bar.update(task, description=f"{suite}: {case}", completed=started)
            started += 1

        report = run_suites(chosen, options, on_case)
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    if folder is not None:  # after the results are out: a disk may be full by now
        _write(report, folder)
    if not report.finished:
        raise KeyboardInterrupt
    if not any(case.rows for suite in report.suites for case in suite.cases):
        raise InputError("nothing could be measured: the remarks above say why")


def _write(report: Report, folder: Path) -> None:
    text = json.dumps(report.as_json(), indent=1, allow_nan=False)
    write_atomically(folder / _JSON, text.encode())
    write_atomically(folder / _TABLES, report_as_markdown(report).encode())
    try:
        import_figure()
    except MissingExtraError as error:
        warn(str(error))
        return
    buffer = io.BytesIO()
    plot_report(report).savefig(buffer, format="png", dpi=120)
    write_atomically(folder / _PLOT, buffer.getvalue())
    click.echo(f"fxpgrad: wrote {folder}", err=True)


def _print(report: Report) -> None:
    machine = report.environment
    load = ", ".join(f"{value:g}" for value in machine.load_average) or "unknown"
    print_rich(
        f"{machine.cpu}, {machine.cores} cores, load {load}; Python {machine.python}; {machine.date}",
        ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        f"{report.rounds} rounds, {report.threads} thread(s); ratio: above 1 the base is faster",
    )
    for suite in report.suites:
        print_rich(*_tables(suite))
    if report.large_means():
        print_rich(_means_table(LARGE_TITLE, report.large_means()))
    if not report.finished:
        print_rich("interrupted: what had been measured by then")


def _tables(suite: SuiteResult) -> list[Table | str]:
    parts: list[Table | str] = []
    for case in suite.cases:
        parts.append(_table(suite.name, case) if case.rows else f"{suite.name}: {case.label}")
        parts += [f"  {name}: {value:.3g}" for name, value in case.derived.items()]
        parts += [f"  {note}" for note in case.notes]
    means = suite.geometric_means()
    if len(suite.cases) > 1 and means:
        parts.append(_means_table(f"{suite.name}: geometric means", means))
    return parts


def _means_table(title: str, means: Mapping[str, tuple[float, int]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("against")
    table.add_column("ratio", justify="right")
    table.add_column("cases", justify="right")
    for name, (mean, cases) in means.items():
        table.add_row(name, f"{mean:.2f}", str(cases))
    return table


def _table(suite: str, case: CaseResult) -> Table:
    """Return a case's table: no number is ever cut, † marks inexact numbers, details stand below."""
    table = Table(title=f"{suite}: {case.label}", title_justify="left")
    table.add_column("candidate", no_wrap=True)
    columns = [column for column in _COLUMNS if any(column[1](row) for row in case.rows)]
    for title, _ in columns:
        table.add_column(title, justify="right", no_wrap=True)
    exact = [row.name for row in case.rows if row.result == "exact"]
    details = [f"exact: {', '.join(exact)}"] if exact else []
    for row in case.rows:
        style = "bold" if row.name in (case.base, OURS) else None
        inexact = row.result.startswith("inexact")
        table.add_row(row.name + INEXACT * inexact, *(text(row) for _, text in columns), style=style)
        if row.result and row.result != "exact":
            details.append(f"{row.name}: {row.result}")
    if details:
        table.caption, table.caption_justify = "\n".join(details), "left"
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("median", lambda row: time_text(row.median_seconds)),
    ("ratio", lambda row: _number(row.ratio, ".2f")),
    ("GMAC/s", lambda row: _number(row.gmacs, ".1f")),
    ("of peak", lambda row: _number(row.peak_share, ".0%")),
    ("ns/weight", lambda row: _number(row.nanoseconds_per_unit, ".2f")),
    ("clock", lambda row: "" if row.clock == "thread" else row.clock),
)
