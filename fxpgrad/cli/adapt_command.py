"""`fxpgrad adapt`: train a model on one's own labelled data by forward gradients."""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click
from rich.progress import MofNCompleteColumn, TextColumn

from fxpgrad.cli.adapt_report import payload_of, table_of
from fxpgrad.cli.terminal import (
    FILE_NAME,
    json_option,
    load_model,
    print_json,
    print_rich,
    profile_option,
    progress_bar,
    require_writable,
    warn,
)
from fxpgrad.errors import InputError, TrainingError
from fxpgrad.experiments.adapt import (
    AdaptedProgram,
    HeadChoice,
    adapt,
    affords_window,
    choose_head,
    unwritable_constants,
    written_tflite,
)
from fxpgrad.experiments.evaluate import evaluate
from fxpgrad.experiments.methods import (
    METHODS,
    MOST_FORWARDS,
    MethodName,
    batch_of,
    default_method,
    default_steps,
    steps_of,
)
from fxpgrad.files import write_atomically
from fxpgrad.importers.model_file import file_kind, read_model
from fxpgrad.program.program import Program
from fxpgrad.program.store import save
from fxpgrad.tasks.npz_data import LabelledData, load_labelled, load_samples
from fxpgrad.trainer.config import DistributionName, FormName, RoundingName, TrainerConfig
from fxpgrad.trainer.report import StepReport

_METHODS = "; ".join(f"{name}: {method.about}" for name, method in METHODS.items())
_AFTER_ALIGNMENT: dict[str, Any] = {"learning_rate": 1e-3, "head_rate": 3.0}
_OF_PROBES = {
    "epsilon": "--epsilon",
    "learning_rate": "--learning-rate",
    "num_directions": "--directions",
    "distribution": "--distribution",
    "form": "--form",
}


def _default(field: str) -> str:
    """Return help text for a default that depends on the method."""
    values = {name: getattr(method.config, field) for name, method in METHODS.items()}
    if len(set(values.values())) == 1:
        return f"[default: {values['affine']}]"
    return f"[default: {', '.join(f'{value} for {name}' for name, value in values.items())}]"


@click.command("adapt")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--data", type=FILE_NAME, required=True, help=".npz file with x (batch first) and y (integer labels)."
)
@click.option(
    "-o",
    "--output",
    type=FILE_NAME,
    required=True,
    help=".fxp file to write; or .tflite, for a .tflite MODEL: the same file with the trained values in it.",
)
@click.option("--real", is_flag=True, help="x holds real numbers.")
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    help=f"What is trained, and how. {_METHODS}.  [default: affine if all weights are int8, else ff_lp]",
)
@click.option(
    "--forwards",
    type=float,
    help="Budget: inferences for each sample of the data.  [default: 20 for affine]",
)
@click.option(
    "--steps",
    type=int,
    help="Number of updates, instead of a budget.  [default: 300 for exact_lp, 60 for ff_lp, 30 for ff_ft]",
)
@click.option(
    "--epsilon",
    type=float,
    help="Size of a probe, relative for affine, else in real weight units.  [default for affine: measured as "
    f"by probe, where that takes at most a tenth of the budget; else {_default('epsilon')}]",
)
@click.option(
    "--learning-rate", type=float, help=f"Size of a step, in the same units. {_default('learning_rate')}"
)
@click.option(
    "--head-rate",
    type=float,
    help="Size of a step of the exact head, in units of a safe one.  [default: found by runs of the head "
    "alone, on at least 100 samples that a tenth of the budget pays for; else 1]",
)
@click.option(
    "--directions",
    "num_directions",
    type=int,
    help="Directions per step, for ff_lp and ff_ft; affine has one a sample.  [default: 3]",
)
@click.option(
    "--distribution",
    type=click.Choice(get_args(DistributionName)),
    help=f"Of the directions. {_default('distribution')}",
)
@click.option(
    "--rounding",
    type=click.Choice(get_args(RoundingName)),
    help=f"Of updates to whole weight steps. {_default('rounding')}",
)
@click.option(
    "--form",
    type=click.Choice(get_args(FormName)),
    help=f"The paper's constants or the exact 1/32. {_default('form')}",
)
@click.option("--batch", type=int, help="Samples per step.  [default: all, but at most 50]")
@click.option("--seed", default=0, show_default=True, help="Names every direction and rounding of the run.")
@click.option(
    "--head",
    type=click.Choice(get_args(HeadChoice)),
    default="auto",
    show_default=True,
    help="Train the model's own last layer, or a prototype classifier put on its features.",
)
@click.option(
    "--like",
    type=FILE_NAME,
    help=".npz file (x) with samples of what the model was made for, without labels: biases and "
    "multipliers are aligned first, so that layers put out for the data what they put out for these. The "
    "learning rate of affine is then 1e-3, its head's, where it is not found, 3.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads that share the passes of a step, each with scratch of its own; changes the time only.",
)
@click.option(
    "--paired",
    is_flag=True,
    help="Run both passes of a direction side by side: less time where weights are many and samples few, "
    "twice the scratch, the same result.",
)
@click.option(
    "--rows",
    "rows_at_once",
    type=click.IntRange(min=1),
    help="Samples of one inference, a divisor of the batch: fewer need less scratch and more time, and give "
    "the same result.  [default: all that a direction sees]",
)
@profile_option
@json_option
def adapt_command(
    model: str,
    data: str,
    output: str,
    real: bool,
    method: MethodName | None,
    forwards: float | None,
    steps: int | None,
    batch: int | None,
    head: HeadChoice,
    like: str | None,
    threads: int,
    paired: bool,
    rows_at_once: int | None,
    profile: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Train a model on labelled data.

    MODEL is an .fxp, .tflite or .onnx file. Nothing but integer inference is used. A .tflite file can be
    written back: a runtime that gives the profile's bits gives those of the adapted model too.
    """
    program = load_model(model, profile)
    require_writable(output)
    content = _content_to_patch(model, output, program, head)
    method = method or default_method(program)
    given = {name: value for name, value in chosen.items() if value is not None}
    config = _config(method, given, aligned=like is not None)
    linear = choose_head(program, head) == "linear"
    classes = program.tensors[program.outputs[0]].shape[-1] if linear else None
    labelled = load_labelled(data, program, real=real, classes=classes)
    config, size = batch_of(config, len(labelled.x), batch)
    count = _steps(method, steps, forwards, config, len(labelled.x), size)
    started = time.perf_counter()
    with progress_bar(MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}")) as bar:
        task = bar.add_task("Adapting", total=max(count, 1), loss="...")

        def show(report: StepReport) -> None:
            bar.update(task, advance=1, loss=f"{report.mean_loss:.4f}")

        result = adapt(
            program,
            labelled.x,
            labelled.y,
            config,
            count,
            batch=size,
            head=head,
            like=None if like is None else load_samples(like, program, real=real),
            threads=threads,
            paired=paired,
            rows_at_once=rows_at_once,
            find_epsilon="epsilon" not in given and affords_window(config, count, len(labelled.x), size),
            find_head_rate="head_rate" not in given,
            frozen=frozenset() if content is None else unwritable_constants(content, program),
            try_writing=None if content is None else partial(written_tflite, content, model, profile),
            on_step=show,
        )
    result = _written(result, output, labelled, content, model, profile)
    seconds = time.perf_counter() - started
    payload = payload_of(result, method, len(labelled.x), output, seconds)
    if as_json:
        print_json(payload)
    else:
        print_rich(table_of(payload))
    if result.report.stopped:
        raise TrainingError(f"{result.report.stopped}; {output} holds them")
    if result.accuracy_after < result.accuracy_before:
        warn("the accuracy on the data fell; a lower learning rate or more directions may help")


def _written(
    result: AdaptedProgram,
    output: str,
    data: LabelledData,
    content: bytes | None,
    model: str,
    profile: str | None,
) -> AdaptedProgram:
    """Write the output; return the result as a runtime reads it from there."""
    if content is None:
        save(result.program, output)
        return result
    written, final = written_tflite(content, model, profile, result.layers)
    write_atomically(output, written)
    after = evaluate(final, data.x, data.y).accuracy
    return dataclasses.replace(result, program=final, accuracy_after=after)


def _content_to_patch(model: str, output: str, program: Program, head: HeadChoice) -> bytes | None:
    """Return the model file's content if the output is to be the same .tflite file with other values."""
    if Path(output).suffix.lower() != ".tflite":
        return None
    content = read_model(model)
    if file_kind(content, model) != "tflite":
        raise InputError(f"only a .tflite model can be written as {output}; give the output an .fxp name")
    if choose_head(program, head) != "linear":
        raise InputError(
            f"{model} ends in features: the classifier put on them has no place in {output}; give the output "
            "an .fxp name"
        )
    return content


def _config(method: MethodName, given: dict[str, Any], *, aligned: bool) -> TrainerConfig:
    config = METHODS[method].config
    if aligned and method == "affine":  # less is left to do: see docs/results
        config = dataclasses.replace(config, **_AFTER_ALIGNMENT)
    for name in given:
        if name in _OF_PROBES and config.head_alone:
            raise InputError(
                f"{_OF_PROBES[name]} is not for {method}, which probes nothing; choose --head-rate, or "
                "another method"
            )
    if "head_rate" in given and config.head != "exact":
        raise InputError(
            f"--head-rate is not for {method}, which has no exact head; choose --learning-rate, or the "
            "method exact_lp"
        )
    if "num_directions" in given and config.rows == "split":
        raise InputError(
            f"--directions is not for {method}, which has one direction a sample; choose --batch"
        )
    return dataclasses.replace(config, **given)


def _steps(
    method: MethodName,
    steps: int | None,
    forwards: float | None,
    config: TrainerConfig,
    samples: int,
    batch: int,
) -> int:
    if steps is not None and forwards is not None:
        raise InputError("give --steps or --forwards, not both")
    if forwards is None:
        return default_steps(method, config, samples, batch) if steps is None else steps
    if not 0 < forwards <= MOST_FORWARDS:
        raise InputError(f"--forwards must be positive, at most {MOST_FORWARDS:g}; got {forwards:g}")
    return steps_of(config, forwards, samples, batch)
