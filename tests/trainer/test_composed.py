"""Directions of more than a draw: every part against a step put together from the definitions, and laws."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.execute import run_program
from fxpgrad.program.program import constants_sha256
from fxpgrad.trainer.config import TrainerConfig, forwards_of_a_step
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.replay import replay
from fxpgrad.trainer.scopes import make_trainables
from fxpgrad.trainer.trainer import Trainer
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.training.direction_ref import (
    fill_direction_ref,
    guide_direction_ref,
    mask_direction_ref,
    thin_direction_ref,
)
from fxpgrad_kernels.training.exact_gradient_ref import descend_ref
from fxpgrad_kernels.training.perturb_ref import perturb_along_ref, perturb_split_ref
from tests.trainer.small_programs import dense_integers, dense_program, image_program

BASE = TrainerConfig(
    num_directions=2, epsilon=3e-2, learning_rate=2e-2, relative=True, distribution="rademacher", seed=5
)
PARTS = {
    "gaussian with decay": {"distribution": "gaussian", "weight_decay": 0.1},
    "sparse signs": {"distribution": "sparse", "epsilon": 5e-3},
    "split bytes": {"split_bytes": True},
    "split bytes, sparse signs": {"split_bytes": True, "distribution": "sparse", "epsilon": 4e-3},
    "largest": {"mask": "largest", "density": 0.3},
    "smallest": {"mask": "smallest", "density": 0.3},
    "random": {"mask": "random", "density": 0.3},
    "momentum": {"momentum": 0.6},
    "sharpness": {"sharpness": 1.0},
    "look ahead": {"look_ahead": 1.0},
    "blocks": {"blocks": 2},
    "blocks, momentum, centres": {"blocks": 2, "momentum": 0.5, "sharpness": 0.5, "look_ahead": 2.0},
    "magnitude": {"scalar": "magnitude"},
    "all": {
        "split_bytes": True, "mask": "random", "density": 0.5, "momentum": 0.5, "sharpness": 0.5,
        "look_ahead": 1.0, "scalar": "magnitude",
    },
    "all that goes with decay, split": {
        "split_bytes": True, "momentum": 0.5, "look_ahead": 1.0, "weight_decay": 0.01, "scalar": "magnitude",
    },
}  # fmt: skip
EVERY_PART = pytest.mark.parametrize("name", PARTS)


def bits_of(name: str) -> int:
    """Return the weight width that a case is meant for."""
    return 8 if "split" in name or "sparse" in name or name == "all" else 16


def trained(name: str, steps: int = 6, **how):
    program, x, y = image_program(bits_of(name))
    config = dataclasses.replace(BASE, **PARTS[name])
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x), **how)
    report = trainer.fit(x, y, steps)
    return trainer, report


def digest(trainer: Trainer) -> str:
    return constants_sha256({item.name: item.values for item in trainer.trainables})


@EVERY_PART
def test_threads_and_pairing_change_nothing(name):
    first, report = trained(name)
    for how in ({"threads": 2}, {"paired": True}, {"threads": 3, "paired": True}):
        other, again = trained(name, **how)
        assert digest(other) == digest(first), how
        assert [step.losses_plus for step in again.steps] == [step.losses_plus for step in report.steps]


@EVERY_PART
def test_a_run_replays_from_its_scalars(name):
    trainer, report = trained(name)
    program, _, _ = image_program(bits_of(name))
    again = Trainer(program, trainer.config, LinearCrossEntropy(), trainer.batch)
    replay(again, [step.scalars for step in report.steps])
    assert digest(again) == digest(trainer)


@EVERY_PART
def test_the_loss_falls(name):
    trainer, report = trained(name, steps=200)
    losses = [step.mean_loss for step in report.steps]
    assert np.mean(losses[-20:]) < np.mean(losses[:5]), name
    assert report.forwards == 200 * forwards_of_a_step(trainer.config)


def direction(item, config, step, number, *, weights, own, bounds=None):
    """Put z together by the definitions."""
    code = int(config.distribution != "gaussian")
    table, stream = direction_table(code), (config.seed, step, number, item.tensor, 0)
    z = fill_direction_ref(table, *stream, code, output_size=item.values.size)
    if config.momentum:
        z = guide_direction_ref(z, weights, table, config.seed, step, item.tensor, 0, own, code)
    if item.parts.density < 2**16:
        z = thin_direction_ref(z, item.parts.density, *stream)
    if item.parts.fixed_density < 2**16:
        z = thin_direction_ref(z, item.parts.fixed_density, config.seed, 0, 2**24 - 1, item.tensor, 0)
    if item.parts.bounds is not None:
        z = mask_direction_ref(z, item.values.reshape(-1), *item.parts.bounds)
    return z


COMPOSED = [name for name in PARTS if name not in ("blocks", "magnitude")]


@pytest.mark.parametrize("name", COMPOSED)
def test_steps_equal_the_definitions(name):
    """Three steps of a dense network, probes and updates, out of nothing but reference functions."""
    program = dense_program(bits_of(name))
    x, y = dense_integers(program)
    config = dataclasses.replace(BASE, **PARTS[name])
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    guidance = trainer._guidance
    for step in range(3):
        expected_losses, ascent = [], 0
        active = [item for item in trainer.trainables if item.block == step % config.blocks]
        numbers = ([config.num_directions] if config.sharpness else []) + list(range(config.num_directions))
        own, history = guidance.own, guidance.history.copy()
        before = guidance.own_before, guidance.history_before.copy()
        last = guidance.last.copy()
        saved = {item.name: item.values.copy() for item in trainer.trainables}

        def z_of(item, step, number, which, own=own, history=history, before=before):
            chosen = (own, history) if which == "now" else before
            return direction(item, config, step, number, weights=chosen[1][item.block], own=chosen[0])

        for number in numbers:
            for sign in (1, -1):
                arrays = {item.name: item.read for item in trainer.trainables}
                for item in trainer.trainables:  # the last step may have moved another block
                    flat = saved[item.name].reshape(-1)
                    none = np.zeros(item.parts.decay.size, np.int32)
                    rule = (config.seed, step, item.tensor, 0, 0)
                    if config.sharpness:
                        up = ascent if item in active else 0
                        g = -up * z_of(item, step, config.num_directions, "now").astype(np.int64)
                        flat, _ = descend_ref(flat, g, *item.parts.uphill, none, *rule)
                    if config.look_ahead:
                        g = sum(
                            int(s) * z_of(item, max(step - 1, 0), i, "before").astype(np.int64)
                            for i, s in enumerate(last[item.block])
                        )
                        flat, _ = descend_ref(flat, g, *item.parts.ahead, none, *rule)
                    perturbed = perturb_split_ref if item.split else perturb_along_ref
                    own_sign = sign if item in active else 0
                    moved = perturbed(flat, item.epsilon, z_of(item, step, number, "now"), own_sign)
                    arrays[item.name] = moved.reshape(item.values.shape)
                objective = LinearCrossEntropy()
                objective.prepare(program, len(x))
                loss = objective(run_program(program.with_constants(arrays), x), y)
                expected_losses.append(loss)
            if number == config.num_directions:
                ascent = int(np.sign(expected_losses[-2] - expected_losses[-1]))
                expected_losses = []
        report = trainer.step(x, y)
        assert list(report.losses_plus) == expected_losses[::2]
        assert list(report.losses_minus) == expected_losses[1::2]
        for item in trainer.trainables:
            if item not in active:
                np.testing.assert_array_equal(item.values, saved[item.name])
                continue
            flat, now = saved[item.name].reshape(-1), item.values.copy()
            item.values[:] = saved[item.name]  # what the mask of an update sees
            g = sum(s * z_of(item, step, i, "now").astype(np.int64) for i, s in enumerate(report.scalars))
            item.values[:] = now
            scale = (item.multiplier, item.shift, item.parts.decay)
            wanted, _ = descend_ref(flat, g, *scale, config.seed, step, item.tensor, 1, 0)
            np.testing.assert_array_equal(now.reshape(-1), wanted, f"{item.name} in step {step}")


@pytest.mark.parametrize("mask", ["largest", "smallest", "random"])
def test_a_mask_trains_its_share_and_nothing_else(mask):
    program, x, y = image_program()
    config = dataclasses.replace(BASE, mask=mask, density=0.25, learning_rate=1e-3)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    before = {item.name: item.values.copy() for item in trainer.trainables if item.role == "weights"}
    trainer.fit(x, y, 4)
    moved = {
        item.name: item.values != before[item.name] for item in trainer.trainables if item.name in before
    }
    share = sum(m.sum() for m in moved.values()) / sum(m.size for m in moved.values())
    assert 0.1 < share < 0.4
    for name, mine in moved.items():
        constant = program.constants[name]
        shape = [1] * mine.ndim
        shape[constant.axis] = -1
        size = np.abs(before[name] * constant.scale.reshape(shape))
        if mask == "largest":
            assert size[mine].min(initial=np.inf) >= np.quantile(size, 0.7)
        if mask == "smallest":
            assert size[mine].max(initial=0) <= np.quantile(size, 0.3)


def test_look_ahead_and_momentum_begin_with_nothing():
    """The first step of both is the first step of neither."""
    program, x, y = image_program()
    losses = []
    for extra in ({"weight_decay": 1e-9}, {"look_ahead": 3.0}, {"momentum": 0.9}):
        trainer = Trainer(program, dataclasses.replace(BASE, **extra), LinearCrossEntropy(), len(x))
        losses.append(trainer.probe(trainer.features(x), y)[:2])
    assert losses[0] == losses[1] == losses[2]


def test_a_composed_direction_that_is_a_draw_steps_as_the_plain_one():
    """Weight decay of next to nothing sends a run down the other path: the bits stay."""
    program, x, y = image_program()
    plain = Trainer(program, BASE, LinearCrossEntropy(), len(x))
    other = Trainer(program, dataclasses.replace(BASE, weight_decay=1e-12), LinearCrossEntropy(), len(x))
    for _ in range(3):
        assert plain.step(x, y) == other.step(x, y)
    assert digest(plain) == digest(other)


def test_split_bytes_are_written_back_as_eight_bits_and_run_the_same():
    trainer, _ = trained("split bytes", steps=30)
    _, x, _ = image_program(8)
    program = trainer.adapted()
    for item in (item for item in trainer.trainables if item.role == "weights"):
        assert program.constants[item.name].data.dtype == np.int8
        np.testing.assert_array_equal(program.constants[item.name].data, item.read)
        assert (item.values % 256 != 0).any()  # there is something in the lower bytes
    objective = LinearCrossEntropy()
    objective.prepare(program, len(x))
    run_program(program, x)


def test_last_k_trains_the_last_layers_only():
    program, x, _ = image_program()
    trainer = Trainer(
        program, dataclasses.replace(BASE, scope="last_k", layers=2), LinearCrossEntropy(), len(x)
    )
    assert len({item.call for item in trainer.trainables}) == 2
    with pytest.raises(TrainingError, match="layers must be at most"):
        make_trainables(program, dataclasses.replace(BASE, scope="last_k", layers=9))


def test_scratch_grows_by_a_slab_only():
    program, x, _ = image_program()
    plain = Trainer(program, BASE, LinearCrossEntropy(), len(x)).scratch_bytes
    other = dataclasses.replace(BASE, momentum=0.9, sharpness=1.0, look_ahead=1.0)
    composed = Trainer(program, other, LinearCrossEntropy(), len(x)).scratch_bytes
    largest = max(item.values.size for item in make_trainables(program, BASE))
    assert composed - plain <= 13 * max(largest, 2**13)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"density": 0.5}, "density 0.5 needs a mask"),
        ({"mask": "top"}, "mask must be one of"),
        ({"momentum": 1.0}, "momentum must be a number in"),
        ({"momentum": float("nan")}, "momentum must be a number in"),
        ({"weight_decay": -1}, "weight_decay must be"),
        ({"rows": "split", "sharpness": 1.0}, "sharpness needs a direction that sees the whole batch"),
        ({"scope": "affine", "split_bytes": True}, "neither a mask nor split bytes"),
        ({"mask": "random", "density": 0.5, "weight_decay": 0.1}, "weights that a mask leaves alone"),
        ({"relative": "yes"}, "relative must be true or false"),
        ({"epsilon": True}, "epsilon must be a positive finite number"),
        ({"epsilon": 10**400}, "epsilon must be a positive finite number"),
        ({"form": "paper", "distribution": "gaussian", "momentum": 0.5}, "the paper's plain estimator"),
        ({"blocks": 0}, "blocks must be an integer"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(BASE, **settings)


def test_split_bytes_and_blocks_that_do_not_fit_the_network_are_refused():
    program, _, _ = image_program(16)
    with pytest.raises(TrainingError, match="split bytes are for 8-bit weights"):
        make_trainables(program, dataclasses.replace(BASE, split_bytes=True))
    with pytest.raises(TrainingError, match="blocks must be at most 4"):
        make_trainables(program, dataclasses.replace(BASE, blocks=5))
