"""The builder: names, defaults, copies, and errors at the call that is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.errors import GraphError
from fxpgrad.graph.builder import GraphBuilder


def test_names_count_by_operator_and_constants_carry_their_role() -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", (5, 5, 1))
    first = builder.conv2d(x, np.ones((2, 3, 3, 1)))
    second = builder.conv2d(first, np.ones((2, 3, 3, 2)))
    graph = builder.build(second)
    assert (first, second) == ("conv2d_1", "conv2d_2")
    assert graph.nodes[1].inputs == ("conv2d_1", "conv2d_2/weights", "conv2d_2/bias")
    assert graph.constants_of(graph.nodes[1])["bias"].data.tolist() == [0.0, 0.0]
    assert graph.nodes[0].attributes["padding"] == (1, 1, 1, 1)


def test_arrays_are_copied_to_float32() -> None:
    weights = np.ones((2, 3))
    builder = GraphBuilder("g")
    graph = builder.build(builder.fully_connected(builder.input("x", (3,)), weights))
    weights[:] = 7
    data = graph.tensors["fully_connected_1/weights"].data
    assert data.dtype == np.float32
    assert data.max() == 1


def test_a_builder_goes_on_after_build_without_changing_what_it_built() -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", (3,))
    graph = builder.build(builder.activation(x, "relu"))
    builder.activation("activation_1", "relu6")
    assert len(graph.nodes) == 1
    assert "activation_2" not in graph.tensors


def test_padding_forms() -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", (5, 4, 1))
    kernel = np.ones((1, 2, 3, 1))
    for padding, expected in (
        ("same", (0, 1, 1, 1)),
        ("valid", (0, 0, 0, 0)),
        ((1, 2, 0, 0), (1, 2, 0, 0)),
    ):
        name = builder.conv2d(x, kernel, padding=padding)
        assert next(node for node in builder._nodes if node.name == name).attributes["padding"] == expected


def test_errors_come_at_the_call_that_is_wrong() -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", (5, 5, 2))
    with pytest.raises(GraphError, match="2 channels"):
        builder.conv2d(x, np.ones((1, 3, 3, 1)))
    with pytest.raises(GraphError, match="weights must have rank 4"):
        builder.conv2d(x, np.ones((1, 3, 3)))
    with pytest.raises(GraphError, match="'same', 'valid' or four ints"):
        builder.conv2d(x, np.ones((1, 3, 3, 2)), padding="full")
    with pytest.raises(GraphError, match="stride must be a pair"):
        builder.conv2d(x, np.ones((1, 3, 3, 2)), stride=2)
    with pytest.raises(GraphError, match="padding must be a tuple of four"):
        builder.conv2d(x, np.ones((1, 3, 3, 2)), padding=(1, 1))
    with pytest.raises(GraphError, match="there is no tensor 'y'"):
        builder.add(x, "y")
    with pytest.raises(GraphError, match="reshape it first"):
        builder.fully_connected(x, np.ones((1, 50)))
    with pytest.raises(GraphError, match="taken"):
        builder.activation(x, "relu", name="x")
    with pytest.raises(GraphError, match="activation must be one of"):
        builder.activation(x, "gelu")
    with pytest.raises(GraphError, match="must be \\[height, width, channels\\] here"):
        builder.max_pool2d(builder.reshape(x, (50,)), (2, 2), padding="same")
    with pytest.raises(GraphError, match="output z"):
        builder.build("z")
    builder.fully_connected(builder.global_average_pool2d(x), np.full((1, 2), np.inf), name="bad")
    with pytest.raises(GraphError, match="bad/weights: constants must be finite"):
        builder.build("bad")
