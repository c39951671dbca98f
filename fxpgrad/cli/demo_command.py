"""`fxpgrad demo`: the main job, on bundled data, in one command."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import click
from rich.progress import TaskProgressColumn
from rich.table import Table

from fxpgrad.cli.terminal import (
    byte_text,
    default_threads,
    json_option,
    percent,
    print_json,
    print_rich,
    progress_bar,
)
from fxpgrad.experiments.demo import DemoReport, DemoSettings, MethodResult, Sampling, run_demo

_DEFAULTS = DemoSettings()
_TRAINS = {"zero_shot": "nothing", "ff_lp": "last layer", "ff_ft": "all layers", "bp_ft": "all layers"}


@click.command("demo")
@click.option("--seed", default=_DEFAULTS.seed, show_default=True, help="Names the tasks and the directions.")
@click.option("--tasks", default=_DEFAULTS.tasks, show_default=True, help="Number of tasks.")
@click.option(
    "--threads", type=int, help="Tasks at a time; changes the time only.  [default: one per CPU, at most 8]"
)
@click.option(
    "--steps",
    type=int,
    help="Updates per task and forward-gradient method.  "
    f"[default: {_DEFAULTS.ff_lp_steps} for ff_lp, {_DEFAULTS.ff_ft_steps} for ff_ft]",
)
@click.option(
    "--sampling",
    type=click.Choice(get_args(Sampling)),
    default=_DEFAULTS.sampling,
    show_default=True,
    help="All classes of a task from one alphabet (harder), or from all evaluation alphabets.",
)
@json_option
def demo_command(
    seed: int, tasks: int, threads: int | None, steps: int | None, sampling: Sampling, as_json: bool
) -> None:
    """Learn new handwriting by integer inference alone.

    5-way 5-shot Omniglot tasks from the evaluation alphabets: a bundled 16w8a ResNet12 as it is, after
    forward gradients, and in float after backpropagation (needs torch, else a recorded run is shown).
    """
    settings = DemoSettings(seed=seed, tasks=tasks, sampling=sampling)
    if steps is not None:
        settings = dataclasses.replace(settings, ff_lp_steps=steps, ff_ft_steps=steps)
    workers = default_threads() if threads is None else threads
    with progress_bar(TaskProgressColumn()) as bar:
        task = bar.add_task("Loading (the first run compiles the kernels)", total=1.0)

        def show(share: float, done: int) -> None:
            bar.update(task, completed=share, description=f"{done} of {tasks} tasks done")

        report = run_demo(settings, workers, show)
    if as_json:
        print_json(payload_of(report))
    else:
        print_rich(_results_table(report), "", _memory_table(report), "", *_notes(report, workers))


def payload_of(report: DemoReport) -> dict[str, Any]:
    """Return the report as JSON-able data."""
    settings, source = report.settings, report.bp_ft_source
    baseline: dict[str, Any] = {"source": source.kind, **source.provenance}
    if source.reason:
        baseline["reason"] = source.reason
    return {
        "tasks": settings.tasks,
        "results": [
            {
                "method": result.method,
                "weights": result.weights,
                "activations": result.activations,
                "accuracy": result.accuracy,
                "ci95": result.ci95,
                "forwards": result.forwards,
                "weights_sha256": result.weights_sha256,
            }
            for result in report.results
        ],
        "memory": dataclasses.asdict(report.memory),
        "seconds": report.seconds,
        "settings": dataclasses.asdict(settings),
        "provenance": {"bp_ft": baseline},
    }


def _accuracy_text(result: MethodResult) -> str:
    if result.accuracy is None:
        return "not available"
    if result.ci95 is None:
        return percent(result.accuracy)
    return f"{100 * result.accuracy:.2f} ± {100 * result.ci95:.2f} %"


def _results_table(report: DemoReport) -> Table:
    settings = report.settings
    table = Table(
        title=f"{settings.tasks} {'task' if settings.tasks == 1 else 'tasks'}, "
        f"{settings.ways}-way {settings.shots}-shot, evaluation alphabets",
        title_justify="left",
    )
    for header in ("method", "trains", "weights", "activ."):
        table.add_column(header)
    table.add_column("accuracy ± CI95", justify="right")
    table.add_column("forwards/task", justify="right")
    for result in report.results:
        forwards = "" if result.forwards is None else str(result.forwards)
        if result.method == "bp_ft" and result.forwards is not None:
            forwards += " + back"
        row = (result.method, _TRAINS[result.method], result.weights, result.activations)
        style = "bold" if result.method.startswith("ff") else None
        table.add_row(*row, _accuracy_text(result), forwards, style=style)
    return table


def _memory_table(report: DemoReport) -> Table:
    memory = report.memory
    table = Table(title=f"Memory, batch of {report.settings.batch}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    ratio = memory.bp_scratch_bytes / memory.ff_scratch_bytes
    extra = memory.ff_scratch_bytes - memory.inference_arena_bytes
    rows = (
        ("integer inference", memory.inference_arena_bytes, "arena of activations"),
        ("ff_ft scratch", memory.ff_scratch_bytes, f"arena + largest layer ({byte_text(extra)})"),
        ("bp_ft scratch", memory.bp_scratch_bytes, f"activations, gradients: {ratio:.1f} × ff_ft"),
        ("network constants", memory.weights_bytes, "weights, biases, scales"),
    )
    for name, count, note in rows:
        table.add_row(name, byte_text(count), note)
    return table


def _notes(report: DemoReport, threads: int) -> list[str]:
    source, settings = report.bp_ft_source, report.settings
    provenance = ", ".join(f"{key} {value}" for key, value in source.provenance.items())
    baseline = {
        "live": f"bp_ft ran here ({provenance}).",
        "recorded": f"bp_ft is a recorded run ({provenance}); install fxpgrad[torch] to run it here.",
        "unavailable": f"bp_ft is not available: {source.reason}",
    }[source.kind]
    where = "one alphabet each" if settings.sampling == "alphabet" else "all evaluation alphabets"
    count = "1 thread" if threads == 1 else f"{threads} threads"
    return [baseline, f"Classes from {where}, seed {settings.seed}; {report.seconds:.1f} s on {count}."]
