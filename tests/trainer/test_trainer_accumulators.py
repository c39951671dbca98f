"""Training keeps every accumulator proved, and treats depthwise channels as what they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxpgrad.errors import InputError, LoweringError, TrainingError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.program.execute import Executor, run_program, run_reference
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.prove import prove
from fxpgrad.quantize import quantize_graph
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.scopes import make_trainables
from fxpgrad.trainer.trainable import distribution_code, largest_probe, probe_pair
from fxpgrad.trainer.trainer import Trainer
from fxpgrad.trainer.widths import AccumulatorWidths
from fxpgrad_kernels.loss.cross_entropy_ref import cross_entropy_linear_ref
from fxpgrad_kernels.random.distributions import direction_table
from tests.kernels.tflm_weighted import weighted_cases
from tests.program.weighted_graphs import layer_graph
from tests.trainer.small_programs import dense_integers, dense_program, image_program

WIDE = 700  # inputs per output: beyond 511, full 16-bit weights can leave int32


def wide_program(hidden: int = 2) -> tuple[Program, np.ndarray, np.ndarray]:
    """A dense network whose first layer is less than one step of each weight below the int32 bound."""
    builder = GraphBuilder("wide")
    x = builder.input("x", (WIDE,))
    rng = np.random.default_rng(0)
    weights = np.where(rng.random((hidden, WIDE)) < 0.5, -1.0, 1.0).astype(np.float32)
    h = builder.fully_connected(x, weights, np.zeros(hidden, np.float32))
    out = builder.fully_connected(
        h, rng.normal(0, 1, (3, hidden)).astype(np.float32), np.zeros(3, np.float32)
    )
    # The output range is small, so that the multiplier is large and a saturated sum stays exact.
    ranges = {x: (-1.0, 1.0), h: (-0.05, 0.05), out: (-1.0, 1.0)}
    program = with_accumulator_output(lower(quantize_graph(builder.build([out]), ranges, 16)))
    name = program.calls[0].constants["weights"]
    bias = program.calls[0].constants["bias"]
    largest = (2**31 - 1) // (128 * WIDE)
    full = (np.sign(program.constants[name].data) * largest).astype(np.int16)
    zero_bias = np.zeros_like(program.constants[bias].data)
    program = program.with_constants({name: full, bias: zero_bias})
    # Balance the signs, so that the zero point adds nothing and every bound is 128 * sum |w|.
    balanced = np.where(np.arange(WIDE) % 2 == 0, largest, -largest).astype(np.int16)
    program = program.with_constants({name: np.tile(balanced, (hidden, 1))})
    data = rng.integers(-128, 128, (6, WIDE)).astype(np.int8)
    data[0] = np.where(balanced > 0, 127, -128)
    return program, data, (np.arange(6) % 3).astype(np.int32)


def test_a_probe_beyond_int32_is_summed_in_64_bits() -> None:
    program, x, y = wide_program()
    proofs = prove(program)
    assert proofs[0].fits_int32
    assert program.calls[0].parameters["accumulator_bits"] == 32
    assert 2**31 - proofs[0].bound < 128 * WIDE
    config = TrainerConfig(epsilon=1e-1, learning_rate=1e-3, seed=1, train_bias=False, num_directions=2)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    assert trainer._widths.choose(0)[program.calls[0].name] == 64
    report = trainer.step(x, y)
    objective = trainer._objective
    table = direction_table(distribution_code(config))
    expected = []
    for direction in range(2):
        for sign in (1, -1):
            changed = {}
            for item in make_trainables(program, config):
                changed[item.name] = item.perturb.reference(
                    item.values.reshape(-1), item.epsilon, table, 1, 0, direction, item.tensor, sign, 0, 0
                ).reshape(item.values.shape)
            wide = dataclasses.replace(
                program.with_constants(changed),
                calls=tuple(
                    dataclasses.replace(call, parameters={**call.parameters, "accumulator_bits": 64})
                    for call in program.calls
                ),
            )
            out = run_reference(wide, x)[program.outputs[0]]
            loss = cross_entropy_linear_ref(out, objective._multiplier, objective._shift, y)
            expected.append(int(loss.sum()))
    assert [*report.losses_plus] == expected[0::2]
    assert [*report.losses_minus] == expected[1::2]


def test_adapted_weights_beyond_int32_are_summed_in_64_bits() -> None:
    program, x, _ = wide_program()
    config = TrainerConfig(epsilon=1e-1, learning_rate=1e-1, seed=1, train_bias=False)
    grown = []
    for sign in (1, -1):  # opposite steps: one of them makes the sums of |w| larger
        trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
        trainer.apply((sign,) * 3)
        grown.append(trainer.adapted())
    adapted = next(candidate for candidate in grown if not prove(candidate)[0].fits_int32)
    assert adapted.calls[0].parameters["accumulator_bits"] == 64
    np.testing.assert_array_equal(run_program(adapted, x), run_reference(adapted, x)[adapted.outputs[0]])


def test_constants_that_outgrow_their_accumulators_cannot_run() -> None:
    program, x, _ = wide_program()
    name = program.calls[0].constants["weights"]
    grown = program.with_constants({name: np.full_like(program.constants[name].data, 32767)})
    with pytest.raises(LoweringError, match="beyond the int32 it is given"):
        Executor(grown, len(x))


def test_depthwise_channels_get_their_own_probe_and_update() -> None:
    program, x, _ = image_program()
    config = TrainerConfig(epsilon=1e-2, learning_rate=2e-2, seed=3)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    call = next(call for call in program.calls if call.kernel.startswith("depthwise"))
    constant = program.constants[call.constants["weights"]]
    item = next(item for item in trainer.trainables if item.name == constant.name)
    assert constant.scale is not None
    assert len(set(constant.scale)) > 1, "the channels must differ for this test to see anything"
    shape = constant.data.shape
    steps = np.broadcast_to(np.rint(config.epsilon / constant.scale), shape)
    np.testing.assert_array_equal(item.epsilon.reshape(shape), steps)
    real = item.multiplier.astype(np.float64) * np.exp2(item.shift - 31.0)
    wanted = np.broadcast_to(config.learning_rate / 32 / (3 * constant.scale), shape)
    np.testing.assert_allclose(real.reshape(shape), wanted, rtol=1e-8)


def test_the_bound_of_a_perturbed_depthwise_layer_is_taken_by_channel() -> None:
    program, x, _ = image_program()
    config = TrainerConfig(epsilon=1e-2)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    call = next(call for call in program.calls if call.kernel.startswith("depthwise"))
    items = {item.role: item for item in trainer.trainables if item.call == call.name}
    # One channel at full scale: 9 taps stay far below int32; rows of 9 mixed channels would hide it. No probe
    # makes saturated weights larger.
    items["weights"].values[..., 0] = 32767
    zero_point = call.parameters["input_zero_point"]
    limit = (128 + abs(zero_point)) * 9 * 32767
    bias = items["bias"].values
    bias[:] = 0
    most = 2**31 - 1 - limit - largest_probe(items["bias"], config)
    bias[0] = most if zero_point <= 0 else -most

    def width() -> int:
        return AccumulatorWidths(program, {call.name: list(items.values())}, config).choose(0)[call.name]

    assert width() == 32
    bias[0] += 1 if bias[0] >= 0 else -1
    assert width() == 64


def test_a_width_is_looked_at_again_before_any_run_of_updates_can_outgrow_it() -> None:
    program, x, _ = wide_program()
    config = TrainerConfig(epsilon=1e-4, learning_rate=3e-2, seed=1, train_bias=False, num_directions=2)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    items = {item.call: [item] for item in trainer.trainables}
    for step in range(30):
        fresh = AccumulatorWidths(program, items, config).choose(0)
        kept = trainer._widths.choose(step)
        assert all(kept[name] >= bits for name, bits in fresh.items())
        assert trainer._widths.choose(step) is kept
        trainer.apply((1, -1))


def test_bad_labels_and_signs_never_reach_a_kernel() -> None:
    program = dense_program()
    x, y = dense_integers(program)
    trainer = Trainer(program, TrainerConfig(epsilon=1e-2), LinearCrossEntropy(), len(x))
    for labels in (y + 10**6, y - 5, y[:10], y.astype(np.float32), y.tolist()):
        with pytest.raises(InputError, match="labels must"):
            trainer.step(x, labels)
    for signs in ((1,), (5, 9, -7), (1, 1, 1, 1)):
        with pytest.raises(InputError, match="scalars must be 3 integers"):
            trainer.apply(signs)
    assert trainer.steps_taken == 0


def test_shared_weights_are_refused() -> None:
    program = dense_program()
    shared = program.calls[0].constants["bias"]
    second = dataclasses.replace(program.calls[1], constants={**program.calls[1].constants, "bias": shared})
    twice = dataclasses.replace(program, calls=(program.calls[0], second))
    with pytest.raises(TrainingError, match="read by two calls"):
        Trainer(twice, TrainerConfig(epsilon=1e-2), LinearCrossEntropy(), 4)


@pytest.mark.parametrize("family", ["transpose_conv2d_a8w8", "fully_connected_a16w8_bias64"])
def test_layers_without_a_proved_accumulator_width_are_not_trained(family: str) -> None:
    program = lower(layer_graph(family, weighted_cases(family)[0]))
    with pytest.raises(TrainingError, match="cannot be trained: only convolutions and dense layers of int8"):
        make_trainables(program, TrainerConfig())


def wide_head() -> tuple[Program, np.ndarray, np.ndarray]:
    """A lone dense layer whose int32 accumulators are the output: 64 bits are no way out."""
    builder = GraphBuilder("head")
    x = builder.input("x", (WIDE,))
    rng = np.random.default_rng(0)
    out = builder.fully_connected(x, rng.normal(0, 1, (3, WIDE)).astype(np.float32), np.zeros(3, np.float32))
    graph = quantize_graph(builder.build([out]), {x: (-1.0, 1.0), out: (-1.0, 1.0)}, 16)
    program = with_accumulator_output(lower(graph))
    data = rng.integers(-128, 128, (6, WIDE)).astype(np.int8)
    return program, data, (np.arange(6) % 3).astype(np.int32)


def test_a_bound_over_all_directions_refuses_no_step_whose_own_probes_fit() -> None:
    program, x, y = wide_head()
    name = program.calls[0].constants["weights"]
    scale = program.constants[name].scale
    assert scale is not None
    full = np.full((3, WIDE), 23900, np.int16) * np.where(np.arange(WIDE) % 2, 1, -1).astype(np.int16)
    program = program.with_constants({name: full})
    outcomes = set()
    for steps in (1, 10, 3000):
        config = TrainerConfig(
            epsilon=float(scale.min()) * steps, learning_rate=1e-9, train_bias=False, seed=2
        )
        trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
        item = trainer.trainables[0]
        loose = prove(program)[0].bound + 256 * WIDE * largest_probe(item, config) < 2**31
        fits = all(
            prove(program.with_constants({name: values}))[0].fits_int32
            for direction in range(3)
            for values in probe_pair(item, config, 0, direction)
        )
        outcomes.add((loose, fits))
        if fits:
            trainer.step(x, y)
        else:
            with pytest.raises(TrainingError, match="training has grown the weights too far"):
                trainer.step(x, y)
    assert outcomes == {(True, True), (False, True), (False, False)}
