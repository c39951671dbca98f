"""The executor against the references, tensor by tensor, and against real arithmetic."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxpgrad.errors import InputError, LoweringError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.float_execution import run_float
from fxpgrad.program.execute import Executor, run_layers, run_program, run_reference
from fxpgrad.program.lower import lower
from fxpgrad.program.real_values import dequantize_output, quantize_input
from fxpgrad.quantize import quantize
from fxpgrad.quantize.quantize_graph import dequantized_float_graph
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from tests.kernels.tflm_weighted import weighted_cases
from tests.program.random_programs import (
    averages,
    quantized_graph,
    random_program,
    random_samples,
    small_network,
)
from tests.program.weighted_graphs import svdf_graph

SEEDS = (*range(8), *range(9, 13))  # 8: see test_a_scale_that_a_profile_cannot_express_is_refused
every_profile = pytest.mark.parametrize("profile", PROFILES)


@every_profile
@pytest.mark.parametrize("seed", SEEDS)
def test_execution_equals_reference_layer_by_layer(seed: int, profile: str) -> None:
    program = random_program(seed, profile)
    x = random_samples(program, seed)
    expected = run_reference(program, x)
    actual = dict(Executor(program, len(x)).layers(x))
    assert set(actual) == set(expected) == set(program.tensors)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, name)
        assert actual[name].dtype == value.dtype == program.tensors[name].dtype


@pytest.mark.deep
@every_profile
def test_execution_equals_reference_on_many_graphs(profile: str) -> None:
    refused = 0
    for seed in range(1000, 1150):
        if profile == "onnx_float32" and averages(seed):
            continue
        try:
            random_program(seed, profile)
        except LoweringError:
            refused += 1
            continue
        test_execution_equals_reference_layer_by_layer(seed, profile)
    assert refused <= (15 if profile == "tflite_16x8" else 0)


def test_a_scale_that_a_profile_cannot_express_is_refused() -> None:
    random_program(8, "tflite_single")
    with pytest.raises(LoweringError, match=r"concat_1/input_0.* shift lies in \[-31, 7\]"):
        random_program(8, "tflite_16x8")


@every_profile
@pytest.mark.parametrize("seed", [0, 2, 4, 6, 10, 12])
def test_split_multiplication_gives_the_same_bits(seed: int, profile: str) -> None:
    whole, split = random_program(seed, profile), random_program(seed, profile, split=True)
    assert any(call.kernel.endswith("_split") for call in split.calls)
    x = random_samples(whole, seed)
    np.testing.assert_array_equal(run_program(split, x), run_program(whole, x))


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_in_the_arena_changes_nothing(seed: int) -> None:
    program = random_program(seed)
    x = random_samples(program, seed)
    executor = Executor(program, len(x))
    clean = executor.run(x)
    rng = np.random.default_rng(seed)
    for fill in (0, 255, rng.integers(0, 256, executor._arena.size)):
        executor._arena[...] = fill
        np.testing.assert_array_equal(executor.run(x), clean)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sample_does_not_see_its_batch(seed: int) -> None:
    program = random_program(seed)
    x = random_samples(program, seed, batch=5)
    together = run_program(program, x)
    np.testing.assert_array_equal(
        together, np.concatenate([run_program(program, x[i : i + 1]) for i in range(5)])
    )
    np.testing.assert_array_equal(run_program(program, x, batch=2), together)


def test_run_gives_a_copy_and_the_same_bits_again() -> None:
    program = random_program(3)
    executor, x = Executor(program, 3), random_samples(program, 3)
    first = executor.run(x)
    kept = first.copy()
    executor.run(random_samples(program, 4))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(executor.run(x), kept)


def test_bound_calls_run_one_by_one_as_execute_runs_them_all() -> None:
    program = lower(small_network()[1])
    x = random_samples(program, 0)
    executor = Executor(program, len(x))
    whole = executor.run(x)
    executor.load(x)
    for bound in executor.calls:
        bound.run()
    np.testing.assert_array_equal(executor.value(program.outputs[0]), whole)
    lent = Executor(program, len(x), like=executor)
    np.testing.assert_array_equal(lent.run(x), whole)


def test_constants_prepared_for_another_program_are_refused() -> None:
    """Its kernels would read beyond the end of what a smaller layer has prepared."""
    program = lower(small_network()[1])
    for other in (lower(small_network(classes=200)[1]), lower(small_network()[1])):
        with pytest.raises(InputError, match="like must be an executor of the very same Program"):
            Executor(other, 1, like=Executor(program, 1))


@every_profile
@pytest.mark.parametrize("seed", SEEDS)
def test_every_layer_is_within_a_step_and_a_half_of_real_arithmetic(seed: int, profile: str) -> None:
    """Each layer on its own, fed with the integers that it got.

    The exact sum is rounded at most twice (one step of the output's scale), the fold of a division into
    a multiplier and the multiplier's own rounding cost less than that, and clamps lie on the grid (half a
    step). Beyond the ends of int8 both saturate.
    """
    graph = quantized_graph(seed)
    program = random_program(seed, profile)
    real_graph = dequantized_float_graph(graph)
    x = random_samples(program, seed)
    values = run_reference(program, x)
    infos = program.tensors
    real = {name: infos[name].scale * (values[name].astype(float) - infos[name].zero_point) for name in infos}
    for node in real_graph.nodes:
        sources = real_graph.activations_of(node)
        alone = dataclasses.replace(
            real_graph, nodes=(node,), inputs=tuple(dict.fromkeys(sources)), outputs=(node.output,)
        )
        feed = {name: real[name].astype(np.float32) for name in sources}
        info = infos[node.output]
        steps = run_float(alone, feed)[node.output].astype(float) / info.scale + info.zero_point
        error = np.abs(values[node.output] - np.clip(steps, -128, 127))
        assert error.max() <= 1.51, (node.name, node.op, error.max())


@every_profile
def test_a_small_network_follows_the_float_network(profile: str) -> None:
    """End to end: 8-bit activations of four layers err by one output step on average, by 8 at most."""
    graph, quantized, batch = small_network()
    program = lower(quantized, profile)
    info = program.tensors[program.inputs[0]]
    integers = run_program(program, quantize_input(info, batch))
    wanted = run_float(graph, batch)[graph.outputs[0]]
    error = np.abs(dequantize_output(program, integers) - wanted) / program.tensors[program.outputs[0]].scale
    assert error.max() <= 8
    assert error.mean() <= 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.astype(np.int16), "must be int8; got int16"),
        (lambda x: x.astype(float), "quantize real values first"),
        (lambda x: x.tolist(), "must be int8; got list"),
        (lambda x: x[0], "must have shape"),
        (lambda x: x[..., :-1], "must have shape"),
        (lambda x: x[:0], "is empty"),
        (lambda x: x[:1], "planned for batches of 3; got 1"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(change, message: str) -> None:
    program = random_program(1)
    with pytest.raises(InputError, match=message):
        Executor(program, 3).run(change(random_samples(program, 1)))


def test_a_program_of_two_inputs_asks_for_both() -> None:
    net = GraphBuilder("two")
    graph = net.build(net.add(net.input("a", (3,)), net.input("b", (3,))))
    rng = np.random.default_rng(0)
    real = {name: rng.normal(size=(8, 3)).astype(np.float32) for name in ("a", "b")}
    program = lower(quantize(graph, real))
    x = random_samples(program, 0)
    executor = Executor(program, len(x))
    for run in (executor.run, lambda x: run_program(program, x), lambda x: run_reference(program, x)):
        with pytest.raises(InputError, match="has the inputs a, b; give an array for each"):
            run(x)
    for name in program.inputs:
        executor.load(quantize_input(program.tensors[name], real[name][: len(x)]), name)
    for call in executor.calls:
        call.run()
    info = program.tensors[program.outputs[0]]
    steps = (real["a"] + real["b"])[: len(x)] / info.scale + info.zero_point
    assert np.abs(executor.view(info.name) - np.clip(steps, -128, 127)).max() <= 2.5  # two inputs, one output


def test_another_bias_is_noticed() -> None:
    program = random_program(0)
    x = random_samples(program, 0)
    call = next(call for call in program.calls if call.kernel.startswith("conv2d"))
    name = call.constants["bias"]
    off = program.with_constants({name: program.constants[name].data + np.int32(2**20)})
    actual = dict(Executor(program, len(x)).layers(x))
    assert any((actual[name] != value).any() for name, value in run_reference(off, x).items())


def test_a_state_that_a_kernel_rewrites_is_among_the_layers() -> None:
    case = weighted_cases("svdf_a8")[0]
    program = lower(svdf_graph(case))
    x = random_samples(program, 0, batch=3)
    layers = run_layers(program, x)
    (state,) = program.variables
    assert layers[state].shape[0] == 3
    assert (layers[state][0] != layers[state][2]).any()
