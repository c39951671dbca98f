"""Quantized Graphs: well formed, tied where they must be, close to the float Graph, errors named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import GraphError, InputError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.check import check_graph, quantization_of, same_quantization
from fxpgrad.graph.float_execution import run_float, run_float_outputs
from fxpgrad.graph.graph import Graph, Node
from fxpgrad.graph.operators.table import OPERATORS
from fxpgrad.quantize import (
    calibrate,
    dequantized_float_graph,
    fold_batch_norm,
    quantize,
    quantize_array,
    quantize_graph,
)
from tests.graph.random_graphs import random_batch, random_graph

SEEDS = st.integers(0, 2**32 - 1)
WEIGHTED = ("conv2d", "depthwise_conv2d", "fully_connected")


def scale_and_zero(graph: Graph, name: str) -> tuple[float, int]:
    quantization = quantization_of(graph.tensors[name])
    return float(quantization.scale[0]), int(quantization.zero_point[0])


def node_of(graph: Graph, output: str) -> Node:
    return next(node for node in graph.nodes if node.output == output)


@given(SEEDS, st.sampled_from((8, 16)), st.booleans())
def test_a_quantized_graph_is_well_formed(seed: int, bits: int, per_channel: bool) -> None:
    graph = random_graph(seed)
    quantized = quantize(graph, random_batch(graph, seed), bits, per_channel=per_channel)
    check_graph(quantized)
    assert quantized.is_quantized
    assert (quantized.inputs, quantized.outputs) == (graph.inputs, graph.outputs)
    for node in quantized.nodes:
        for name in (*quantized.activations_of(node), node.output):
            assert quantized.tensors[name].dtype == "int8"
            assert (
                quantize_array(0.0, quantization_of(quantized.tensors[name]))
                == scale_and_zero(quantized, name)[1]
            )
        if node.op in WEIGHTED:
            constants = quantized.constants_of(node)
            assert constants["weights"].dtype == f"int{bits}"
            assert constants["bias"].dtype == "int32"
            np.testing.assert_array_equal(
                quantization_of(constants["bias"]).scale,
                scale_and_zero(quantized, node.inputs[0])[0] * quantization_of(constants["weights"]).scale,
            )


@given(SEEDS)
def test_tied_operators_share_one_quantization(seed: int) -> None:
    graph = random_graph(seed, steps=9)
    quantized = quantize(graph, random_batch(graph, seed))
    for node in quantized.nodes:
        if OPERATORS[node.op].tied or node.op == "activation":
            for name in node.inputs:
                assert same_quantization(
                    quantization_of(quantized.tensors[name]), quantization_of(quantized.tensors[node.output])
                )


@given(SEEDS)
def test_real_multipliers_are_legal(seed: int) -> None:
    graph = random_graph(seed)
    quantized = quantize(graph, random_batch(graph, seed))
    for node in quantized.nodes:
        if node.op in WEIGHTED:
            bias_scale = quantization_of(quantized.constants_of(node)["bias"]).scale
            multiplier = bias_scale / scale_and_zero(quantized, node.output)[0]
            assert (multiplier > 2.0**-30).all()
            assert (multiplier < 2.0**30).all()


@given(SEEDS)
def test_calibrated_values_lie_in_the_representable_range(seed: int) -> None:
    graph = fold_batch_norm(random_graph(seed, steps=9))
    batch = random_batch(graph, seed)
    quantized = quantize_graph(graph, calibrate(graph, batch))
    for name, values in run_float(graph, batch).items():
        scale, zero = scale_and_zero(quantized, name)
        assert values.min() >= scale * (-128 - zero) - 0.51 * scale
        assert values.max() <= scale * (127 - zero) + 0.51 * scale


@given(SEEDS)
def test_dequantized_constants_give_nearly_the_same_function(seed: int) -> None:
    graph = fold_batch_norm(random_graph(seed))
    batch = random_batch(graph, seed)
    quantized = quantize_graph(graph, calibrate(graph, batch), 16)
    restored = dequantized_float_graph(quantized)
    assert not restored.is_quantized
    assert [node.output for node in restored.nodes] == [node.output for node in quantized.nodes]
    before, after = run_float(graph, batch), run_float(restored, batch)
    size = 1 + max(float(np.abs(value).max()) for value in before.values())
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=0, atol=2e-2 * size)


def test_sixteen_bits_are_closer_than_eight() -> None:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("g")
    x = builder.input("x", (8, 8, 2))
    x = builder.conv2d(x, rng.normal(size=(8, 3, 3, 2)), activation="relu")
    graph = builder.build(builder.conv2d(x, rng.normal(size=(4, 3, 3, 8))))
    batch = random_batch(graph, 1)
    (exact,) = run_float_outputs(graph, batch)
    errors = [
        np.abs(
            run_float_outputs(dequantized_float_graph(quantize(graph, batch, bits)), batch)[0] - exact
        ).max()
        for bits in (16, 8)
    ]
    assert errors[0] < errors[1] / 50
    assert errors[0] < 1e-3 * np.abs(exact).max()


def concat_graph(branch: str) -> Graph:
    """conv "a" and conv "b" (100 times larger) joined; `branch` says what else happens."""
    builder = GraphBuilder("g")
    x = builder.input("x", (4, 4, 2))
    a = builder.conv2d(x, np.full((2, 1, 1, 2), 0.1), name="a")
    b = builder.conv2d(x, np.full((2, 1, 1, 2), 10.0), name="b")
    outputs = []
    if branch == "pooled":
        a = builder.max_pool2d(a, (3, 3), (1, 1), "same", name="pool")
    if branch == "read elsewhere":
        outputs.append(builder.global_average_pool2d(a, name="mean"))
    if branch == "output":
        outputs.append("a")
    if branch == "input":
        a = x
    if branch == "twice":
        b = a
    if branch == "nested":
        a = builder.concat((a, a), 2, name="inner")
    joined = builder.concat((a, b), -1, name="joined")
    return builder.build([*outputs, builder.global_average_pool2d(joined)])


@pytest.mark.parametrize(
    ("branch", "requantized"),
    [
        ("plain", 0),
        ("pooled", 0),
        ("read elsewhere", 1),
        ("output", 1),
        ("input", 1),
        ("twice", 0),
        ("nested", 0),
    ],
)
def test_a_concat_requantizes_only_inputs_that_others_see(branch: str, requantized: int) -> None:
    graph = concat_graph(branch)
    batch = random_batch(graph, 0)
    quantized = quantize(graph, batch)
    added = [node for node in quantized.nodes if node.op == "quantize"]
    assert len(added) == requantized
    ranges = calibrate(graph, batch)
    joined = node_of(graph, "joined")
    low = min(0.0, *(ranges[name][0] for name in joined.inputs))
    high = max(0.0, *(ranges[name][1] for name in joined.inputs))
    assert scale_and_zero(quantized, "joined")[0] >= (high - low) / 255 * 0.999999
    for node in added:
        assert node_of(quantized, "joined").inputs[0] == node.output
    if requantized:  # and the other reader keeps the fine scale
        small = joined.inputs[0]
        assert scale_and_zero(quantized, small)[0] < scale_and_zero(quantized, "joined")[0] / 5
    (*_, last) = run_float_outputs(dequantized_float_graph(quantized), batch)
    np.testing.assert_allclose(last, run_float_outputs(graph, batch)[-1], rtol=1e-3, atol=1e-3)


def test_quantize_nodes_get_fresh_names() -> None:
    graph = concat_graph("input")
    nodes = list(graph.nodes)
    tensors = dict(graph.tensors)
    tensors["joined/input_0"] = replace(tensors.pop("a"), name="joined/input_0")
    nodes[0] = replace(nodes[0], output="joined/input_0")
    quantized = quantize(replace(graph, nodes=tuple(nodes), tensors=tensors), random_batch(graph, 0))
    assert node_of(quantized, "joined").inputs[0] == "joined/input_0_2"


def test_a_clamp_fused_into_a_layer_narrows_its_range() -> None:
    builder = GraphBuilder("g")
    x = builder.conv2d(builder.input("x", (4, 4, 1)), np.ones((1, 1, 1, 1)))
    graph = builder.build(builder.activation(x, "relu", name="y"))
    quantized = quantize(graph, random_batch(graph, 0))
    assert [node.op for node in quantized.nodes] == ["conv2d"]
    assert scale_and_zero(quantized, "y")[1] == -128


def test_layers_that_share_constants_get_their_own() -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", (4, 4, 2))
    one = builder.conv2d(x, np.full((2, 1, 1, 2), 3.0), np.ones(2), name="one")
    two = builder.conv2d(one, np.ones((2, 1, 1, 2)), name="two")
    graph = builder.build(two)
    second = replace(graph.nodes[1], inputs=("one", "one/weights", "one/bias"))
    tensors = {name: tensor for name, tensor in graph.tensors.items() if not name.startswith("two/")}
    graph = replace(graph, nodes=(graph.nodes[0], second), tensors=tensors)
    batch = random_batch(graph, 0)
    quantized = quantize(graph, batch)
    biases = [quantized.constants_of(node)["bias"] for node in quantized.nodes]
    assert biases[0].name != biases[1].name
    assert not np.array_equal(biases[0].data, biases[1].data)
    restored = run_float_outputs(dequantized_float_graph(quantized), batch)[0]
    np.testing.assert_allclose(restored, run_float_outputs(graph, batch)[0], rtol=1e-3, atol=1e-2)


def test_a_network_that_always_gives_zero_can_be_quantized() -> None:
    builder = GraphBuilder("g")
    x = builder.conv2d(builder.input("x", (4, 4, 1)), np.zeros((3, 3, 3, 1)), activation="relu")
    x = builder.fully_connected(builder.global_average_pool2d(x), np.zeros((2, 3)))
    graph = builder.build(x)
    quantized = quantize(graph, np.zeros((1, 4, 4, 1), np.float32))
    check_graph(quantized)


@pytest.mark.parametrize("method", ["min_max", "percentile", "mse"])
def test_every_method_quantizes(method: str) -> None:
    graph = random_graph(21)
    check_graph(quantize(graph, random_batch(graph, 1), 8, method))


def test_what_cannot_be_quantized_is_refused() -> None:
    graph = fold_batch_norm(random_graph(22))
    batch = random_batch(graph, 0)
    ranges = calibrate(graph, batch)
    output = graph.outputs[0]
    with pytest.raises(InputError, match=f"no entry for activation {output}"):
        quantize_graph(graph, {name: bounds for name, bounds in ranges.items() if name != output})
    with pytest.raises(InputError, match=f"range of {output} must be finite"):
        quantize_graph(graph, {**ranges, output: (0.0, np.nan)})
    with pytest.raises(InputError, match="low <= high"):
        quantize_graph(graph, {**ranges, output: (1.0, -1.0)})
    with pytest.raises(InputError, match="weight_bits"):
        quantize_graph(graph, ranges, 4)
    with pytest.raises(GraphError, match="far too small"):
        quantize_graph(graph, {**ranges, output: (0.0, 1e-30)})
    quantized = quantize_graph(graph, ranges)
    with pytest.raises(GraphError, match="quantized already"):
        quantize_graph(quantized, ranges)
    with pytest.raises(GraphError, match="is not quantized"):
        dequantized_float_graph(graph)
    builder = GraphBuilder("g")
    x = builder.conv2d(builder.input("x", (4, 4, 1)), np.ones((1, 1, 1, 1)))
    unfolded = builder.build(builder.batch_norm(x, [1], [0], [0], [1], name="norm"))
    with pytest.raises(GraphError, match="norm is a batch_norm; call fold_batch_norm"):
        quantize_graph(unfolded, {})
