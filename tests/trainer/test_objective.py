"""The objective of prototypes: what it takes, and that features learn by it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import PrototypeCrossEntropy
from fxpgrad.trainer.trainer import Trainer
from tests.trainer.small_programs import image_program


def without_head(program: Program) -> Program:
    return dataclasses.replace(
        program,
        calls=program.calls[:-1],
        outputs=(program.calls[-1].inputs[0],),
        tensors={name: info for name, info in program.tensors.items() if name != program.outputs[0]},
    )


def test_prototype_objective_trains_features() -> None:
    program, x, y = image_program()
    features = without_head(program)
    config = TrainerConfig(epsilon=3e-2, learning_rate=3e-2, seed=3)
    trainer = Trainer(features, config, PrototypeCrossEntropy(3, 4.0), len(x))
    report = trainer.fit(x, y, 60)
    assert np.mean([s.mean_loss for s in report.steps[-5:]]) < 0.9 * report.steps[0].mean_loss


@pytest.mark.parametrize("scale", [0, -0.5, float("nan"), float("inf"), True, "1", None, [1.0]])
def test_a_scale_of_distances_is_a_positive_number(scale: object) -> None:
    with pytest.raises(InputError, match="distance_scale must be a positive finite number; got"):
        PrototypeCrossEntropy(3, scale)  # type: ignore[arg-type]


def test_a_number_of_classes_is_a_positive_integer() -> None:
    for classes in (0, 2.5, "3", True):
        with pytest.raises(InputError, match="num_classes must be an integer of at least 1; got"):
            PrototypeCrossEntropy(classes, 1.0)  # type: ignore[arg-type]


def test_a_scale_of_distances_beyond_the_integers_is_named() -> None:
    program = without_head(image_program()[0])
    with pytest.raises(InputError, match=r"distance_scale 1e\+40 is too large for features in steps of"):
        PrototypeCrossEntropy(3, 1e40).prepare(program, 4)
