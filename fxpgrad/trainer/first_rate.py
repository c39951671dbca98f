"""A first learning rate, found by short runs: forward passes alone, as training itself."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.execute import run_program
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import Objective
from fxpgrad.trainer.trainer import Trainer

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
_STEPS = 24


@dataclass(frozen=True, slots=True)
class RateTrial:
    """One short run: its learning rate, and the mean loss (nats) of samples it did not see, before and after.

    after: None if the run could not be finished.
    """

    learning_rate: float
    before: float
    after: float | None


@dataclass(frozen=True, slots=True)
class FirstRate:
    """The trials, and the rate to begin with; None if none of them lowered the loss."""

    trials: tuple[RateTrial, ...]
    learning_rate: float | None
    forwards: int


def measure_rate(
    program: Program,
    config: TrainerConfig,
    objective: Objective,
    x: NDArray[Any],
    y: NDArray[np.int32],
    batch: int,
    *,
    frozen: frozenset[str] = frozenset(),
) -> FirstRate:
    """Train for 24 steps at each rate of a ladder, on one half of the data, and judge on the other half.

    One rung below the rate of the lowest loss is taken: a long run, whose noise adds up, wants less than a
    short one. It suits a schedule that falls to zero.

    Parameters
    ----------
    program, config, objective, frozen
        As for `Trainer`; config's learning rate is not used, and rates are relative.
    x, y, batch
        Data of the Program's input type and labels: every second sample is trained on.

    Raises
    ------
    InputError
        Fewer than two samples.
    """
    if len(x) < 2:
        raise InputError("a first learning rate needs at least two samples")
    seen, held = slice(0, None, 2), slice(1, None, 2)
    size = min(batch, len(x[seen]))
    if config.rows == "split":
        config = dataclasses.replace(config, num_directions=min(config.num_directions, size))
        size -= size % config.num_directions
    trials = []
    for rate in RATES:
        own = dataclasses.replace(config, learning_rate=rate, relative=True)
        trainer = Trainer(program, own, objective, size, frozen=frozen)
        before = mean_loss(program, objective, x[held], y[held])
        try:
            trainer.fit(x[seen], y[seen], _STEPS)
            after: float | None = mean_loss(trainer.adapted(), objective, x[held], y[held])
        except TrainingError:
            after = None
        trials.append(RateTrial(rate, before, after))
    lowest = min((trial for trial in trials if trial.after is not None), key=_after, default=None)
    good = lowest is not None and _after(lowest) < lowest.before
    passes = 2 * (config.num_directions if config.rows == "shared" else 1) * _STEPS * len(RATES)
    first = RATES[max(0, RATES.index(lowest.learning_rate) - 1)] if good and lowest is not None else None
    return FirstRate(tuple(trials), first, passes)


def _after(trial: RateTrial) -> float:
    assert trial.after is not None
    return trial.after


def mean_loss(program: Program, objective: Objective, x: NDArray[Any], y: NDArray[np.int32]) -> float:
    """Return the mean loss of samples in nats."""
    own = copy.copy(objective)
    own.prepare(program, len(x))
    return own(run_program(program, x), y) / (len(x) * 2.0**24)
