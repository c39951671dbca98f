"""Folding keeps the function, removes what it can and names what it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import GraphError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.float_execution import run_float, run_float_outputs
from fxpgrad.graph.graph import Graph
from fxpgrad.quantize import fold_batch_norm, quantize
from tests.graph.random_graphs import random_batch, random_graph

NORM = ([1.5, -2.0], [0.1, 0.2], [0.3, -0.4], [1.0, 0.5])


def assert_same_function(first: Graph, second: Graph, seed: int) -> None:
    batch = random_batch(first, seed)
    for one, two in zip(run_float_outputs(first, batch), run_float_outputs(second, batch), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-4 * (1 + np.abs(one).max()))


@given(st.integers(0, 2**32 - 1))
def test_folding_keeps_the_outputs(seed: int) -> None:
    graph = random_graph(seed)
    folded = fold_batch_norm(graph)
    assert not [node for node in folded.nodes if node.op == "batch_norm"]
    batch = random_batch(graph, seed)
    before, after = run_float(graph, batch), run_float(folded, batch)
    assert set(folded.tensors) <= set(graph.tensors)
    for name, value in after.items():  # every tensor that survives keeps its meaning
        # where values cancel, rounding errors are relative to what cancelled
        scale = 1 + max(float(np.abs(other).max()) for other in after.values())
        np.testing.assert_allclose(value, before[name], rtol=0, atol=1e-4 * scale)


@given(st.integers(0, 2**32 - 1))
def test_folding_twice_is_folding_once(seed: int) -> None:
    once = fold_batch_norm(random_graph(seed))
    twice = fold_batch_norm(once)
    assert twice.nodes == once.nodes
    assert set(twice.tensors) == set(once.tensors)


def test_each_weighted_operator_folds() -> None:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("g")
    x = builder.input("x", (5, 5, 2))
    x = builder.conv2d(x, rng.normal(size=(2, 3, 3, 2)), rng.normal(size=2))
    x = builder.batch_norm(x, *NORM)
    x = builder.depthwise_conv2d(x, rng.normal(size=(1, 3, 3, 2)))
    x = builder.activation(builder.batch_norm(x, *NORM), "relu6", name="clamped")
    x = builder.fully_connected(builder.global_average_pool2d(x), rng.normal(size=(2, 2)))
    x = builder.batch_norm(builder.batch_norm(x, *NORM), *NORM)
    graph = builder.build(x)
    folded = fold_batch_norm(graph)
    ops = [node.op for node in folded.nodes]
    assert ops == ["conv2d", "depthwise_conv2d", "global_average_pool2d", "fully_connected"]
    assert folded.nodes[1].output == "clamped"
    assert folded.nodes[1].attributes["activation"] == "relu6"
    assert folded.outputs == graph.outputs
    assert_same_function(graph, folded, 1)


def test_a_clamp_stays_where_it_cannot_be_fused() -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", (4, 4, 2))
    on_input = builder.activation(x, "relu")
    shared = builder.conv2d(on_input, np.ones((2, 1, 1, 2)))
    branch = builder.activation(shared, "relu")
    total = builder.add(shared, branch, name="total")
    fused = builder.activation(total, "relu6", name="fused")
    second = builder.activation(fused, "relu", name="second")
    graph = builder.build(second)
    folded = fold_batch_norm(graph)
    assert [node.op for node in folded.nodes] == ["activation", "conv2d", "activation", "add", "activation"]
    assert folded.nodes[3].output == "fused"
    assert_same_function(graph, folded, 2)
    exposed = replace(graph, outputs=("total", "second"))
    assert [node.op for node in fold_batch_norm(exposed).nodes].count("activation") == 4


def test_layers_that_share_weights_fold_apart() -> None:
    rng = np.random.default_rng(3)
    builder = GraphBuilder("g")
    x = builder.input("x", (4, 4, 2))
    one = builder.conv2d(x, rng.normal(size=(2, 1, 1, 2)), name="one")
    two = builder.conv2d(one, rng.normal(size=(2, 1, 1, 2)), name="two")
    graph = builder.build(builder.batch_norm(two, *NORM))
    first, second, norm = graph.nodes
    shared = replace(second, inputs=(second.inputs[0], *first.inputs[1:]))
    tensors = {name: t for name, t in graph.tensors.items() if not name.startswith("two/")}
    graph = replace(graph, nodes=(first, shared, norm), tensors=tensors)
    folded = fold_batch_norm(graph)
    assert folded.nodes[0].inputs == first.inputs
    np.testing.assert_array_equal(folded.tensors["one/weights"].data, graph.tensors["one/weights"].data)
    assert_same_function(graph, folded, 4)


def after_input(builder: GraphBuilder, x: str) -> str:
    return builder.batch_norm(x, *NORM, name="norm")


def after_clamp(builder: GraphBuilder, x: str) -> str:
    x = builder.conv2d(x, np.ones((2, 1, 1, 2)), activation="relu")
    return builder.batch_norm(x, *NORM, name="norm")


def after_shared(builder: GraphBuilder, x: str) -> str:
    x = builder.conv2d(x, np.ones((2, 1, 1, 2)))
    return builder.add(x, builder.batch_norm(x, *NORM, name="norm"))


def after_pool(builder: GraphBuilder, x: str) -> str:
    return builder.batch_norm(builder.max_pool2d(x, (2, 2)), *NORM, name="norm")


@pytest.mark.parametrize(
    ("draw", "why"),
    [
        (after_input, "a graph input"),
        (after_clamp, "applies relu first"),
        (after_shared, "used elsewhere too"),
        (after_pool, "max_pool2d"),
    ],
)
def test_a_batch_norm_that_cannot_be_folded_is_named(draw: Callable[..., str], why: str) -> None:
    builder = GraphBuilder("g")
    graph = builder.build(draw(builder, builder.input("x", (4, 4, 2))))
    with pytest.raises(GraphError, match=rf"batch_norm norm cannot be folded: .*{why}"):
        fold_batch_norm(graph)


def test_bad_variance_and_quantized_graphs_are_refused() -> None:
    builder = GraphBuilder("g")
    x = builder.conv2d(builder.input("x", (4, 4, 2)), np.ones((2, 1, 1, 2)))
    graph = builder.build(builder.batch_norm(x, [1, 1], [0, 0], [0, 0], [1, -1]))
    with pytest.raises(GraphError, match="variance"):
        fold_batch_norm(graph)
    good = random_graph(5, steps=1)
    with pytest.raises(GraphError, match="quantized"):
        fold_batch_norm(quantize(good, random_batch(good, 0)))


def test_overflow_in_folding_is_refused() -> None:
    builder = GraphBuilder("g")
    x = builder.conv2d(builder.input("x", (4, 4, 2)), np.full((2, 1, 1, 2), 1e38))
    graph = builder.build(builder.batch_norm(x, [1e3, 1], [0, 0], [0, 0], [1, 1]))
    with pytest.raises(GraphError, match="exceeds float32"):
        fold_batch_norm(graph)
