"""Lowering: pairs, clamps and zero points as the formulas say, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import GraphError, LoweringError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph, Quantization
from fxpgrad.program.dialects import DIALECTS
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad.program.multiplier import derive_multiplier, real_multiplier
from fxpgrad.quantize import quantize
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.errors import UnknownProfileError
from tests.program.random_programs import quantized_graph, random_program, random_samples, small_network

every_profile = pytest.mark.parametrize("profile", PROFILES)


def quantization(scale: float, zero_point: int) -> Quantization:
    return Quantization(np.array([scale]), np.array([zero_point], np.int64))


def requantized(graph: Graph, tensor: str, **changes: Any) -> Graph:
    """Return the Graph with another field in one tensor."""
    value = dataclasses.replace(graph.tensors[tensor], **changes)
    return dataclasses.replace(graph, tensors={**graph.tensors, tensor: value})


def clamped(activation: str, scale: float, zero_point: int) -> tuple[int, int]:
    """Return the int8 bounds of a clamp at the given quantization."""
    net = GraphBuilder("clamp")
    graph = net.build(net.activation(net.input("x", (2,)), activation, name="y"))
    graph = quantize(graph, np.ones((2, 2), np.float32))
    for name in ("x", "y"):
        graph = requantized(graph, name, quantization=quantization(scale, zero_point))
    (call,) = lower(graph).calls
    return call.parameters["clamp_low"], call.parameters["clamp_high"]


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "bounds"),
    [
        ("relu", 0.1, -128, (-128, 127)),
        ("relu", 0.1, 5, (5, 127)),
        ("relu6", 0.05, -100, (-100, 20)),
        ("relu6", 0.01, -100, (-100, 127)),
        ("relu6", 12.0, 0, (0, 1)),  # 0.5 steps: half away from zero
        ("relu6", 2.4, 0, (0, 3)),  # 2.5 steps
        ("relu_n1_to_1", 0.4, 0, (-3, 3)),  # 2.5 steps to either side
        ("relu_n1_to_1", 1e-30, 0, (-128, 127)),
    ],
)
def test_activations_become_clamps_rounded_half_away(
    activation: str, scale: float, zero_point: int, bounds: tuple[int, int]
) -> None:
    assert clamped(activation, scale, zero_point) == bounds


@every_profile
@pytest.mark.parametrize("seed", range(4))
def test_pairs_stand_for_input_times_weight_over_output_scale(seed: int, profile: str) -> None:
    graph, program = quantized_graph(seed), random_program(seed, profile)
    dialect = DIALECTS[profile]
    for call in program.calls:
        if "weights" not in call.constants:
            continue
        node = next(node for node in graph.nodes if node.name == call.name)
        names = (node.inputs[0], node.inputs[1], node.output)
        scales = [graph.tensors[name].quantization.scale for name in names]  # type: ignore[union-attr]
        formation = dialect.formation_of(node.op, per_tensor=scales[1].size == 1)
        real = np.broadcast_to(
            real_multiplier(scales[:2], scales[2], formation), graph.tensors[node.inputs[2]].shape
        )
        multiplier, shift = derive_multiplier(real, dialect.rule, PROFILES[profile])
        np.testing.assert_array_equal(program.constants[call.constants["multiplier"]].data, multiplier)
        np.testing.assert_array_equal(program.constants[call.constants["shift"]].data, shift)


@every_profile
def test_every_rounding_parameter_is_the_profiles(profile: str) -> None:
    program = random_program(4, profile)
    for call in program.calls:
        if "rounding" in call.parameters:
            own = (
                PROFILES[profile].rounding
                if "weights" in call.constants
                else PROFILES[profile].element_rounding
            )
            assert call.parameters["rounding"] == int(own)
    assert program.profile == profile


def test_float_graphs_and_unknown_profiles_are_refused() -> None:
    float_graph, quantized, _ = small_network()
    with pytest.raises(LoweringError, match="quantize the Graph"):
        lower(float_graph)
    with pytest.raises(UnknownProfileError, match="did you mean tflite_double"):
        lower(quantized, "tflite_doubl")


def test_weights_with_a_zero_point_are_refused() -> None:
    graph = small_network()[1]
    name = graph.nodes[0].inputs[1]
    old = graph.tensors[name].quantization
    assert old is not None
    shifted = dataclasses.replace(old, zero_point=old.zero_point + 1)
    with pytest.raises(LoweringError, match=r"must be symmetric \(zero point 0\)"):
        lower(requantized(graph, name, quantization=shifted))


def test_scales_without_a_legal_pair_are_refused_by_node_and_channel() -> None:
    graph = small_network()[1]
    node = graph.nodes[-1]
    fine = requantized(graph, node.output, quantization=quantization(2.0**-60, 0))
    for profile in PROFILES:
        with pytest.raises(LoweringError, match=rf"node {node.name}: .*channel 0"):
            lower(fine, profile)


@every_profile
def test_a_scale_too_coarse_to_show_anything_gives_the_zero_point(profile: str) -> None:
    graph = small_network()[1]
    coarse = requantized(graph, graph.nodes[-1].output, quantization=quantization(2.0**40, 7))
    program = lower(coarse, profile)
    assert (run_program(program, random_samples(program, 0)) == 7).all()


@pytest.mark.parametrize("op", ["max_pool2d", "reshape", "pad", "concat"])
def test_operators_that_cannot_rescale_refuse_other_scales(op: str) -> None:
    net = GraphBuilder("g")
    x = net.input("x", (4, 4, 2))
    made = {
        "max_pool2d": lambda: net.max_pool2d(x, (2, 2), name="y"),
        "reshape": lambda: net.reshape(x, (32,), name="y"),
        "pad": lambda: net.pad(x, (1, 1, 1, 1), name="y"),
        "concat": lambda: net.concat((x, x), 2, name="y"),
    }[op]()
    graph = quantize(net.build(made), np.ones((2, 4, 4, 2), np.float32))
    lower(graph)
    with pytest.raises(GraphError, match="must share one quantization; insert a quantize node"):
        lower(requantized(graph, "y", quantization=quantization(0.5, 3)))
