"""`fxpgrad probe`: with which epsilon, and from which learning rate, a model can learn from its data."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import click
from rich.table import Table

from fxpgrad.cli.terminal import FILE_NAME, json_option, load_model, print_json, print_rich, profile_option
from fxpgrad.errors import InputError, TrainingError
from fxpgrad.experiments.adapt import HeadChoice, choose_head, trainable_form
from fxpgrad.experiments.methods import METHODS, MethodName, batch_of, default_method
from fxpgrad.tasks.npz_data import load_labelled
from fxpgrad.trainer.first_rate import FirstRate, measure_rate
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.window import EpsilonWindow, measure_window

_METHODS = [name for name, method in METHODS.items() if name != "exact_lp"]


@click.command("probe")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--data", type=FILE_NAME, required=True, help=".npz file with x (batch first) and y (integer labels)."
)
@click.option("--real", is_flag=True, help="x holds real numbers.")
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    help="What would be trained, as for adapt.  [default: affine if all weights are int8, else ff_lp]",
)
@click.option("--batch", type=int, help="Samples per step.  [default: all, but at most 50]")
@click.option("--seed", default=0, show_default=True, help="Names every direction.")
@click.option("--head", type=click.Choice(get_args(HeadChoice)), default="auto", show_default=True)
@click.option(
    "--rate/--no-rate", default=True, show_default=True, help="Try learning rates in short runs too."
)
@profile_option
@json_option
def probe_command(
    model: str,
    data: str,
    real: bool,
    method: MethodName | None,
    batch: int | None,
    seed: int,
    head: HeadChoice,
    rate: bool,
    profile: str | None,
    as_json: bool,
) -> None:
    """Measure at which epsilon a model can be probed, by forward passes alone.

    Too small an epsilon drowns in the rounding of 8-bit activations, too large a one sees curvature: the
    same directions are probed at a ladder of epsilons (relative to the size of what is probed), and
    neighbours must agree. Exit code 2 if none do.
    """
    program = load_model(model, profile)
    method = method or default_method(program)
    classes = None
    if choose_head(program, head) == "linear":
        classes = program.tensors[program.outputs[0]].shape[-1]
    labelled = load_labelled(data, program, real=real, classes=classes)
    config = dataclasses.replace(METHODS[method].config, seed=seed)
    config, size = batch_of(config, len(labelled.x), batch)
    form = trainable_form(program, head, labelled.x, labelled.y)
    window = measure_window(form, config, LinearCrossEntropy(), labelled.x, labelled.y, size)
    rates = None
    if rate and window.epsilon is not None:
        chosen = dataclasses.replace(config, epsilon=window.epsilon)
        rates = measure_rate(form, chosen, LinearCrossEntropy(), labelled.x, labelled.y, size)
    if as_json:
        print_json(_payload(method, window, rates))
    else:
        print_rich(*_tables(method, window, rates))
    if window.epsilon is None:
        raise TrainingError(window.reason)
    if rates is not None and rates.learning_rate is None:
        raise InputError(
            "no learning rate of the ladder lowered the loss of samples that were not trained on"
        )


def _payload(method: str, window: EpsilonWindow, rates: FirstRate | None) -> dict[str, Any]:
    return {
        "method": method,
        "epsilon": window.epsilon,
        "learning_rate": None if rates is None else rates.learning_rate,
        "window": dataclasses.asdict(window),
        "rates": None if rates is None else dataclasses.asdict(rates),
    }


def _tables(method: str, window: EpsilonWindow, rates: FirstRate | None) -> list[Table | str]:
    table = Table(title=f"Epsilon ladder, {method} (relative units)", title_justify="left")
    for name in ("epsilon", "agreement", "slope", "equal", "clipped"):
        table.add_column(name, justify="right", no_wrap=True)
    for rung in window.rungs:
        table.add_row(
            f"{rung.epsilon:.1e}",
            "" if rung.agreement is None else f"{rung.agreement:.2f}",
            f"{rung.slope:.3g}",
            f"{100 * rung.equal:.0f} %",
            f"{100 * rung.clipped:.2f} %",
        )
    table.caption = (
        "agreement: correlation of loss differences with those of the next row; slope: nats a sample"
    )
    table.caption_justify = "left"
    parts: list[Table | str] = [table]
    if window.epsilon is not None:
        parts.append(f"epsilon {window.epsilon:.2g}   ({window.forwards} inferences of the batch)")
    if rates is not None:
        trials = Table(title="Short runs, judged on samples they did not see", title_justify="left")
        for name in ("learning rate", "loss before", "loss after"):
            trials.add_column(name, justify="right", no_wrap=True)
        for trial in rates.trials:
            after = "stopped" if trial.after is None else f"{trial.after:.4f}"
            trials.add_row(f"{trial.learning_rate:g}", f"{trial.before:.4f}", after)
        parts.append(trials)
        if rates.learning_rate is not None:
            parts.append(
                f"learning rate {rates.learning_rate:g}   ({rates.forwards} inferences of the batch)"
            )
    return parts
