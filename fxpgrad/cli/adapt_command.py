"""`fxpgrad adapt`: train a model on one's own labelled data by forward gradients."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, get_args

import click
from rich.progress import MofNCompleteColumn, TextColumn
from rich.table import Table

from fxpgrad.cli.terminal import (
    FILE_NAME,
    byte_text,
    json_option,
    load_model,
    percent,
    print_json,
    print_rich,
    profile_option,
    progress_bar,
    require_writable,
    warn,
)
from fxpgrad.experiments.adapt import AdaptedProgram, HeadChoice, adapt, choose_head
from fxpgrad.experiments.demo import DemoSettings
from fxpgrad.program.store import save
from fxpgrad.tasks.npz_data import LabelledData, load_labelled
from fxpgrad.trainer.config import DistributionName, FormName, RoundingName, TrainerConfig
from fxpgrad.trainer.report import StepReport

_DEFAULTS = DemoSettings()
_CONFIGS = {"ff_lp": _DEFAULTS.ff_lp, "ff_ft": _DEFAULTS.ff_ft}
_STEPS = {"ff_lp": _DEFAULTS.ff_lp_steps, "ff_ft": _DEFAULTS.ff_ft_steps}


def _default(field: str) -> str:
    """Return help text for a default that depends on the method."""
    if field == "steps":
        values = dict(_STEPS)
    else:
        values = {method: getattr(config, field) for method, config in _CONFIGS.items()}
    first, second = values.values()
    if first == second:
        return f"[default: {first}]"
    return f"[default: {first} for ff_lp, {second} for ff_ft]"


@click.command("adapt")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--data", type=FILE_NAME, required=True, help=".npz file with x (batch first) and y (integer labels)."
)
@click.option("-o", "--output", type=FILE_NAME, required=True, help=".fxp file to write.")
@click.option("--real", is_flag=True, help="x holds real numbers.")
@click.option(
    "--method",
    type=click.Choice(list(_CONFIGS)),
    default="ff_lp",
    show_default=True,
    help="ff_lp trains the last layer, ff_ft every weight and bias.",
)
@click.option("--steps", type=int, help=f"Number of updates. {_default('steps')}")
@click.option("--epsilon", type=float, help=f"Size of a probe in real weight units. {_default('epsilon')}")
@click.option(
    "--learning-rate", type=float, help=f"Size of a step in real weight units. {_default('learning_rate')}"
)
@click.option(
    "--directions",
    "num_directions",
    type=int,
    help=f"Pairs of inferences per step. {_default('num_directions')}",
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
@click.option("--batch", type=int, help="Samples per step.  [default: all, but at most 32]")
@click.option("--seed", default=0, show_default=True, help="Names every direction and rounding of the run.")
@click.option(
    "--head",
    type=click.Choice(get_args(HeadChoice)),
    default="auto",
    show_default=True,
    help="Train the model's own last layer, or a prototype classifier put on its features.",
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
@profile_option
@json_option
def adapt_command(
    model: str,
    data: str,
    output: str,
    real: bool,
    method: str,
    steps: int | None,
    batch: int | None,
    head: HeadChoice,
    threads: int,
    paired: bool,
    profile: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Train a model on labelled data.

    MODEL is an .fxp, .tflite or .onnx file. Nothing but integer inference is used.
    """
    program = load_model(model, profile)
    require_writable(output)
    config = _config(method, chosen)
    classes = None
    if choose_head(program, head) == "linear":
        classes = program.tensors[program.outputs[0]].shape[-1]
    labelled = load_labelled(data, program, real=real, classes=classes)
    count = _STEPS[method] if steps is None else steps
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
            batch=batch,
            head=head,
            threads=threads,
            paired=paired,
            on_step=show,
        )
    save(result.program, output)
    seconds = time.perf_counter() - started
    payload = _payload(result, labelled, output, seconds) | {
        "method": method,
        "config": dataclasses.asdict(config),
    }
    if as_json:
        print_json(payload)
    else:
        print_rich(_table(payload))
    if result.accuracy_after < result.accuracy_before:
        warn("the accuracy on the data fell; a lower learning rate or more directions may help")


def _config(method: str, chosen: dict[str, Any]) -> TrainerConfig:
    given = {name: value for name, value in chosen.items() if value is not None}
    return dataclasses.replace(_CONFIGS[method], **given)


def _payload(result: AdaptedProgram, data: LabelledData, output: str, seconds: float) -> dict[str, Any]:
    steps = result.report.steps
    return {
        "head": result.head,
        "samples": len(data.x),
        "steps": len(steps),
        "forwards": result.report.forwards,
        "dead_steps": len(result.report.dead_steps),
        "saturated_steps": len(result.report.saturated_steps),
        "loss_first": steps[0].mean_loss,
        "loss_last": steps[-1].mean_loss,
        "accuracy_before": result.accuracy_before,
        "accuracy_after": result.accuracy_after,
        "scratch_bytes": result.scratch_bytes,
        "weights_sha256": result.program.constants_sha256(),
        "output": output,
        "seconds": seconds,
    }


def _table(payload: dict[str, Any]) -> Table:
    table = Table(title=f"Adapted: {payload['output']}", title_justify="left", show_header=False)
    rows = {
        "method": f"{payload['method']}, {payload['head']} head",
        "steps": f"{payload['steps']} ({payload['dead_steps']} dead, {payload['saturated_steps']} saturated)",
        "forwards": f"{payload['forwards']}",
        "mean loss": f"{payload['loss_first']:.4f} → {payload['loss_last']:.4f}",
        "accuracy on the data": f"{percent(payload['accuracy_before'])} → "
        f"{percent(payload['accuracy_after'])} ({payload['samples']} samples)",
        "scratch memory": byte_text(payload["scratch_bytes"]),
        "time": f"{payload['seconds']:.1f} s",
        "weights_sha256": payload["weights_sha256"],
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
