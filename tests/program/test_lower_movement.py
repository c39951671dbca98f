"""Movements from Graph to Program: against NumPy, the kernels' definitions and TFLite-Micro."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad.errors import GraphError, LoweringError
from fxpgrad.graph.graph import Graph, Node, Tensor
from fxpgrad.program.execute import Executor, run_program, run_reference
from fxpgrad.program.lower import lower
from fxpgrad.program.store import from_bytes, to_bytes
from tests.kernels.test_tflm_movement import numbered, stored_cases
from tests.program.one_node_graphs import one_node_graph, quantization

Array = NDArray[Any]
DTYPES = ("int8", "int16", "int32")
ROWS = 3


def run(graph: Graph, *x: Array) -> Array:
    """Run a Graph, by kernels and by definitions, in one batch and row by row, stored and read again."""
    program = from_bytes(to_bytes(lower(graph)))
    feed = dict(zip(graph.inputs, x, strict=True))
    result = run_program(program, feed)
    for name, value in run_reference(program, feed).items():
        if name in program.outputs:
            np.testing.assert_array_equal(value, result)
    np.testing.assert_array_equal(run_program(program, feed, batch=1), result)
    return result


def samples(*shape: int, dtype: str = "int8") -> Array:
    info = np.iinfo(dtype)
    return np.random.default_rng(1).integers(info.min, info.max, (ROWS, *shape), dtype, endpoint=True)


EXPECTED: dict[str, tuple[tuple[int, ...], dict[str, Any], Callable[[Array], Array]]] = {
    "reshape": ((2, 6), {}, lambda x: x.reshape(-1, 4, 3)),
    "transpose": ((2, 3, 4), {"permutation": (2, 0, 1)}, lambda x: x.transpose(0, 3, 1, 2)),
    "slice": (
        (5, 4, 6),
        {"begin": (4, 0, 1), "size": (2, 4, 3), "stride": (-3, 1, 2)},
        lambda x: x[:, [4, 1], :, 1:6:2],
    ),
    "pad": (
        (2, 3),
        {"padding": (1, 0, 2, 1), "value": -9},
        lambda x: np.pad(x, ((0, 0), (1, 0), (2, 1)), constant_values=-9),
    ),
    "broadcast_to": ((3, 1), {}, lambda x: np.broadcast_to(x[:, None], (len(x), 2, 3, 4))),
    "tile": ((3, 2), {"repeats": (2, 3)}, lambda x: np.tile(x, (1, 2, 3))),
    "depth_to_space": (
        (2, 1, 2, 8),
        {"block": 2},
        lambda x: x.reshape(-1, 2, 1, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5, 6).reshape(-1, 2, 2, 4, 2),
    ),
    "space_to_depth": (
        (4, 2, 3),
        {"block": 2},
        lambda x: x.reshape(-1, 2, 2, 1, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 2, 1, 12),
    ),
    "mirror_pad": (
        (3, 2, 4),
        {"padding": (2, 1, 0, 0, 0, 3), "mode": "reflect"},
        lambda x: np.pad(x, ((0, 0), (2, 1), (0, 0), (0, 3)), "reflect"),
    ),
    "resize_nearest": (
        (2, 3, 2),
        {"align_corners": 0, "half_pixel_centers": 0},
        lambda x: x.repeat(2, 1).repeat(3, 2),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", EXPECTED)
def test_movement_is_numpys(op: str, dtype: str) -> None:
    shape, attributes, expected = EXPECTED[op]
    x = samples(*shape, dtype=dtype)
    y = expected(x)
    np.testing.assert_array_equal(run(one_node_graph(op, (shape,), y.shape[1:], attributes, dtype), x), y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat_is_numpys(axis: int, dtype: str) -> None:
    shapes = [tuple(extent + (k if i == axis else 0) for i, extent in enumerate((2, 3, 2))) for k in range(3)]
    x = [samples(*shape, dtype=dtype) for shape in shapes]
    y = np.concatenate(x, axis + 1)
    graph = one_node_graph("concat", tuple(shapes), y.shape[1:], {"axis": axis}, dtype)
    np.testing.assert_array_equal(run(graph, *x), y)


def test_one_tensor_may_be_concatenated_with_itself() -> None:
    graph = one_node_graph("concat", ((4,),), (8,), {"axis": 0})
    node = dataclasses.replace(graph.nodes[0], inputs=("x0", "x0"))
    x = samples(4)
    np.testing.assert_array_equal(run(dataclasses.replace(graph, nodes=(node,)), x), np.tile(x, (1, 2)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gather_is_numpys(axis: int, dtype: str) -> None:
    indices = np.array([[1, 0], [1, 1]], np.int64)
    x = samples(2, 3, 4, dtype=dtype)
    y = np.take(x, indices.ravel(), axis + 1)
    shape = (*(2, 3, 4)[:axis], 2, 2, *(2, 3, 4)[axis + 1 :])
    graph = one_node_graph("gather", ((2, 3, 4),), shape, {"axis": axis}, dtype, {"indices": indices})
    np.testing.assert_array_equal(run(graph, x).ravel(), y.ravel())


@pytest.mark.parametrize("index", [-1, 3, 2**31, -(2**40)])
def test_gather_refuses_an_index_outside(index: int) -> None:
    graph = one_node_graph("gather", ((3,),), (1,), {"axis": 0}, constants={"indices": np.array([index])})
    with pytest.raises(LoweringError, match=r"node y \(gather\): indices must lie in \[0, 3\)"):
        lower(graph)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_is_there_for_every_row(dtype: str) -> None:
    value = samples(2, 3, dtype=dtype)[0]
    graph = one_node_graph("constant", (), (2, 3), {}, dtype, {"value": value})
    result = run(graph, np.zeros((ROWS, 1), dtype))
    np.testing.assert_array_equal(result, np.broadcast_to(value, (ROWS, 2, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_assigned_variable_is_what_the_next_row_reads(dtype: str) -> None:
    """y = variable + x along an axis, then variable = x: each row sees the row before it."""
    graph = one_node_graph("concat", ((2,),), (4,), {"axis": 0}, dtype, zero_point=-1)
    state = Tensor("state", (2,), dtype, quantization(-1))
    graph = dataclasses.replace(
        graph,
        tensors={**graph.tensors, "state": state},
        nodes=(
            dataclasses.replace(graph.nodes[0], inputs=("state", "x0")),
            Node("keep", "assign", ("x0",), "state"),
        ),
        variables=("state",),
    )
    x = samples(2, dtype=dtype)
    before = np.concatenate([np.full((1, 2), -1, dtype), x[:-1]])
    result = run_program(lower(graph), x)
    np.testing.assert_array_equal(result, np.concatenate([before, x], axis=1))


@pytest.mark.parametrize(
    ("op", "shape", "attributes"),
    [
        ("transpose", (1, 4, 1), {"permutation": (2, 1, 0)}),
        ("slice", (2, 3), {"begin": (0, 0), "size": (2, 3), "stride": (1, 1)}),
        ("pad", (2, 3), {"padding": (0, 0, 0, 0), "value": 5}),
        ("mirror_pad", (2, 3), {"padding": (0, 0, 0, 0), "mode": "symmetric"}),
        ("depth_to_space", (2, 3, 4), {"block": 1}),
        ("resize_nearest", (2, 3, 4), {"align_corners": 1, "half_pixel_centers": 0}),
    ],
)
def test_what_moves_nothing_is_a_plain_copy(
    op: str, shape: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    program = lower(one_node_graph(op, (shape,), shape, attributes))
    assert [call.kernel for call in program.calls] == ["reshape_a8"]


@given(data=st.data())
def test_any_rank_from_zero_to_eight_is_transposed(data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, 8))
    shape = tuple(data.draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank)))
    order = tuple(data.draw(st.permutations(range(rank))))
    x = np.arange(2 * math.prod(shape), dtype=np.int32).reshape(2, *shape)
    y = x.transpose(0, *[axis + 1 for axis in order])
    graph = one_node_graph("transpose", (shape,), y.shape[1:], {"permutation": order}, "int32")
    np.testing.assert_array_equal(Executor(lower(graph), 2).run(x), y)


def test_movements_beyond_eight_axes_are_refused_by_name() -> None:
    shape, order = (2,) * 9, tuple(range(8, -1, -1))
    with pytest.raises(LoweringError, match=r"node y \(transpose\): a movement of 9 axes"):
        lower(one_node_graph("transpose", (shape,), shape, {"permutation": order}))


def test_padding_with_a_value_outside_the_type_is_refused() -> None:
    with pytest.raises((LoweringError, GraphError), match="300"):
        lower(one_node_graph("pad", ((2,),), (3,), {"padding": (1, 0), "value": 300}))
    x = samples(2, dtype="int16")
    graph = one_node_graph("pad", ((2,),), (3,), {"padding": (1, 0), "value": 300}, "int16")
    np.testing.assert_array_equal(run(graph, x)[:, 0], np.full(ROWS, 300))


def ints(values: Array) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


FROM_TFLM: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "pad": ("pad", lambda c: {"padding": ints(c["padding"]), "value": int(c["value"])}),
    "mirror_pad": (
        "mirror_pad",
        lambda c: {"padding": ints(c["padding"]), "mode": "reflect" if c["reflect"] else "symmetric"},
    ),
    "transpose": ("transpose", lambda c: {"permutation": ints(c["permutation"])}),
    "slice": (
        "slice",
        lambda c: {"begin": ints(c["begin"]), "size": ints(c["size"]), "stride": (1,) * c["size"].size},
    ),
    "concatenation": ("concat", lambda c: {"axis": int(c["axis"])}),
    "gather": ("gather", lambda c: {"axis": int(c["axis"])}),
    "broadcast_to": ("broadcast_to", lambda c: {}),
    "depth_to_space": ("depth_to_space", lambda c: {"block": int(c["block"])}),
    "space_to_depth": ("space_to_depth", lambda c: {"block": int(c["block"])}),
    "resize_nearest": (
        "resize_nearest",
        lambda c: {name: int(c[name]) for name in ("align_corners", "half_pixel_centers")},
    ),
}


@pytest.mark.parametrize("name", FROM_TFLM)
def test_lowered_movement_is_that_of_tflite_micro(name: str) -> None:
    op, attributes_of = FROM_TFLM[name]
    for case in stored_cases(name):
        x = [case["input"]] if "input" in case else numbered(case, "input")
        constants = {"indices": case["indices"]} if "indices" in case else None
        shapes, target = tuple(part.shape[1:] for part in x), case["output"].shape[1:]
        graph = one_node_graph(op, shapes, target, attributes_of(case), x[0].dtype.name, constants)
        np.testing.assert_array_equal(run(graph, *x), case["output"])
