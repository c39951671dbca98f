"""A layer whose probes leave int32 is prepared for 64-bit sums too, not only run with them."""

from __future__ import annotations

import dataclasses

import numpy as np

from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.program.execute import run_reference
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.prove import prove
from fxpgrad.quantize import quantize_graph
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainable import distribution_code
from fxpgrad.trainer.trainer import Trainer
from fxpgrad_kernels.loss.cross_entropy_ref import cross_entropy_linear_ref
from fxpgrad_kernels.random.distributions import direction_table

CONFIG = TrainerConfig(epsilon=1e-1, learning_rate=1e-3, seed=1, num_directions=1)


def depthwise_on_the_edge() -> Program:
    """A depthwise layer whose first bias leaves it just below the int32 bound; the others are ordinary."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder("edge")
    x = builder.input("x", (4, 4, 3))
    weights, bias = rng.normal(0, 0.3, (1, 3, 3, 3)), np.array([0.5, 0.5, -0.4])
    d = builder.depthwise_conv2d(x, weights, bias, padding="same")
    p = builder.global_average_pool2d(d)
    out = builder.fully_connected(p, rng.normal(0, 1, (3, 3)).astype(np.float32))
    ranges = {x: (-1.0, 1.0), d: (-2.0, 2.0), p: (-2.0, 2.0), out: (-1.0, 1.0)}
    program = with_accumulator_output(lower(quantize_graph(builder.build([out]), ranges, 16)))
    name = program.calls[0].constants["bias"]
    for _ in range(2):  # the largest bound is linear in a bias that is large enough
        largest = program.constants[name].data.copy()
        largest[0] += 2**31 - 10 - prove(program)[0].bound
        program = program.with_constants({name: largest})
    return program


def test_depthwise_probes_beyond_int32_equal_their_definition() -> None:
    program = depthwise_on_the_edge()
    assert prove(program)[0].fits_int32
    x = np.random.default_rng(1).integers(-128, 128, (6, 4, 4, 3)).astype(np.int8)
    y = (np.arange(6) % 3).astype(np.int32)
    trainer = Trainer(program, CONFIG, LinearCrossEntropy(), len(x))
    before = {item.name: item.values.copy() for item in trainer.trainables}
    assert trainer._widths.choose(0)[program.calls[0].name] == 64
    report = trainer.step(x, y)
    table, objective = direction_table(distribution_code(CONFIG)), trainer._objective
    losses = []
    for sign in (1, -1):
        changed = {
            item.name: item.perturb.reference(
                before[item.name].reshape(-1), item.epsilon, table, 1, 0, 0, item.tensor, sign, 0, 0
            ).reshape(before[item.name].shape)
            for item in trainer.trainables
        }
        calls = tuple(
            dataclasses.replace(call, parameters={**call.parameters, "accumulator_bits": 64})
            if "accumulator_bits" in call.parameters
            else call
            for call in program.calls
        )
        wide = dataclasses.replace(program.with_constants(changed), calls=calls)
        out = run_reference(wide, x)[program.outputs[0]]
        losses.append(int(cross_entropy_linear_ref(out, objective._multiplier, objective._shift, y).sum()))
    assert [*report.losses_plus, *report.losses_minus] == losses
