"""Which epsilon a network can be probed with, found by forward passes alone.

A loss difference divided by epsilon is the same number for every epsilon that is small enough, until it
drowns in the rounding noise of 8-bit activations. So the same directions are probed at a ladder of epsilons,
and neighbours are compared: below the window their differences have nothing in common (noise), above it they
part again (curvature). No gradient is needed to see it, and nothing is trained.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import Objective
from fxpgrad.trainer.trainer import Trainer

LADDER = tuple(10 ** (-4 + step / 2) for step in range(8))  # 1e-4 .. 0.32, each about 3.16 times the last
LEAST_AGREEMENT = 0.7
_DIRECTIONS = 24
_MOST_CLIPPED = 0.01  # share of the probed values


@dataclass(frozen=True, slots=True)
class Rung:
    """One epsilon of the ladder.

    Attributes
    ----------
    epsilon : float
        Relative to the units of the scope.
    agreement : float or None
        Correlation of the loss differences with those at the next epsilon, over directions; None at the
        last epsilon that could be probed.
    slope : float
        Root mean square of (loss difference / epsilon), in nats a sample: level inside the window.
    equal : float
        Share of directions whose two losses were equal.
    clipped : float
        Share of the probed values that were clipped.
    """

    epsilon: float
    agreement: float | None
    slope: float
    equal: float
    clipped: float


@dataclass(frozen=True, slots=True)
class EpsilonWindow:
    """The ladder, and what to probe with.

    epsilon: the geometric mean of the two neighbours that agree best; None if none agree by 0.7. reason: why
    there is none. forwards: inferences of the batch that it took.
    """

    rungs: tuple[Rung, ...]
    epsilon: float | None
    reason: str
    forwards: int


def measure_window(
    program: Program,
    config: TrainerConfig,
    objective: Objective,
    x: NDArray[Any],
    y: NDArray[np.int32],
    batch: int,
    *,
    frozen: frozenset[str] = frozenset(),
) -> EpsilonWindow:
    """Probe a Program at every epsilon of the ladder.

    Parameters
    ----------
    program, objective, frozen
        As for `Trainer`.
    config : TrainerConfig
        Its epsilon is not used; epsilons are relative (see `TrainerConfig.relative`). With shared rows, 24
        directions are probed on one batch; with split rows, those of as many batches as there are, at most 2.
    x, y, batch
        Data of the Program's input type and labels, at least one batch of them.

    Raises
    ------
    InputError
        Less data than one batch; an exact head alone, which probes nothing.
    """
    if config.head_alone:
        raise InputError("an exact head alone probes nothing: there is no epsilon to be found")
    if len(x) < batch:
        raise InputError(f"{len(x)} samples cannot fill a batch of {batch}; use a smaller batch")
    if config.rows == "shared":
        config = dataclasses.replace(config, num_directions=_DIRECTIONS)
    rows = [slice(batch * k, batch * (k + 1)) for k in range(_batches(config, len(x), batch))]
    features: list[NDArray[Any]] | None = None
    taken: list[tuple[float, NDArray[np.float64], float]] = []
    reason = ""
    for epsilon in LADDER:
        own = dataclasses.replace(config, epsilon=epsilon, relative=True)
        try:
            trainer = Trainer(program, own, objective, batch, frozen=frozen)
        except TrainingError as error:
            reason = str(error)
            if taken:
                break  # beyond what the integers can express
            continue  # below it
        if features is None:
            features = [trainer.features(x[part]) for part in rows]
        taken.append((epsilon, *_differences(trainer, features, [y[part] for part in rows])))
    forwards = len(taken) * len(rows) * 2 * (config.num_directions if config.rows == "shared" else 1)
    return _judged(taken, reason, forwards)


def _batches(config: TrainerConfig, samples: int, batch: int) -> int:
    return 1 if config.rows == "shared" else min(2, samples // batch)


def window_forwards(config: TrainerConfig, samples: int, batch: int) -> int:
    """Return how many inferences of the batch `measure_window` takes at most."""
    passes = 2 * (_DIRECTIONS if config.rows == "shared" else 1)
    return len(LADDER) * _batches(config, samples, batch) * passes


def _differences(
    trainer: Trainer, features: list[NDArray[Any]], labels: list[NDArray[np.int32]]
) -> tuple[NDArray[np.float64], float]:
    """Return the loss difference of each direction in nats a sample, and the share of clipped values."""
    found, clipped = [], 0
    for part, own in zip(features, labels, strict=True):
        plus, minus, saturated = trainer.probe(part, own)
        found += [p - m for p, m in zip(plus, minus, strict=True)]
        clipped += saturated
    values = sum(item.values.size for item in trainer.trainables) * 2 * len(found)
    seen = (
        trainer.batch if trainer.config.rows == "shared" else trainer.batch // trainer.config.num_directions
    )
    return np.array(found, np.float64) / (seen * 2.0**24), clipped / values


def _judged(
    taken: list[tuple[float, NDArray[np.float64], float]], reason: str, forwards: int
) -> EpsilonWindow:
    rungs = []
    for number, (epsilon, differences, clipped) in enumerate(taken):
        follows = taken[number + 1][1] if number + 1 < len(taken) else None
        rungs.append(
            Rung(
                epsilon,
                None if follows is None else _correlation(differences, follows),
                float(np.sqrt(np.mean((differences / epsilon) ** 2))),
                float(np.mean(differences == 0)),
                clipped,
            )
        )
    candidates = [
        (rung.agreement, number)
        for number, rung in enumerate(rungs)
        if rung.agreement is not None and rungs[number + 1].clipped <= _MOST_CLIPPED
    ]
    best, at = max(candidates, default=(0.0, 0))
    if not candidates:
        full = (
            "no probe could be taken without clipping: the weights fill their range. Quantize with more "
            "headroom, or try the scope affine or an exact head"
        )
        return EpsilonWindow(tuple(rungs), None, reason or full, forwards)
    if best < LEAST_AGREEMENT:
        text = (
            f"no epsilon window: neighbouring epsilons agree by {best:.2f} at best, below {LEAST_AGREEMENT}; "
            "rounding noise meets curvature. Try the scope affine, 16-bit weights, or a larger batch"
        )
        return EpsilonWindow(tuple(rungs), None, text, forwards)
    return EpsilonWindow(tuple(rungs), math.sqrt(rungs[at].epsilon * rungs[at + 1].epsilon), "", forwards)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the correlation about zero: signs count, and a constant offset is no agreement."""
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / size if size > 0 else 0.0
