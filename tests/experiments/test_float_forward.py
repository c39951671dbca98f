"""Float forward gradients take the integer trainer's steps, but for its rounding."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.experiments.backprop import graph_parameters, torch_forward
from fxpgrad.experiments.float_forward import FloatForward
from fxpgrad.program.execute import run_program
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import quantize_input
from fxpgrad.quantize import quantize
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer
from tests.experiments.small_networks import learnable_data, residual_graph

torch = pytest.importorskip("torch", reason="torch is not installed")

STEPS = 16
CONFIGS = {
    "ft": TrainerConfig(
        scope="ft", num_directions=3, epsilon=2e-2, learning_rate=1e-2, relative=True, seed=5
    ),
    "ft real units": TrainerConfig(scope="ft", num_directions=2, epsilon=1e-2, learning_rate=3e-3, seed=1),
    "ft split": TrainerConfig(
        scope="ft", num_directions=2, rows="split", epsilon=2e-2, learning_rate=3e-3, relative=True
    ),
    "lp": TrainerConfig(scope="lp", num_directions=4, epsilon=1e-1, learning_rate=1e-2, train_bias=False),
    "affine": TrainerConfig(scope="affine", num_directions=3, epsilon=6e-2, learning_rate=1e-2, seed=2),
    "affine split": TrainerConfig(
        scope="affine", num_directions=8, rows="split", epsilon=1e-1, learning_rate=1e-2,
        distribution="rademacher", schedule="linear", head="exact", head_rate=0.5,
    ),
    "exact": TrainerConfig(scope="lp", head="exact", schedule="linear"),
}  # fmt: skip


@cache
def integer_program() -> Program:
    quantized = quantize(residual_graph(), learnable_data()[0], 16, headroom=1.5)
    return with_accumulator_output(lower(quantized))


def both(config: TrainerConfig, batch: int) -> tuple[FloatForward, Trainer, tuple[np.ndarray, ...], Program]:
    graph, (x, y) = residual_graph(), learnable_data()
    program = integer_program()
    integers = quantize_input(program.tensors["x"], x)
    return (
        FloatForward(graph, program, config, batch),
        Trainer(program, config, LinearCrossEntropy(), batch),
        (x, y, integers),
        program,
    )


@pytest.mark.parametrize("name", list(CONFIGS))
def test_float_and_integer_runs_take_nearly_the_same_steps(name: str) -> None:
    ours, theirs, (x, y, integers), _ = both(CONFIGS[name], 32)
    floats = ours.fit(x, y, STEPS)
    fixed = theirs.fit(integers, y, STEPS).steps
    losses = np.array([step.losses_plus + step.losses_minus for step in floats])
    same = np.array([step.losses_plus + step.losses_minus for step in fixed]) / 2.0**24
    np.testing.assert_allclose(losses, same, rtol=0.15, atol=0.3)
    signs = [np.array([step.scalars for step in run]).ravel() for run in (floats, fixed)]
    if name != "exact":
        assert (signs[0] == signs[1]).mean() > 0.85
    else:
        assert losses[-1] < losses[0] - 1


@pytest.mark.parametrize("name", ["ft", "affine", "affine split", "exact"])
def test_the_same_signs_give_the_same_weights(name: str) -> None:
    """With the same signs, what is left between the runs is rounding."""
    config = CONFIGS[name]
    if name != "exact":
        config = dataclasses.replace(config, head="forward")
    ours, theirs, (x, y, integers), program = both(config, 16)
    step = ours.fit(x[:16], y[:16], 1)[0]
    if name == "exact":
        theirs.fit(integers[:16], y[:16], 1)
    else:
        theirs.apply(step.scalars)
    logits = torch_forward(residual_graph(), ours.parameters(), x).numpy()
    scale = program.constants[program.calls[-1].constants["bias"]].scale
    real = run_program(theirs.adapted(), integers) * scale
    start = torch_forward(residual_graph(), {}, x).numpy()
    assert np.abs(logits - real).max() < 0.15
    assert np.corrcoef((logits - start).ravel(), (real - start).ravel())[0, 1] > 0.7


def test_pair_of_losses_is_that_of_perturbed_weights() -> None:
    """One direction, by hand: the losses at w + epsilon z and w - epsilon z, and the step along z."""
    config = TrainerConfig(scope="lp", num_directions=1, epsilon=0.05, learning_rate=0.02, seed=9)
    ours, _, (x, y, _), _ = both(config, 16)
    graph = ours.graph
    z = dict(zip(graph.nodes[-1].inputs[-2:], [z[0] for z in ours._directions.draw(0)], strict=True))
    step = ours.fit(x[:16], y[:16], 1)[0]
    start = graph_parameters(graph)
    for sign, loss in ((1, step.losses_plus[0]), (-1, step.losses_minus[0])):
        moved = {name: start[name] + np.float32(sign * 0.05 / 32) * z[name] for name in z}
        logits = torch_forward(graph, moved, x[:16]).double()
        whole = torch.nn.functional.cross_entropy(logits, torch.as_tensor(y[:16]).long(), reduction="sum")
        assert loss == pytest.approx(float(whole), rel=1e-6)
    for name, value in ours.parameters().items():
        wanted = start[name] - (step.scalars[0] * np.float32(0.02 / 32) * z[name] if name in z else 0)
        np.testing.assert_allclose(value, wanted, atol=1e-7)


def test_split_rows_judge_a_direction_by_its_own_rows() -> None:
    config = CONFIGS["affine split"]
    ours, _, (x, y, _), _ = both(config, 16)
    alone, _, _, _ = both(dataclasses.replace(config, num_directions=1, rows="shared", head="forward"), 2)
    whole, _, _, _ = both(dataclasses.replace(config, head="forward"), 16)
    split, single = whole.fit(x[:16], y[:16], 1)[0], alone.fit(x[:2], y[:2], 1)[0]
    assert split.losses_plus[0] == pytest.approx(single.losses_plus[0], rel=1e-5)
    assert split.losses_minus[0] == pytest.approx(single.losses_minus[0], rel=1e-5)
    assert len(ours.fit(x[:16], y[:16], 1)[0].scalars) == 8


def test_runs_repeat_and_bad_batches_are_refused() -> None:
    first, second = (both(CONFIGS["affine split"], 16)[0] for _ in range(2))
    x, y = learnable_data()
    assert first.fit(x, y, 3) == second.fit(x, y, 3)
    for name, value in first.parameters().items():
        np.testing.assert_array_equal(value, second.parameters()[name])
    with pytest.raises(InputError, match="cannot be split evenly"):
        both(CONFIGS["affine split"], 12)
    with pytest.raises(InputError, match="cannot fill a batch"):
        first.fit(x[:15], y[:15], 1)
    with pytest.raises(InputError, match="form 'exact' only"):
        both(TrainerConfig(form="paper"), 4)
