"""`fxpgrad probe`: with which epsilon, and from which rates, a model can learn from its data."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import click
from rich.table import Table

from fxpgrad.cli.terminal import FILE_NAME, json_option, load_model, print_json, print_rich, profile_option
from fxpgrad.errors import InputError, TrainingError
from fxpgrad.experiments.adapt import HeadChoice, choose_head, trainable_form
from fxpgrad.experiments.methods import METHODS, MethodName, batch_of, default_method, default_steps
from fxpgrad.tasks.npz_data import load_labelled
from fxpgrad.trainer.first_rate import FirstRate, measure_head_rate, measure_rate
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.window import EpsilonWindow, measure_window


@click.command("probe")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--data", type=FILE_NAME, required=True, help=".npz file with x (batch first) and y (integer labels)."
)
@click.option("--real", is_flag=True, help="x holds real numbers.")
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    help="What would be trained, as for adapt.  [default: affine if all weights are int8, else ff_lp]",
)
@click.option("--batch", type=int, help="Samples per step.  [default: all, but at most 50]")
@click.option("--seed", default=0, show_default=True, help="Names every direction.")
@click.option("--head", type=click.Choice(get_args(HeadChoice)), default="auto", show_default=True)
@click.option("--rate/--no-rate", default=True, show_default=True, help="Try rates in short runs too.")
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
    """Measure at which epsilon a model can be probed, and which rates suit it, by forward passes alone.

    Too small an epsilon drowns in the rounding of 8-bit activations, too large a one sees curvature: the
    same directions are probed at a ladder of epsilons (relative to the size of what is probed), and
    neighbours must agree. Rates are tried in short runs. Exit code 2 if no epsilon or no rate will do.
    """
    program = load_model(model, profile)
    method = method or default_method(program)
    if METHODS[method].config.head_alone and not rate:
        raise InputError(f"--no-rate leaves nothing to measure: {method} probes nothing, it has a rate alone")
    classes = None
    if choose_head(program, head) == "linear":
        classes = program.tensors[program.outputs[0]].shape[-1]
    labelled = load_labelled(data, program, real=real, classes=classes)
    config = dataclasses.replace(METHODS[method].config, seed=seed)
    config, size = batch_of(config, len(labelled.x), batch)
    form = trainable_form(program, head, labelled.x, labelled.y)
    given = LinearCrossEntropy(), labelled.x, labelled.y, size
    window = head_rates = rates = None
    if rate and config.head == "exact":
        steps = default_steps(method, config, len(labelled.x), size)
        head_rates = measure_head_rate(form, config, *given, steps)
        config = dataclasses.replace(config, head_rate=head_rates.rate or config.head_rate)
    if not config.head_alone:
        window = measure_window(form, config, *given)
    if rate and window is not None and window.epsilon is not None:
        rates = measure_rate(form, dataclasses.replace(config, epsilon=window.epsilon), *given)
    if as_json:
        print_json(_payload(method, window, head_rates, rates))
    else:
        print_rich(*_tables(method, window, head_rates, rates))
    if window is not None and window.epsilon is None:
        raise TrainingError(window.reason)
    needed = head_rates if window is None else rates  # beside a body, a head can keep its default
    if needed is not None and needed.rate is None:
        raise InputError("no rate of the ladder lowered the loss of samples that were not trained on")


def _payload(
    method: str, window: EpsilonWindow | None, head_rates: FirstRate | None, rates: FirstRate | None
) -> dict[str, Any]:
    return {
        "method": method,
        "epsilon": None if window is None else window.epsilon,
        "head_rate": None if head_rates is None else head_rates.rate,
        "learning_rate": None if rates is None else rates.rate,
        "window": None if window is None else dataclasses.asdict(window),
        "head_rates": None if head_rates is None else dataclasses.asdict(head_rates),
        "rates": None if rates is None else dataclasses.asdict(rates),
    }


def _tables(
    method: str, window: EpsilonWindow | None, head_rates: FirstRate | None, rates: FirstRate | None
) -> list[Table | str]:
    parts = [
        *([] if window is None else _ladder(method, window)),
        *([] if head_rates is None else _trials("head rate", "Runs of the exact head alone", head_rates)),
        *([] if rates is None else _trials("learning rate", "Short runs", rates)),
    ]
    return parts[:-1]  # without the last empty line


def _ladder(method: str, window: EpsilonWindow) -> list[Table | str]:
    table = Table()
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
    parts: list[Table | str] = [
        f"Epsilon ladder, {method} (relative units)",
        table,
        "agreement: correlation of loss differences with those of the next row; slope: nats a sample",
    ]
    if window.epsilon is not None:
        parts.append(f"epsilon {window.epsilon:.2g}   ({window.forwards} inferences of the batch)")
    return [*parts, ""]


def _trials(what: str, runs: str, found: FirstRate) -> list[Table | str]:
    table = Table()
    for name in (what, "loss before", "loss after"):
        table.add_column(name, justify="right", no_wrap=True)
    for trial in found.trials:
        after = "unstable" if trial.after is None else f"{trial.after:.4f}"
        table.add_row(f"{trial.rate:g}", f"{trial.before:.4f}", after)
    verdict = "none lowers the loss" if found.rate is None else f"{found.rate:g}"
    told = f"{what}: {verdict}   ({found.forwards} inferences of the batch)"
    return [f"{runs}, judged on samples they did not see", table, told, ""]
