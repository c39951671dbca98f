"""`fxpgrad check`: what an accumulator of fewer bits would do to a model."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
from rich.table import Table

from fxpgrad.cli.terminal import (
    FILE_NAME,
    json_option,
    load_model,
    percent,
    print_json,
    print_rich,
    profile_option,
    progress_bar,
    warn,
)
from fxpgrad.errors import InputError
from fxpgrad.experiments.accumulators import (
    ACCUMULATOR_BITS,
    AccumulatorCheck,
    check_accumulators,
    uncovered,
)
from fxpgrad.experiments.evaluate import class_count
from fxpgrad.program.layer_names import short_name
from fxpgrad.tasks.npz_data import LabelledData, load_labelled


@click.command("check")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--accumulator-bits",
    "bits",
    type=click.Choice([str(bits) for bits in ACCUMULATOR_BITS]),
    default="32",
    show_default=True,
    help="Width of the accumulator.",
)
@click.option(
    "--on-overflow",
    type=click.Choice(["wrap", "saturate"]),
    default="wrap",
    show_default=True,
    help="What a sum does that leaves it, at every addition.",
)
@click.option("--data", type=FILE_NAME, help=".npz file with x (batch first) and y (integer labels).")
@click.option("--real", is_flag=True, help="x holds real numbers.")
@profile_option
@json_option
def check_command(
    model: str,
    bits: str,
    on_overflow: Any,
    data: str | None,
    real: bool,
    profile: str | None,
    as_json: bool,
) -> None:
    """Prove which layers of a model fit a narrow accumulator, and count overflows on data.

    MODEL is an .fxp, .tflite or .onnx file. Without --data only the proofs are made. With it the narrow
    accumulator is emulated exactly, addition by addition. Exit code 0: no sum can leave, or none did;
    1: some sums left.
    """
    program = load_model(model, profile)
    labelled: LabelledData | None = None
    if data is not None:
        labelled = load_labelled(data, program, real=real, classes=class_count(program))
    elif real:
        raise InputError("--real says what x in the data holds; give --data too")
    with progress_bar() as bar:
        task = bar.add_task(program.name, total=0 if labelled is None else len(labelled.x))
        result = check_accumulators(
            program,
            None if labelled is None else labelled.x,
            int(bits),
            on_overflow,
            progress=lambda count: bar.advance(task, count),
        )
    if uncovered(program):
        warn(f"not checked, for want of a narrow form: {', '.join(uncovered(program))}")
    correct = None if labelled is None else result.correct(labelled.y)
    if as_json:
        print_json(_payload(result, correct))
    else:
        print_rich(_table(result), *_summary(result, correct))
    left = sum(not layer.fits for layer in result.layers) if labelled is None else _overflowed(result)
    raise SystemExit(1 if left else 0)


def _overflowed(result: AccumulatorCheck) -> int:
    return sum(layer.overflowed_elements for layer in result.layers)


def _payload(result: AccumulatorCheck, correct: tuple[int, int] | None) -> dict[str, Any]:
    return {
        "accumulator_bits": result.bits,
        "on_overflow": result.on_overflow,
        "layers": [dataclasses.asdict(layer) for layer in result.layers],
        "samples": result.rows,
        "differing_samples": result.differing_rows,
        "correct": None if correct is None else {"exact": correct[0], "narrow": correct[1]},
    }


def _table(result: AccumulatorCheck) -> Table:
    table = Table(title=f"accumulators of {result.bits} bits that {result.on_overflow}", title_justify="left")
    table.add_column("layer", overflow="fold")
    for title in ("bits proved", "fits"):
        table.add_column(title, justify="right")
    if result.rows:
        for title in ("largest sum", "outputs", "overflowed", "additions"):
            table.add_column(title, justify="right")
    for layer in result.layers:
        row = [short_name(layer.call), str(layer.proved_bits), "yes" if layer.fits else "no"]
        if result.rows:
            counts = (layer.largest, layer.elements, layer.overflowed_elements, layer.overflows)
            row += [f"{count:,}" for count in counts]
        table.add_row(*row)
    return table


def _summary(result: AccumulatorCheck, correct: tuple[int, int] | None) -> list[str]:
    fits = sum(layer.fits for layer in result.layers)
    lines = [f"{fits} of {len(result.layers)} layers cannot overflow {result.bits} bits, whatever the input"]
    if correct is not None:
        exact, narrow = (percent(count / result.rows) for count in correct)
        lines.append(
            f"{result.differing_rows} of {result.rows} outputs differ; right: {exact} without a limit, "
            f"{narrow} with {result.bits} bits"
        )
    return lines
