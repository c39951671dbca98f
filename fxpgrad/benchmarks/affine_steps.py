"""What a step of the affine scope costs beside plain inferences of as many rows, of one 8-bit network."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.benchmarks.candidate import Built, Candidate, Case
from fxpgrad.benchmarks.nets import random_input
from fxpgrad.benchmarks.training_programs import CLASSES, training_program
from fxpgrad.program.execute import Executor
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer

BATCH = 50
_SIX, _TWO, _ROWS = "6 forwards", "2 forwards", "2 forwards, a row at a time"
_CONFIG = TrainerConfig(
    scope="affine", num_directions=3, epsilon=3e-2, learning_rate=1e-6, distribution="rademacher"
)


def affine_cases() -> list[Case]:
    """Return three directions that all rows judge, and one direction a row."""
    label = f"ResNet-8 of 8-bit weights, batch {BATCH}, affine"
    return [
        Case(f"{label}, 3 directions", _build_shared, _SIX),
        Case(f"{label}, one direction a row", _build_split, _ROWS),
    ]


def _build_shared() -> Built:
    program = training_program("resnet8", 16, 8)
    return Built((_forwards(program, _SIX, 6, BATCH), *_steps(program, {"rows": "shared"})))


def _build_split() -> Built:
    program = training_program("resnet8", 16, 8)
    plain = (_forwards(program, _ROWS, 2, 1), _forwards(program, _TWO, 2, BATCH))
    return Built((*plain, *_steps(program, {"rows": "split", "num_directions": BATCH})))


def _forwards(program: Program, name: str, times: int, rows: int) -> Candidate:
    """Run a batch so many times, `rows` rows an inference."""
    executor, x = Executor(program, rows), random_input(program, BATCH)

    def run() -> None:
        for _ in range(times):
            for start in range(0, BATCH, rows):
                executor.load(x[start : start + rows], checked=True)
                executor.execute()

    return Candidate(name, run)


def _steps(program: Program, settings: dict[str, Any]) -> tuple[Candidate, ...]:
    return tuple(
        _step(program, name, {**settings, **more}, paired)
        for name, more, paired in (
            ("step", {}, False),
            ("step, paired", {}, True),
            ("step, exact head", {"head": "exact"}, False),
        )
    )


def _step(program: Program, name: str, settings: dict[str, Any], paired: bool) -> Candidate:
    config = dataclasses.replace(_CONFIG, **settings)
    trainer = Trainer(program, config, LinearCrossEntropy(), BATCH, paired=paired)
    labels: NDArray[np.int32] = (np.arange(BATCH) % CLASSES).astype(np.int32)
    features = trainer.features(random_input(program, BATCH))
    return Candidate(name, functools.partial(trainer.step, features, labels))
