"""Float execution against definitions by loops, scipy and (where it is installed) torch."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from fxpgrad.errors import GraphError, InputError
from fxpgrad.graph.attributes import ACTIVATION_BOUNDS
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.float_execution import iterate_activations, run_float, run_float_outputs
from fxpgrad.graph.graph import Graph, Node
from fxpgrad.quantize import quantize
from tests.graph.random_graphs import random_batch, random_graph


def windows_by_loops(x: np.ndarray, attributes: Any, kernel: tuple[int, int]) -> dict[tuple[int, int], list]:
    """For each output position list (tap row, tap column, pixel [B, C]) of the valid taps."""
    top, bottom, left, right = attributes["padding"]
    gap_h, gap_w = attributes.get("dilation", (1, 1))
    counts = [
        (x.shape[1] + top + bottom - (kernel[0] - 1) * gap_h - 1) // attributes["stride"][0] + 1,
        (x.shape[2] + left + right - (kernel[1] - 1) * gap_w - 1) // attributes["stride"][1] + 1,
    ]
    table: dict[tuple[int, int], list] = {}
    for row, column in product(range(counts[0]), range(counts[1])):
        taps = []
        for i, j in product(range(kernel[0]), range(kernel[1])):
            y = row * attributes["stride"][0] - top + i * gap_h
            z = column * attributes["stride"][1] - left + j * gap_w
            if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
                taps.append((i, j, x[:, y, z]))
        table[row, column] = taps
    return table


def layer_by_loops(node: Node, x: np.ndarray, c: dict[str, np.ndarray], y: np.ndarray) -> None:
    """Fill y [B, H, W, C] by the definition of conv2d and depthwise_conv2d."""
    depthwise = node.op == "depthwise_conv2d"
    weights = c["weights"][0].transpose(2, 0, 1)[..., None] if depthwise else c["weights"]
    outputs, kernel_h, kernel_w, depth = weights.shape
    groups = x.shape[3] if depthwise else node.attributes["groups"]
    for (row, column), taps in windows_by_loops(x, node.attributes, (kernel_h, kernel_w)).items():
        for o in range(outputs):
            first = o // (outputs // groups) * depth
            y[:, row, column, o] = c["bias"][o] + sum(
                pixel[:, first : first + depth] @ weights[o, i, j] for i, j, pixel in taps
            )


def pool_by_loops(node: Node, x: np.ndarray, y: np.ndarray) -> None:
    """Fill y [B, H, W, C] by the definition of max_pool2d and average_pool2d."""
    reduce = np.max if node.op == "max_pool2d" else np.mean
    for (row, column), taps in windows_by_loops(x, node.attributes, node.attributes["size"]).items():
        y[:, row, column] = reduce([pixel for _, _, pixel in taps], axis=0)


def node_by_loops(graph: Graph, node: Node, values: dict[str, np.ndarray]) -> np.ndarray:
    """The definition of every operator in float64, slow and obvious."""
    inputs = [values[name].astype(np.float64) for name in graph.activations_of(node)]
    x, attributes = inputs[0], node.attributes
    c = {role: tensor.data.astype(np.float64) for role, tensor in graph.constants_of(node).items()}
    y = np.zeros((x.shape[0], *graph.tensors[node.output].shape))
    match node.op:
        case "conv2d" | "depthwise_conv2d":
            layer_by_loops(node, x, c, y)
        case "max_pool2d" | "average_pool2d":
            pool_by_loops(node, x, y)
        case "fully_connected":
            y = np.einsum("bi,oi->bo", x, c["weights"]) + c["bias"]
        case "batch_norm":
            y = c["gamma"] * (x - c["mean"]) / np.sqrt(c["variance"] + attributes["epsilon"]) + c["beta"]
        case "global_average_pool2d":
            y = x.mean(axis=(1, 2))
        case "pad":
            top, _, left, *_ = attributes["padding"]
            y[:, top : top + x.shape[1], left : left + x.shape[2]] = x
        case "concat":
            y = np.concatenate(inputs, axis=attributes["axis"] + 1)
        case "add":
            y = inputs[0] + inputs[1]
        case _:
            y = x.reshape(y.shape)
    return np.clip(y, *ACTIVATION_BOUNDS[attributes.get("activation", "none")])


def assert_close(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * (1 + np.abs(expected).max()))


@given(st.integers(0, 2**32 - 1))
def test_every_node_matches_its_definition_by_loops(seed: int) -> None:
    graph = random_graph(seed)
    values = run_float(graph, random_batch(graph, seed, count=2))
    for node in graph.nodes:
        assert values[node.output].dtype == np.float32
        assert_close(values[node.output], node_by_loops(graph, node, values))


def test_depthwise_with_a_channel_multiplier_matches_the_loops() -> None:
    rng = np.random.default_rng(1)
    builder = GraphBuilder("g")
    x = builder.input("x", (6, 5, 3))
    graph = builder.build(
        builder.depthwise_conv2d(x, rng.normal(size=(1, 3, 2, 6)), rng.normal(size=6), stride=(2, 2))
    )
    values = run_float(graph, random_batch(graph, 2))
    assert_close(values[graph.outputs[0]], node_by_loops(graph, graph.nodes[0], values))


def test_conv2d_matches_scipy() -> None:
    rng = np.random.default_rng(3)
    image, kernel = rng.normal(size=(9, 8)), rng.normal(size=(3, 5))
    builder = GraphBuilder("g")
    graph = builder.build(builder.conv2d(builder.input("x", (9, 8, 1)), kernel[None, :, :, None]))
    (output,) = run_float_outputs(graph, image[None, :, :, None].astype(np.float32))
    assert_close(output[0, :, :, 0], signal.correlate2d(image, kernel, mode="same"))


def test_a_batch_larger_than_one_unrolled_piece_gives_the_same() -> None:
    rng = np.random.default_rng(4)
    builder = GraphBuilder("g")
    x = builder.input("x", (40, 40, 8))
    graph = builder.build(builder.conv2d(x, rng.normal(size=(4, 3, 3, 8))))
    batch = rng.normal(size=(30, 40, 40, 8)).astype(np.float32)
    (whole,) = run_float_outputs(graph, batch)
    for index in (0, 17, 29):
        assert_close(whole[index], run_float_outputs(graph, batch[index : index + 1])[0][0])


@pytest.mark.parametrize(
    ("stride", "dilation", "groups"), [((1, 1), (1, 1), 1), ((2, 1), (1, 2), 1), ((2, 2), (1, 1), 2)]
)
def test_conv2d_matches_torch(stride: tuple[int, int], dilation: tuple[int, int], groups: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    weights, bias = rng.normal(size=(6, 3, 3, 4 // groups)), rng.normal(size=6)
    builder = GraphBuilder("g")
    graph = builder.build(
        builder.conv2d(
            builder.input("x", (9, 8, 4)),
            weights,
            bias,
            stride=stride,
            dilation=dilation,
            groups=groups,
            padding=(2, 2, 1, 1),
            activation="relu6",
        )
    )
    batch = random_batch(graph, 6)
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(batch).permute(0, 3, 1, 2),
        torch.from_numpy(weights.astype(np.float32)).permute(0, 3, 1, 2),
        torch.from_numpy(bias.astype(np.float32)),
        stride,
        (2, 1),
        dilation,
        groups,
    ).clamp(0, 6)
    assert_close(run_float_outputs(graph, batch)[0], expected.permute(0, 2, 3, 1).numpy())


def test_pooling_and_batch_norm_match_torch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    builder = GraphBuilder("g")
    x = builder.input("x", (7, 8, 3))
    constants = [rng.uniform(0.5, 2, 3) for _ in range(4)]
    names = (
        builder.max_pool2d(x, (3, 2), (2, 2), (1, 1, 0, 1)),
        builder.average_pool2d(x, (3, 3), (2, 1), (1, 1, 1, 1)),
        builder.batch_norm(x, *constants, epsilon=1e-5),
    )
    graph = builder.build(names)
    batch = random_batch(graph, 8)
    image = torch.from_numpy(batch).permute(0, 3, 1, 2)
    gamma, beta, mean, variance = (torch.from_numpy(value.astype(np.float32)) for value in constants)
    padded = torch.nn.functional.pad(image, (0, 1, 1, 1), value=-torch.inf)
    expected = (
        torch.nn.functional.max_pool2d(padded, (3, 2), (2, 2)),
        torch.nn.functional.avg_pool2d(image, 3, (2, 1), 1, count_include_pad=False),
        torch.nn.functional.batch_norm(image, mean, variance, gamma, beta, eps=1e-5),
    )
    for actual, wanted in zip(run_float_outputs(graph, batch), expected, strict=True):
        assert_close(actual, wanted.permute(0, 2, 3, 1).numpy())


def test_iteration_yields_inputs_first_then_nodes_in_order() -> None:
    graph = random_graph(11)
    names = [name for name, _ in iterate_activations(graph, random_batch(graph, 1))]
    assert names == [*graph.inputs, *(node.output for node in graph.nodes)]


def test_several_inputs_are_fed_by_name() -> None:
    builder = GraphBuilder("g")
    graph = builder.build(builder.add(builder.input("a", (2,)), builder.input("b", (2,))))
    one, two = np.ones((3, 2), np.float32), np.full((3, 2), 2, np.float32)
    np.testing.assert_array_equal(run_float_outputs(graph, {"a": one, "b": two})[0], 3)
    with pytest.raises(InputError, match="pass a mapping"):
        run_float(graph, one)
    with pytest.raises(InputError, match="must hold the inputs"):
        run_float(graph, {"a": one})
    with pytest.raises(InputError, match="same batch size"):
        run_float(graph, {"a": one, "b": two[:1]})


def test_wrong_arrays_and_quantized_graphs_are_refused() -> None:
    graph = random_graph(12, steps=2)
    batch = random_batch(graph, 1)
    with pytest.raises(InputError, match="batch axis comes first"):
        run_float(graph, batch[0])
    with pytest.raises(InputError, match="real numbers"):
        run_float(graph, batch.astype(str))
    with pytest.raises(GraphError, match="dequantize it"):
        run_float(quantize(graph, batch), batch)
