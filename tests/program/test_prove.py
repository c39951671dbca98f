"""The accumulator bound: never exceeded, and reached; what lowering does beyond int32."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph, Tensor
from fxpgrad.program.execute import run_program, run_reference
from fxpgrad.program.lower import lower
from fxpgrad.program.prove import AccumulatorProof, channel_bounds, prove, prove_call, required_bits
from fxpgrad.quantize import quantize
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from tests.program.random_programs import random_program

generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)
LIMITS = {"int8": 127, "int16": 32767}


def layer(rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[np.int32], int]:
    dtype = str(rng.choice(["int8", "int16"]))
    units, depth = int(rng.integers(1, 5)), int(rng.integers(1, 9))
    weights = rng.integers(-LIMITS[dtype], LIMITS[dtype] + 1, (units, depth)).astype(dtype)
    return weights, rng.integers(-(2**20), 2**20, units).astype(np.int32), int(rng.integers(-128, 128))


def largest_partial_sum(x: NDArray[Any], weights: NDArray[Any], start: int) -> int:
    """Return the largest magnitude on the way of the running sum of raw products, starting anywhere."""
    products = [int(a) * int(w) for a, w in zip(x, weights, strict=True)]
    sums = [start]
    for product in products:
        sums.append(sums[-1] + product)
    return max(abs(value) for value in sums)


@given(rng=generators)
def test_bound_is_never_exceeded(rng: np.random.Generator) -> None:
    weights, bias, zero = layer(rng)
    bounds = channel_bounds(weights, bias, zero)
    for unit, bound in enumerate(bounds):
        folded = int(bias[unit]) - zero * int(weights[unit].astype(np.int64).sum())
        for _ in range(5):
            x = rng.choice([-128, 127, int(rng.integers(-128, 128))], weights.shape[1])
            assert largest_partial_sum(x, weights[unit], folded) <= bound
            assert largest_partial_sum(x[::-1], weights[unit][::-1], 0) <= bound
            exact = int(((x - zero) * weights[unit].astype(np.int64)).sum() + bias[unit])
            assert abs(exact) <= bound


@given(rng=generators)
def test_bound_is_reached_where_every_product_can_reach_128(rng: np.random.Generator) -> None:
    """x = -128 everywhere: weights of one sign, and a folded bias of the sign of the sum."""
    weights, bias, zero = layer(rng)
    weights = -abs(weights)
    total = weights.astype(np.int64).sum(axis=1)
    bias = (abs(bias) + zero * total).astype(np.int32)  # folded: |bias| >= 0
    exact = (-128 - zero) * total + bias
    np.testing.assert_array_equal(exact, channel_bounds(weights, bias, zero))


@given(rng=generators)
def test_bound_ignores_the_layout_and_follows_the_channel_axis(rng: np.random.Generator) -> None:
    weights, bias, zero = layer(rng)
    filters = weights.T.reshape(1, weights.shape[1], 1, weights.shape[0])
    for axis in (3, -1):
        np.testing.assert_array_equal(
            channel_bounds(filters, bias, zero, channel_axis=axis), channel_bounds(weights, bias, zero)
        )


@pytest.mark.parametrize("seed", range(10))
def test_every_layer_with_weights_is_proved(seed: int) -> None:
    program = random_program(seed)
    proofs = {proof.call: proof for proof in prove(program)}
    layers = {call.name for call in program.calls if "weights" in call.constants}
    assert set(proofs) == layers
    for call in program.calls:
        if call.name in proofs:
            assert proofs[call.name].bits <= call.parameters["accumulator_bits"]
            bound, bits = proofs[call.name].bound, proofs[call.name].bits
            assert bound == 0 or 2 ** (bits - 2) <= bound < 2 ** (bits - 1)
        else:
            assert prove_call(program, call) is None


def deep_layer(depth: int, weight: int = 32767, bias: int = 0) -> Graph:
    """Return a quantized dense layer whose weights are all the same."""
    net = GraphBuilder("deep")
    x = net.fully_connected(net.input("x", (depth,)), np.ones((2, depth)), np.zeros(2), name="layer")
    graph = quantize(net.build(x), np.random.default_rng(0).normal(size=(20, depth)).astype(np.float32))
    tensors: dict[str, Tensor] = dict(graph.tensors)
    weights_name, bias_name = graph.nodes[0].inputs[1:]
    tensors[weights_name] = dataclasses.replace(
        tensors[weights_name], data=np.full((2, depth), weight, np.int16)
    )
    tensors[bias_name] = dataclasses.replace(tensors[bias_name], data=np.full(2, bias, np.int32))
    return dataclasses.replace(graph, tensors=tensors)


def test_one_more_input_turns_32_bits_into_64() -> None:
    zero = lower(deep_layer(3)).calls[0].parameters["input_zero_point"]
    share = 32767 * (128 + abs(zero))
    depth = (2**31 - 1) // share
    assert lower(deep_layer(depth)).calls[0].parameters["accumulator_bits"] == 32
    program = lower(deep_layer(depth + 1))
    zero = program.calls[0].parameters["input_zero_point"]
    fits = 32767 * (128 + abs(zero)) * (depth + 1) < 2**31
    assert program.calls[0].parameters["accumulator_bits"] == (32 if fits else 64)
    assert lower(deep_layer(3 * depth)).calls[0].parameters["accumulator_bits"] == 64


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("split", [False, True])
def test_layers_beyond_int32_still_equal_their_reference(profile: str, split: bool) -> None:
    program = lower(deep_layer(1200, bias=2**31 - 1), profile, split=split)
    assert program.calls[0].parameters["accumulator_bits"] == 64
    x = np.stack([np.full(1200, value, np.int8) for value in (-128, -127, -1, 0, 1, 127)])
    np.testing.assert_array_equal(run_program(program, x), run_reference(program, x)[program.outputs[0]])


def test_a_wide_sum_is_refused_where_saturation_could_be_seen() -> None:
    proof = AccumulatorProof("layer", 2**33, 35)
    for profile in PROFILES.values():
        assert required_bits(profile, proof, np.array([2.0**-22, 1.0])) == 64
    with pytest.raises(LoweringError, match=r"layer layer: .* beyond int32.*profile tflite_16x8"):
        required_bits(PROFILES["tflite_double"], proof, np.array([2.0**-23, 1.0]))
    assert required_bits(PROFILES["tflite_16x8"], proof, np.array([2.0**-23])) == 64
    with pytest.raises(LoweringError, match="it is the output"):
        required_bits(PROFILES["tflite_double"], proof, None)
    assert required_bits(PROFILES["tflite_double"], AccumulatorProof("layer", 2**31 - 1, 32), None) == 32


def test_the_wide_profile_refuses_more_than_48_bits() -> None:
    profile = PROFILES["tflite_16x8"]
    assert required_bits(profile, AccumulatorProof("layer", 2**47 - 1, 48), np.ones(1)) == 64
    with pytest.raises(LoweringError, match="beyond the 48 bits"):
        required_bits(profile, AccumulatorProof("layer", 2**47, 49), np.ones(1))


def test_lowering_names_the_layer_that_it_refuses() -> None:
    graph = deep_layer(1200)
    output = graph.tensors[graph.outputs[0]]
    assert output.quantization is not None
    coarse = dataclasses.replace(output.quantization, scale=output.quantization.scale * 2.0**24)
    tensors = {**graph.tensors, output.name: dataclasses.replace(output, quantization=coarse)}
    with pytest.raises(LoweringError, match="layer layer: its accumulator may reach"):
        lower(dataclasses.replace(graph, tensors=tensors))
