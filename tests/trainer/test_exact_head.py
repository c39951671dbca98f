"""The exact head: alone, and beside forward gradients of the body."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxpgrad.errors import TrainingError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.program.execute import run_program, run_reference
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.quantize import quantize_graph
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.head import ExactHead
from fxpgrad.trainer.objective import LinearCrossEntropy, PrototypeCrossEntropy
from fxpgrad.trainer.trainer import Trainer
from tests.trainer.small_programs import dense_integers, dense_program, image_program

ALONE = TrainerConfig(scope="lp", head="exact", head_rate=1.0, seed=2)
BOTH = TrainerConfig(
    scope="affine", head="exact", num_directions=5, rows="split", epsilon=3e-2, learning_rate=1e-2,
    distribution="rademacher", seed=2,
)  # fmt: skip


def float_head_loss(program, x, y, values):
    """The mean cross-entropy of a float head on the features that the integers give."""
    call = program.calls[-1]
    features = (
        run_reference(program, x)[call.inputs[0]].astype(np.float64) - call.parameters["input_zero_point"]
    )
    logits = (features @ values[0].T + values[1]) * program.constants[call.constants["bias"]].scale
    logits -= logits.max(axis=1, keepdims=True)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return features, shares, -np.log(shares[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("bits", [8, 16])
def test_one_step_follows_the_gradient_of_the_float_loss(bits: int) -> None:
    program = dense_program(bits)
    x, y = dense_integers(program)
    call = program.calls[-1]
    before = [program.constants[call.constants[role]].data.astype(np.float64) for role in ("weights", "bias")]
    config = dataclasses.replace(ALONE, rounding="nearest", head_rate=0.5)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    report = trainer.fit(x, y, 1)
    features, shares, loss = float_head_loss(program, x, y, before)
    assert report.steps[0].mean_loss == pytest.approx(loss, abs=1e-5)
    assert report.forwards == 1
    shares[np.arange(len(y)), y] -= 1
    scale = program.constants[call.constants["weights"]].scale  # one a class
    gradient = shares.T @ features / scale[:, None]
    after = trainer.adapted().constants[call.constants["weights"]].data
    moved = after - before[0]
    cosine = (moved * gradient).sum() / np.sqrt((moved**2).sum() * (gradient**2).sum())
    assert cosine < -0.99


def test_alone_it_fits_the_data_in_few_inferences() -> None:
    program = dense_program()
    x, y = dense_integers(program)
    trainer = Trainer(program, ALONE, LinearCrossEntropy(), len(x))
    trainer.fit(x, y, 100)
    assert (run_program(trainer.adapted(), x).argmax(1) == y).mean() > 0.9


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("paired", [False, True])
def test_beside_forward_gradients_it_gives_the_same_bits_however_it_is_run(
    threads: int, paired: bool
) -> None:
    program, x, y = image_program(8)
    trainer = Trainer(program, BOTH, LinearCrossEntropy(), len(x))
    trainer.fit(x, y, 10)
    other = Trainer(program, BOTH, LinearCrossEntropy(), len(x), threads=threads, paired=paired)
    other.fit(x, y, 10)
    assert other.adapted().constants_sha256() == trainer.adapted().constants_sha256()


def test_beside_forward_gradients_the_loss_falls_and_the_given_program_stays() -> None:
    program, x, y = image_program(8)
    digest = program.constants_sha256()
    trainer = Trainer(program, BOTH, LinearCrossEntropy(), len(x))
    report = trainer.fit(x, y, 100)
    assert program.constants_sha256() == digest
    assert report.steps[-1].mean_loss < 0.8 * report.steps[0].mean_loss
    adapted = trainer.adapted()
    np.testing.assert_array_equal(run_program(adapted, x), run_reference(adapted, x)[adapted.outputs[0]])


def test_it_needs_the_linear_objective() -> None:
    program, _, _ = image_program(8)
    with pytest.raises(TrainingError, match="choose that objective"):
        ExactHead(program, BOTH, PrototypeCrossEntropy(3, 1.0), 6, {})


def test_a_network_of_nothing_but_its_head_is_trained_whatever_the_scope() -> None:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("head")
    x = builder.input("x", (8,))
    out = builder.fully_connected(x, rng.normal(0, 0.3, (3, 8)))
    graph = quantize_graph(builder.build([out]), {x: (-3.0, 3.0), out: (-3.0, 3.0)}, 8)
    program = with_accumulator_output(lower(graph))
    data, y = dense_integers(program)
    found = []
    for config in (ALONE, dataclasses.replace(BOTH, num_directions=4)):
        trainer = Trainer(program, config, LinearCrossEntropy(), len(data))
        report = trainer.fit(data, y, 5)
        assert report.forwards == 5
        found.append(trainer.adapted().constants_sha256())
    assert found[0] == found[1]
