"""check_graph accepts what the builder makes and names every fault planted in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import GraphError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor
from fxpgrad.quantize import quantize
from tests.graph.random_graphs import random_batch, random_graph


def small_graph() -> Graph:
    builder = GraphBuilder("small")
    x = builder.input("image", (4, 4, 2))
    x = builder.conv2d(x, np.ones((3, 3, 3, 2)), name="conv")
    x = builder.max_pool2d(x, (2, 2), name="pool")
    x = builder.global_average_pool2d(x, name="mean")
    return builder.build(builder.fully_connected(x, np.ones((2, 3)), name="dense"))


def with_tensor(graph: Graph, key: str, /, **changes: object) -> Graph:
    return replace(graph, tensors={**graph.tensors, key: replace(graph.tensors[key], **changes)})


def with_node(graph: Graph, index: int, **changes: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = replace(nodes[index], **changes)
    return replace(graph, nodes=tuple(nodes))


def with_attribute(graph: Graph, index: int, **changes: object) -> Graph:
    return with_node(graph, index, attributes={**graph.nodes[index].attributes, **changes})


def without_attribute(graph: Graph, index: int, name: str) -> Graph:
    kept = {key: value for key, value in graph.nodes[index].attributes.items() if key != name}
    return with_node(graph, index, attributes=kept)


FAULTS: dict[str, tuple[Callable[[Graph], Graph], str]] = {
    "unknown op": (lambda g: with_node(g, 0, op="conv2"), "did you mean conv2d"),
    "unknown attribute": (lambda g: with_attribute(g, 0, strides=(1, 1)), "did you mean stride"),
    "missing attribute": (lambda g: without_attribute(g, 0, "dilation"), "dilation.*missing"),
    "list for tuple": (lambda g: with_attribute(g, 0, stride=[1, 1]), "stride must be a tuple"),
    "zero stride": (lambda g: with_attribute(g, 0, stride=(0, 1)), "stride must be"),
    "negative padding": (lambda g: with_attribute(g, 0, padding=(-1, 0, 0, 0)), "padding must be"),
    "bool groups": (lambda g: with_attribute(g, 0, groups=True), "groups must be"),
    "unknown activation": (lambda g: with_attribute(g, 0, activation="gelu"), "activation must be one of"),
    "missing tensor": (lambda g: with_node(g, 1, inputs=("nothing",)), "no tensor 'nothing'"),
    "order": (lambda g: replace(g, nodes=g.nodes[::-1]), "before any node has made it"),
    "constant first": (lambda g: with_node(g, 0, inputs=g.nodes[0].inputs[::-1]), "activations come first"),
    "missing bias": (lambda g: with_node(g, 0, inputs=g.nodes[0].inputs[:2]), "needs the constants"),
    "writes constant": (lambda g: with_node(g, 1, output="conv/bias"), "which is a constant"),
    "writes twice": (lambda g: with_node(g, 1, output="conv"), "already has a value"),
    "same name": (lambda g: with_node(g, 1, name="conv"), "two nodes are called conv"),
    "wrong output shape": (lambda g: with_tensor(g, "pool", shape=(2, 2, 4)), "makes .* declares"),
    "bad extent": (lambda g: with_tensor(g, "pool", shape=(0, 2, 3)), "extent must be >= 1"),
    "unknown dtype": (lambda g: with_tensor(g, "pool", dtype="float64"), "dtype must be one of"),
    "integer without scale": (lambda g: with_tensor(g, "pool", dtype="int8"), "carries no quantization"),
    "data shape": (lambda g: with_tensor(g, "conv/bias", data=np.ones(4, np.float32)), "its data are"),
    "data dtype": (lambda g: with_tensor(g, "conv/bias", data=np.ones(3)), "its data are"),
    "NaN": (lambda g: with_tensor(g, "conv/bias", data=np.full(3, np.nan, np.float32)), "must be finite"),
    "filed wrong": (lambda g: with_tensor(g, "pool", name="pol"), "filed under"),
    "no inputs": (lambda g: replace(g, inputs=()), "at least one input"),
    "unknown output": (lambda g: replace(g, outputs=("logits",)), "output logits"),
    "constant output": (lambda g: replace(g, outputs=("conv/bias",)), "is a constant"),
    "output twice": (lambda g: replace(g, outputs=("dense", "dense")), "twice"),
    "nobody makes": (lambda g: replace(g, nodes=g.nodes[:-1], outputs=("mean",)), "no node makes it"),
    "quantized float": (
        lambda g: with_tensor(g, "pool", quantization=Quantization(np.ones(1), np.zeros(1, np.int64))),
        "float32 and cannot carry",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_named(fault: str) -> None:
    plant, message = FAULTS[fault]
    with pytest.raises(GraphError, match=message):
        check_graph(plant(small_graph()))


def quantized_graph() -> Graph:
    graph = small_graph()
    return quantize(graph, random_batch(graph, 0))


def with_quantization(graph: Graph, name: str, **changes: object) -> Graph:
    quantization = graph.tensors[name].quantization
    assert quantization is not None
    return with_tensor(graph, name, quantization=replace(quantization, **changes))


QUANTIZED_FAULTS: dict[str, tuple[Callable[[Graph], Graph], str]] = {
    "mixed": (lambda g: with_tensor(g, "pool", dtype="float32", quantization=None), "as a whole"),
    "untied": (lambda g: with_quantization(g, "pool", scale=np.array([9.0])), "share one quantization"),
    "zero scale": (lambda g: with_quantization(g, "pool", scale=np.array([0.0])), "finite and > 0"),
    "scale shape": (lambda g: with_quantization(g, "pool", scale=np.ones(3)), r"shape \[1\]"),
    "zero point": (lambda g: with_quantization(g, "mean", zero_point=np.array([200])), "value of int8"),
    "axis": (lambda g: with_quantization(g, "mean", axis=1), "is not an axis"),
    "activation per channel": (
        lambda g: with_tensor(g, "mean", quantization=Quantization(np.ones(3), np.zeros(3, np.int64), 0)),
        "per tensor",
    ),
    "weight axis": (
        lambda g: with_quantization(
            g, "conv/weights", axis=3, scale=np.ones(2), zero_point=np.zeros(2, np.int64)
        ),
        "along axis 0",
    ),
    "bias scale": (lambda g: with_quantization(g, "conv/bias", scale=np.ones(3)), "input scale times"),
    "bias zero point": (
        lambda g: with_quantization(g, "conv/bias", zero_point=np.ones(3, np.int64)),
        "zero_point 0",
    ),
    "weight dtype": (
        lambda g: with_tensor(
            g, "conv/weights", dtype="int32", data=g.tensors["conv/weights"].data.astype(np.int32)
        ),
        "int8 or int16",
    ),
}


@pytest.mark.parametrize("fault", QUANTIZED_FAULTS)
def test_every_fault_planted_in_a_quantized_graph_is_named(fault: str) -> None:
    plant, message = QUANTIZED_FAULTS[fault]
    with pytest.raises(GraphError, match=message):
        check_graph(plant(quantized_graph()))


def test_a_quantized_graph_has_no_batch_norm() -> None:
    graph = quantized_graph()
    source = graph.tensors["mean"]
    constants = {
        name: Tensor(name, (3,), "int8", source.quantization, np.ones(3, np.int8)) for name in "abcd"
    }
    tensors = {**graph.tensors, **constants, "norm": replace(source, name="norm")}
    norm = Node("norm", "batch_norm", ("mean", "a", "b", "c", "d"), "norm", {"epsilon": 1e-3})
    with pytest.raises(GraphError, match="fold it before"):
        check_graph(replace(graph, tensors=tensors, nodes=(*graph.nodes, norm)))


@given(st.integers(0, 2**32 - 1))
def test_what_the_builder_makes_is_well_formed(seed: int) -> None:
    graph = random_graph(seed)
    check_graph(graph)
    assert not graph.is_quantized


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_an_altered_output_shape_is_always_noticed(seed: int, which: int) -> None:
    graph = random_graph(seed)
    node = graph.nodes[which % len(graph.nodes)]
    shape = graph.tensors[node.output].shape
    with pytest.raises(GraphError):
        check_graph(with_tensor(graph, node.output, shape=(*shape[:-1], shape[-1] + 1)))
