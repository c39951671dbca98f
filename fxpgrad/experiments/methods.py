"""The ways of adapting, by name: what each trains, and settings that work without tuning."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from fxpgrad.errors import InputError
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig, forwards_of_a_step

MethodName = Literal["ff_lp", "ff_ft", "affine", "exact_lp", "split_ft"]
LARGEST_BATCH = 50
MOST_FORWARDS = 1e6  # of a sample: beyond it a slip of the pen is likelier than patience
_MOST_DIRECTIONS = 64


@dataclass(frozen=True, slots=True)
class Method:
    """A named way of adapting.

    about: one line for people. config: its settings. steps: updates unless a budget says otherwise; forwards:
    the budget in forwards per sample unless steps are given, None for a fixed number of steps.
    """

    about: str
    config: TrainerConfig
    steps: int
    forwards: float | None = None


METHODS: dict[MethodName, Method] = {
    "affine": Method(
        "biases and multipliers by forward gradients, one direction a sample, and the exact head",
        TrainerConfig(
            scope="affine", rows="split", epsilon=3e-2, learning_rate=3e-3, distribution="rademacher",
            schedule="linear", head="exact",
        ),
        1000,
        20,
    ),
    "exact_lp": Method(
        "the last layer by its exact integer gradient: no probes",
        TrainerConfig(scope="lp", head="exact", schedule="linear"),
        300,
    ),
    "ff_lp": Method(
        "the last layer by forward gradients",
        TrainerConfig(scope="lp", num_directions=3, epsilon=1e-2, learning_rate=1e-2),
        60,
    ),
    "ff_ft": Method(
        "every weight and bias by forward gradients",
        TrainerConfig(scope="ft", num_directions=3, epsilon=1e-3, learning_rate=1e-3),
        30,
    ),
    "split_ft": Method(
        "every 8-bit weight, kept in 16 bits of which passes read the upper byte, and the exact head",
        TrainerConfig(
            scope="ft", num_directions=1, epsilon=1e-2, learning_rate=1e-3, relative=True, head="exact",
            distribution="sparse", split_bytes=True, schedule="linear",
        ),
        1000,
        20,
    ),
}  # fmt: skip


def default_method(program: Program) -> MethodName:
    """Return the method for a Program: affine where weights are 8 bits, too coarse to be probed."""
    weights = [
        program.constants[call.constants["weights"]].data.dtype
        for call in program.calls
        if "weights" in call.constants
    ]
    return "affine" if weights and all(dtype == "int8" for dtype in weights) else "ff_lp"


def config_in_c(program: Program, scope: Literal["lp", "ft", "affine"], batch: int) -> TrainerConfig:
    """Return settings for a training step in C, which has the plain estimator alone.

    affine: one direction a sample, or as many as fit the batch evenly. 8-bit weights are probed relative to
    their size, by a step or more.
    """
    if scope == "affine":
        config = dataclasses.replace(METHODS["affine"].config, head="forward", schedule="constant")
        return batch_of(config, batch, batch)[0]
    config = METHODS["ff_lp" if scope == "lp" else "ff_ft"].config
    if default_method(program) == "affine":  # 8 bits
        return dataclasses.replace(config, relative=True, epsilon=1e-1, learning_rate=1e-2)
    return config


def batch_of(config: TrainerConfig, samples: int, batch: int | None) -> tuple[TrainerConfig, int]:
    """Return the configuration and the batch for so many samples.

    batch: as asked for; None takes all samples, but at most 50. Where rows are split, there are as many
    directions as fit the batch evenly, at most 64.
    """
    size = min(samples, LARGEST_BATCH) if batch is None else batch
    if not 1 <= size <= samples:
        raise InputError(f"batch must be in 1..{samples}, the number of samples; got {size}")
    if config.rows == "shared":
        return config, size
    directions = next(m for m in range(min(size, _MOST_DIRECTIONS), 0, -1) if size % m == 0)
    return dataclasses.replace(config, num_directions=directions), size


def default_steps(name: MethodName, config: TrainerConfig, samples: int, batch: int) -> int:
    """Return how many steps a method takes where nobody says how many."""
    method = METHODS[name]
    return method.steps if method.forwards is None else steps_of(config, method.forwards, samples, batch)


def steps_of(config: TrainerConfig, forwards: float, samples: int, batch: int) -> int:
    """Return how many steps `forwards` inferences of each sample pay for, at least one."""
    return max(1, round(forwards * samples / (forwards_of_a_step(config) * batch)))
