"""The affine scope: biases and gains of multipliers, no weight; split rows; linear schedules."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.program.execute import run_program, run_reference
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainable import distribution_code, with_trained
from fxpgrad.trainer.trainer import Trainer
from fxpgrad_kernels.loss.cross_entropy_ref import cross_entropy_linear_ref
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.training.gain import ONE
from tests.trainer.small_programs import dense_integers, dense_program, image_program

AFFINE = TrainerConfig(
    scope="affine", num_directions=5, rows="split", epsilon=3e-2, learning_rate=1e-2,
    distribution="rademacher", seed=3,
)  # fmt: skip


@pytest.mark.parametrize("weight_bits", [8, 16])
def test_no_weight_moves_and_the_loss_falls(weight_bits: int) -> None:
    program, x, y = image_program(weight_bits)
    trainer = Trainer(program, AFFINE, LinearCrossEntropy(), len(x))
    report = trainer.fit(x, y, 200)
    adapted = trainer.adapted()
    for name, constant in program.constants.items():
        if name.endswith("/weights"):
            np.testing.assert_array_equal(adapted.constants[name].data, constant.data)
    first, last = report.steps[0].mean_loss, np.mean([step.mean_loss for step in report.steps[-10:]])
    assert last < 0.8 * first
    assert not report.dead_steps
    assert report.forwards == 2 * 200


@pytest.mark.parametrize("paired", [False, True])
def test_scratch_beside_the_arena_is_a_few_bytes_a_channel(paired: bool) -> None:
    program, x, _ = image_program(8)
    trainer = Trainer(program, AFFINE, LinearCrossEntropy(), len(x), paired=paired)
    channels = max(item.values.size for item in trainer.trainables)
    of_a_layer = (4 * 4 + 9 * 4) * max(-channels // 16 * -16, 16) + 4 * 64  # values and record, on lines
    arena = trainer._executor.plan.peak_bytes
    assert trainer.scratch_bytes <= (2 if paired else 1) * (arena + of_a_layer)


def test_probes_leave_the_shared_constants_alone() -> None:
    program, x, y = image_program(8)
    trainer = Trainer(program, AFFINE, LinearCrossEntropy(), len(x))
    executor = trainer._executor
    panels = {name: {k: a.copy() for k, a in own.items()} for name, own in executor.prepared.items()}
    trainer.step(x, y)
    for name, own in panels.items():
        for key, array in own.items():  # shared by all probes, written by none
            np.testing.assert_array_equal(executor.prepared[name][key], array)


def step_by_references(
    program: Program, trainer: Trainer, x: np.ndarray, y: np.ndarray, rows: int | None
) -> list[int]:
    """Return the losses of every pass of step 0, direction by direction, plus then minus."""
    config, objective = trainer.config, trainer._objective
    table, code = direction_table(distribution_code(config)), distribution_code(config)
    losses = []
    for direction in range(config.num_directions):
        own = slice(None) if rows is None else slice(direction * rows, (direction + 1) * rows)
        for sign in (1, -1):
            probed = []
            for item in trainer.trainables:
                flat = item.perturb.reference(
                    item.values.reshape(-1), item.epsilon, table, config.seed, 0, direction, item.tensor,
                    sign, 0, code,
                )  # fmt: skip
                probed.append(dataclasses.replace(item, values=flat.reshape(item.values.shape)))
            changed = with_trained(program, probed, {})
            out = run_reference(changed, x[own])[program.outputs[0]]
            scale = objective.logit_scale
            losses.append(int(cross_entropy_linear_ref(out, *scale, y[own]).sum()))
    return losses


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("rows", ["split", "shared"])
def test_one_step_equals_its_definition_from_references(rows: str, paired: bool) -> None:
    program, x, y = image_program(8)
    config = dataclasses.replace(AFFINE, rows=rows, num_directions=3)  # type: ignore[arg-type]
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x), paired=paired)
    expected = step_by_references(program, trainer, x, y, len(x) // 3 if rows == "split" else None)
    before = {item.name: item.values.copy() for item in trainer.trainables}
    report = trainer.step(x, y)
    assert list(report.losses_plus) == expected[0::2]
    assert list(report.losses_minus) == expected[1::2]
    for item in trainer.trainables:
        wanted, _ = item.update.reference(
            before[item.name].reshape(-1), np.array(report.scalars, np.int32), item.multiplier, item.shift,
            direction_table(1), 3, 0, item.tensor, 1, 1,
        )  # fmt: skip
        np.testing.assert_array_equal(item.values.reshape(-1), wanted)


def test_adapted_program_is_what_was_trained() -> None:
    program, x, y = image_program(8)
    trainer = Trainer(program, AFFINE, LinearCrossEntropy(), len(x))
    trainer.fit(x, y, 20)
    adapted = trainer.adapted()
    np.testing.assert_array_equal(run_program(adapted, x), run_reference(adapted, x)[adapted.outputs[0]])
    for item in (item for item in trainer.trainables if item.role == "gain"):
        call = next(call for call in program.calls if call.name == item.call)
        gain = item.values / ONE
        assert not np.array_equal(item.values, np.full_like(item.values, ONE))
        for role in ("weights", "bias"):
            old, new = (p.constants[call.constants[role]].scale for p in (program, adapted))
            np.testing.assert_allclose(new, old * gain, rtol=1e-12)
        real = [
            p.constants[call.constants["multiplier"]].data
            * np.exp2(p.constants[call.constants["shift"]].data - 31.0)
            for p in (program, adapted)
        ]
        np.testing.assert_allclose(real[1], real[0] * gain, rtol=1e-8)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads: int) -> None:
    program, x, y = image_program(8)
    values = []
    for count in (1, threads):
        trainer = Trainer(program, AFFINE, LinearCrossEntropy(), len(x), threads=count)
        trainer.fit(x, y, 6)
        values.append([item.values.copy() for item in trainer.trainables])
    for one, other in zip(*values, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_batch_that_cannot_be_split_is_refused() -> None:
    program, x, _ = image_program(8)
    with pytest.raises(InputError, match="batch of 30 cannot be split evenly among 7 directions"):
        Trainer(program, dataclasses.replace(AFFINE, num_directions=7), LinearCrossEntropy(), len(x))


def test_linear_schedule_ends_in_small_steps() -> None:
    program, x, y = image_program(8)
    config = dataclasses.replace(AFFINE, schedule="linear")
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    full = [item.multiplier * np.exp2(item.shift) for item in trainer.trainables]
    trainer.fit(x, y, 128)
    for item, start in zip(trainer.trainables, full, strict=True):
        np.testing.assert_allclose(item.multiplier * np.exp2(item.shift), start / 64, rtol=1e-6)


def test_relative_probes_are_in_units_of_each_kernel() -> None:
    program = dense_program()
    config = TrainerConfig(relative=True, epsilon=1e-1, learning_rate=3e-2, seed=1)
    trainer = Trainer(program, config, LinearCrossEntropy(), 24)
    for item in (item for item in trainer.trainables if item.role == "weights"):
        constant = program.constants[item.name]
        size = np.sqrt(np.mean((constant.data * constant.scale[:, None]) ** 2))
        np.testing.assert_array_equal(item.epsilon, np.rint(0.1 * size / constant.scale))
    x, y = dense_integers(program)
    report = trainer.fit(x, y, 120)
    assert report.steps[-1].mean_loss < 0.6 * report.steps[0].mean_loss
