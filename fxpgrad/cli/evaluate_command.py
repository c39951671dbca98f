"""`fxpgrad evaluate`: how often a classifier is right."""

from __future__ import annotations

import click
from rich.table import Table

from fxpgrad.cli.terminal import (
    FILE_NAME,
    default_threads,
    json_option,
    load_model,
    percent,
    print_json,
    print_rich,
    profile_option,
    threads_option,
)
from fxpgrad.experiments.evaluate import Evaluation, class_count, evaluate, wilson_interval
from fxpgrad.tasks.npz_data import load_labelled


@click.command("evaluate")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--data", type=FILE_NAME, required=True, help=".npz file with x (batch first) and y (integer labels)."
)
@click.option("--real", is_flag=True, help="x holds real numbers.")
@profile_option
@threads_option
@json_option
def evaluate_command(
    model: str, data: str, real: bool, profile: str | None, threads: int | None, as_json: bool
) -> None:
    """Measure accuracy on labelled data.

    MODEL is an .fxp, .tflite or .onnx file whose first output holds one score per class.
    """
    program = load_model(model, profile)
    labelled = load_labelled(data, program, real=real, classes=class_count(program))
    result = evaluate(program, labelled.x, labelled.y, threads=threads or default_threads())
    if as_json:
        print_json(_payload(result))
        return
    table = Table(title="Accuracy", title_justify="left", show_footer=True)
    low, high = result.ci95
    footers = ("all", str(result.samples), str(result.correct), percent(result.accuracy))
    for title, footer in zip(("class", "samples", "right", "accuracy"), footers, strict=True):
        table.add_column(title, footer=footer, justify="right")
    table.add_column("95 % interval", footer=f"{percent(low)} to {percent(high)}", justify="right")
    for entry in result.per_class:
        low, high = wilson_interval(entry.correct, entry.samples)
        table.add_row(
            str(entry.label),
            str(entry.samples),
            str(entry.correct),
            percent(entry.correct / entry.samples),
            f"{percent(low)} to {percent(high)}",
        )
    print_rich(table)


def _payload(result: Evaluation) -> dict[str, object]:
    return {
        "accuracy": result.accuracy,
        "ci95": list(result.ci95),
        "n": result.samples,
        "correct": result.correct,
        "per_class": [
            {
                "label": entry.label,
                "n": entry.samples,
                "correct": entry.correct,
                "accuracy": entry.correct / entry.samples,
            }
            for entry in result.per_class
        ],
    }
