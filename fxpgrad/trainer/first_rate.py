"""A first rate, found by short runs of forward gradients or of the exact head, by inference alone."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.execute import run_program
from fxpgrad.program.head import split_before
from fxpgrad.program.program import Program
from fxpgrad.program.work import multiply_accumulates
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import Objective
from fxpgrad.trainer.trainer import Trainer
from fxpgrad.trainer.watch import greatest_rise, stopping_rise

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
HEAD_RATES = (1.0, 3.0, 10.0, 30.0, 100.0)
_STEPS = 24
_MOST_HEAD_STEPS = 1000
_SAFE_RISE = 0.5  # of the rise that stops a run: one that came nearer is stopped on other samples


@dataclass(frozen=True, slots=True)
class RateTrial:
    """One run: its rate, and the mean loss (nats) of samples it did not see, before and after.

    after: None if the run could not be finished, or came near to being stopped.
    """

    rate: float
    before: float
    after: float | None


@dataclass(frozen=True, slots=True)
class FirstRate:
    """The trials, and the rate to begin with; None if none of them lowered the loss.

    forwards: inferences of the batch that it took, those that judged included.
    """

    trials: tuple[RateTrial, ...]
    rate: float | None
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
    """Train for 24 steps at each learning rate of a ladder, on one half of the data, and judge on the other.

    One rung below the rate of the lowest loss is taken: a long run, whose noise adds up, wants less than a
    short one. It suits a schedule that falls to zero.

    Parameters
    ----------
    program, config, objective, frozen
        As for `Trainer`; config's learning rate is not used, and rates are relative.
    x, y, batch
        Data of the Program's input type and labels: every second sample of each class is trained on.

    Raises
    ------
    InputError
        Fewer than two samples.
    """
    configs = {rate: dataclasses.replace(config, learning_rate=rate, relative=True) for rate in RATES}
    trials, rows = _trials(program, configs, objective, x, y, batch, _STEPS, frozen)
    lowest = _lowest(trials)
    first = None if lowest is None else RATES[max(0, RATES.index(lowest) - 1)]
    return FirstRate(trials, first, math.ceil(rows / batch))


def measure_head_rate(
    program: Program,
    config: TrainerConfig,
    objective: Objective,
    x: NDArray[Any],
    y: NDArray[np.int32],
    batch: int,
    steps: int,
    *,
    frozen: frozenset[str] = frozenset(),
) -> FirstRate:
    """Train the exact head alone at each rate of a ladder, on one half of the data, and judge on the other.

    What lies before the head runs once for each sample; the runs and their judgement take the head only. The
    rate of the lowest loss is taken, the lower one of equals. A run whose loss rose on its way by more than
    half of what ends a run (`stopping_rise`) is out, as one that was stopped.

    Parameters
    ----------
    program, objective, frozen
        As for `Trainer`.
    config : TrainerConfig
        Of the run whose head's rate is wanted: its schedule, rounding, seed and patience are used.
    x, y, batch
        Data of the Program's input type and labels: every second sample of each class is trained on.
    steps : int
        Of that run; trials take at most 1,000.

    Returns
    -------
    FirstRate
        forwards: one inference for each sample, and a pass of the head as its share of the network's
        multiplications.

    Raises
    ------
    InputError
        Fewer than two samples.
    TrainingError
        A Program or an objective that an exact head cannot be trained with, see `Trainer`.
    """
    alone = TrainerConfig(
        scope="lp", head="exact", schedule=config.schedule, rounding=config.rounding,
        train_bias=config.train_bias, seed=config.seed, patience=config.patience,
    )  # fmt: skip
    program = dataclasses.replace(program, outputs=program.outputs[:1])
    features = Trainer(program, alone, objective, batch, frozen=frozen).features(x)
    _, head = split_before(program, len(program.calls) - 1)
    configs = {rate: dataclasses.replace(alone, head_rate=rate) for rate in HEAD_RATES}
    count = min(steps, _MOST_HEAD_STEPS)
    rise = _SAFE_RISE * stopping_rise(head.tensors[head.outputs[0]].elements)
    trials, rows = _trials(head, configs, objective, features, y, batch, count, frozen, rise)
    forwards = math.ceil((len(x) + _share_of_head(program) * rows) / batch)
    return FirstRate(trials, _lowest(trials), forwards)


def samples_for_head_rate(program: Program, batch: int, steps: int, forwards: float) -> int:
    """Return with how many samples `measure_head_rate` takes at most `forwards` inferences of the batch."""
    share, count = _share_of_head(program), min(steps, _MOST_HEAD_STEPS)
    trained = len(HEAD_RATES) * count * batch
    judged = (len(HEAD_RATES) + 1) / 2  # of each sample: every second one, before and after each trial
    return max(0, math.floor((math.floor(forwards) * batch - share * trained) / (1 + share * judged)))


def rows_of_all_classes(y: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Return `count` row numbers in order, spread evenly over each class's samples."""
    return np.sort(_by_class(y)[np.arange(count) * len(y) // count])


def _by_class(y: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.argsort(y, kind="stable").astype(np.int64)


def _share_of_head(program: Program) -> float:
    products = [multiply_accumulates(program, call) for call in program.calls]
    return products[-1] / sum(products)


def _trials(
    program: Program,
    configs: Mapping[float, TrainerConfig],
    objective: Objective,
    x: NDArray[Any],
    y: NDArray[np.int32],
    batch: int,
    steps: int,
    frozen: frozenset[str],
    most_rise: float = math.inf,
) -> tuple[tuple[RateTrial, ...], int]:
    """Train once for each rate, on every second sample of each class; return the trials and all rows run.

    most_rise: nats; a run whose loss rose by more (see `greatest_rise`) has no loss after.
    """
    if len(x) < 2:
        raise InputError("a first rate needs at least two samples")
    order = _by_class(y)
    seen, held = np.sort(order[::2]), np.sort(order[1::2])
    before, rows = mean_loss(program, objective, x[held], y[held]), len(held)
    trials = []
    for rate, config in configs.items():
        own, size = config, min(batch, len(seen))
        if config.rows == "split":
            own = dataclasses.replace(config, num_directions=min(config.num_directions, size))
            size -= size % own.num_directions
        trainer = Trainer(program, own, objective, size, frozen=frozen)
        after = None
        try:
            report = trainer.fit(x[seen], y[seen], steps)
            if greatest_rise(report.steps, own.patience) <= most_rise:
                after = mean_loss(trainer.adapted(), objective, x[held], y[held])
                rows += len(held)
        except TrainingError:
            pass  # the trial says so: it has no loss after
        rows += trainer.steps_taken * trainer.forwards * size
        trials.append(RateTrial(rate, before, after))
    return tuple(trials), rows


def _lowest(trials: tuple[RateTrial, ...]) -> float | None:
    """Return the rate of the lowest loss, the first of equals; None if none is below that before."""
    finished = [(trial.after, trial.rate) for trial in trials if trial.after is not None]
    lowest = min(finished, default=None)
    return None if lowest is None or lowest[0] >= trials[0].before else lowest[1]


def mean_loss(program: Program, objective: Objective, x: NDArray[Any], y: NDArray[np.int32]) -> float:
    """Return the mean loss of samples in nats."""
    own = copy.copy(objective)
    own.prepare(program, len(x))
    return own(run_program(program, x), y) / (len(x) * 2.0**24)
