"""Each TFLite operator as nodes of the Graph: attributes, axes without the batch, inserted reshapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.graph import Graph
from fxpgrad.importers.tflite_graph import SUPPORTED_OPERATORS, import_tflite
from tests.importers.tflite_builder import TfliteBuilder

Shape = tuple[int, ...]


def imported(
    name: str, inputs: list[Any], outputs: list[Shape] | Shape, kind: str = "", **options: Any
) -> Graph:
    """Import one operator; an input is the shape of an activation, or a list of constant integers."""
    builder = TfliteBuilder()
    places = [
        builder.input(entry)
        if isinstance(entry, tuple)
        else builder.tensor(np.shape(entry), "INT32", data=entry)
        for entry in inputs
    ]
    results = [builder.tensor(shape) for shape in ([outputs] if isinstance(outputs, tuple) else outputs)]
    builder.operator(name, places, results, kind or None, **options)
    return import_tflite(builder.content(*results)).graph


def only(graph: Graph) -> dict[str, Any]:
    (node,) = graph.nodes
    return {"op": node.op, **node.attributes}


@pytest.mark.parametrize(
    ("name", "op", "attributes"),
    [
        ("RELU", "activation", {"activation": "relu"}),
        ("RELU6", "activation", {"activation": "relu6"}),
        ("RELU_N1_TO_1", "activation", {"activation": "relu_n1_to_1"}),
        ("RELU_0_TO_1", "activation", {"activation": "relu_0_to_1"}),
        ("LOGISTIC", "logistic", {}),
        ("TANH", "tanh", {}),
        ("ELU", "elu", {}),
        ("EXP", "exp", {}),
        ("RSQRT", "rsqrt", {}),
        ("ABS", "abs", {}),
        ("NEG", "neg", {}),
        ("HARD_SWISH", "hard_swish", {}),
        ("QUANTIZE", "quantize", {}),
        ("LOG_SOFTMAX", "log_softmax", {}),
        ("L2_NORMALIZATION", "l2_normalization", {}),
    ],
)
def test_unary_operators(name, op, attributes):
    assert only(imported(name, [(1, 2, 3)], (1, 2, 3))) == {"op": op, **attributes}


def test_unary_operators_with_options():
    shape = (1, 2, 3)
    graph = imported("LEAKY_RELU", [shape], shape, "LeakyReluOptions", Alpha=0.25)
    assert only(graph) == {"op": "leaky_relu", "alpha": 0.25}
    graph = imported("GELU", [shape], shape, "GeluOptions", Approximate=True)
    assert only(graph) == {"op": "gelu", "approximate": 1}
    graph = imported("SOFTMAX", [shape], shape, "SoftmaxOptions", Beta=2.0)
    assert only(graph) == {"op": "softmax", "beta": 2.0}


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize(
    ("code", "activation"), [(0, "none"), (1, "relu"), (2, "relu_n1_to_1"), (3, "relu6")]
)
def test_arithmetic_with_a_fused_activation(name, code, activation):
    kind = f"{name.capitalize()}Options"
    graph = imported(name, [(1, 2, 3), (1, 1, 3)], (1, 2, 3), kind, FusedActivationFunction=code)
    assert only(graph) == {"op": name.lower(), "activation": activation}
    with pytest.raises(ModelFileError, match="fused activation 4"):
        imported(name, [(1, 2), (1, 2)], (1, 2), kind, FusedActivationFunction=4)


@pytest.mark.parametrize("name", ["MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "PRELU"])
def test_other_binary_operators(name):
    assert only(imported(name, [(1, 2, 3), (1, 2, 3)], (1, 2, 3))) == {"op": name.lower()}


@pytest.mark.parametrize(
    ("padding", "output", "sides"), [(0, (1, 3, 4, 2), (0, 1, 1, 1)), (1, (1, 2, 3, 2), (0, 0, 0, 0))]
)
@pytest.mark.parametrize("name", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pools_have_explicit_padding(name, padding, output, sides):
    graph = imported(
        name,
        [(1, 5, 7, 2)],
        output,
        "Pool2DOptions",
        Padding=padding,
        StrideH=2,
        StrideW=2,
        FilterHeight=2,
        FilterWidth=3,
    )
    assert only(graph) == {
        "op": "max_pool2d" if name == "MAX_POOL_2D" else "average_pool2d",
        "size": (2, 3),
        "stride": (2, 2),
        "padding": sides,
        "activation": "none",
    }


@pytest.mark.parametrize("name", ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"])
def test_reductions(name):
    graph = imported(name, [(1, 4, 5, 6), [-2, 1]], (1, 6), "ReducerOptions")
    assert only(graph) == {"op": name.lower(), "axes": (0, 1), "keep_dims": 0}
    graph = imported(name, [(1, 4, 5, 6), [3]], (1, 4, 5, 1), "ReducerOptions", KeepDims=True)
    assert only(graph) == {"op": name.lower(), "axes": (2,), "keep_dims": 1}


@pytest.mark.parametrize("dtype", ["INT32", "INT64"])
@pytest.mark.parametrize("name", ["ARG_MAX", "ARG_MIN"])
def test_places_of_extremes(name, dtype):
    builder = TfliteBuilder()
    x, axis = builder.input((1, 4, 5)), builder.tensor((), "INT32", data=np.array(-1))
    y = builder.tensor((1, 4), dtype)
    builder.operator(name, [x, axis], y)
    graph = import_tflite(builder.content(y)).graph
    assert only(graph) == {"op": name.lower(), "axis": 1}
    assert graph.tensors["t2"].dtype == dtype.lower()


MOVEMENTS: list[tuple[str, list[Any], Shape, str, dict[str, Any], dict[str, Any]]] = [
    ("RESHAPE", [(1, 4, 6), [1, 24]], (1, 24), "ReshapeOptions", {}, {"op": "reshape"}),
    ("SQUEEZE", [(1, 4, 1, 6)], (1, 4, 6), "SqueezeOptions", {}, {"op": "reshape"}),
    ("EXPAND_DIMS", [(1, 4, 6), [2]], (1, 4, 1, 6), "", {}, {"op": "reshape"}),
    ("TRANSPOSE", [(1, 4, 6, 2), [0, 2, -1, 1]], (1, 6, 2, 4), "", {}, {"permutation": (1, 2, 0)}),
    ("TILE", [(1, 4, 2), [1, 2, 3]], (1, 8, 6), "", {}, {"repeats": (2, 3)}),
    ("BROADCAST_TO", [(1, 1, 6), [1, 4, 6]], (1, 4, 6), "", {}, {"op": "broadcast_to"}),
    ("GATHER", [(1, 4, 6), [5, 0]], (1, 4, 2), "GatherOptions", {"Axis": -1}, {"axis": 1}),
    ("DEPTH_TO_SPACE", [(1, 2, 3, 8)], (1, 4, 6, 2), "DepthToSpaceOptions", {"BlockSize": 2}, {"block": 2}),
    ("SPACE_TO_DEPTH", [(1, 4, 6, 2)], (1, 2, 3, 8), "SpaceToDepthOptions", {"BlockSize": 2}, {"block": 2}),
    (
        "CONCATENATION",
        [(1, 4, 2), (1, 4, 3)],
        (1, 4, 5),
        "ConcatenationOptions",
        {"Axis": -1},
        {"op": "concat", "axis": 1},
    ),
    ("PAD", [(1, 4, 6), [[0, 0], [1, 2], [0, 3]]], (1, 7, 9), "", {}, {"padding": (1, 2, 0, 3), "value": 0}),
    (
        "MIRROR_PAD",
        [(1, 4, 6), [[0, 0], [1, 2], [0, 3]]],
        (1, 7, 9),
        "MirrorPadOptions",
        {"Mode": 1},
        {"padding": (1, 2, 0, 3), "mode": "symmetric"},
    ),
    (
        "RESIZE_BILINEAR",
        [(1, 3, 4, 2), [7, 5]],
        (1, 7, 5, 2),
        "ResizeBilinearOptions",
        {"AlignCorners": True},
        {"op": "resize_bilinear", "align_corners": 1, "half_pixel_centers": 0},
    ),
    (
        "RESIZE_NEAREST_NEIGHBOR",
        [(1, 3, 4, 2), [7, 5]],
        (1, 7, 5, 2),
        "ResizeNearestNeighborOptions",
        {"HalfPixelCenters": True},
        {"op": "resize_nearest", "align_corners": 0, "half_pixel_centers": 1},
    ),
    (
        "SLICE",
        [(1, 4, 6), [0, 1, 2], [-1, 2, -1]],
        (1, 2, 4),
        "",
        {},
        {"begin": (1, 2), "size": (2, 4), "stride": (1, 1)},
    ),
    (
        "STRIDED_SLICE",
        [(1, 5, 7), [0, 1, -1], [0, 4, 0], [1, 2, -2]],
        (1, 2, 3),
        "StridedSliceOptions",
        {"BeginMask": 1, "EndMask": 1},
        {"begin": (1, 6), "size": (2, 3), "stride": (2, -2)},
    ),
]


@pytest.mark.parametrize(
    ("name", "inputs", "output", "kind", "options", "expected"), MOVEMENTS, ids=[row[0] for row in MOVEMENTS]
)
def test_movements(name, inputs, output, kind, options, expected):
    graph = imported(name, inputs, output, kind, **options)
    assert expected.items() <= only(graph).items()
    assert graph.tensors[graph.outputs[0]].shape == output[1:]


def test_an_axis_that_a_slice_drops_goes_by_a_reshape():
    graph = imported(
        "STRIDED_SLICE",
        [(1, 5, 7), [0, -2, 0], [0, 0, 0], [1, 1, 1]],
        (1, 7),
        "StridedSliceOptions",
        BeginMask=5,
        EndMask=5,
        ShrinkAxisMask=2,
    )
    part, whole = graph.nodes
    assert (part.op, part.attributes["begin"], part.attributes["size"]) == ("slice", (3, 0), (1, 7))
    assert (whole.op, graph.tensors[whole.output].shape) == ("reshape", (7,))


def test_splits_are_one_slice_for_each_part():
    builder = TfliteBuilder()
    axis, x = builder.tensor((), "INT32", data=np.array(-1)), builder.input((1, 4, 6))
    parts = [builder.tensor((1, 4, 2)) for _ in range(3)]
    builder.operator("SPLIT", [axis, x], parts, "SplitOptions", NumSplits=3)
    graph = import_tflite(builder.content(*parts)).graph
    assert [node.attributes["begin"] for node in graph.nodes] == [(0, 0), (0, 2), (0, 4)]
    graph = imported("SPLIT_V", [(1, 4, 6), [1, -1], [1]], [(1, 1, 6), (1, 3, 6)], "SplitVOptions")
    assert [node.attributes["size"] for node in graph.nodes] == [(1, 6), (3, 6)]


def test_unpack_slices_and_pack_joins():
    graph = imported("UNPACK", [(1, 4, 3)], [(1, 4)] * 3, "UnpackOptions", Axis=2, Num=3)
    assert [node.op for node in graph.nodes] == ["slice", "reshape"] * 3
    graph = imported("PACK", [(1, 4), (1, 4)], (1, 4, 2), "PackOptions", Axis=-1, ValuesCount=2)
    assert [node.op for node in graph.nodes] == ["reshape", "reshape", "concat"]
    assert graph.nodes[-1].attributes == {"axis": 1}


def test_batch_matmul_broadcasts_leading_axes():
    graph = imported(
        "BATCH_MATMUL", [(1, 3, 4, 6), (1, 1, 5, 6)], (1, 3, 4, 5), "BatchMatMulOptions", AdjY=True
    )
    wide, product = graph.nodes
    assert (wide.op, graph.tensors[wide.output].shape) == ("broadcast_to", (3, 5, 6))
    assert (product.op, product.attributes) == ("batch_matmul", {"adjoint_a": 0, "adjoint_b": 1})


WRONG: list[tuple[str, list[Any], Any, str, dict[str, Any], str]] = [
    ("RESHAPE", [(1, 4), [5]], (1, 5), "", {}, "products must agree"),
    ("RESHAPE", [(1, 4), (1, 2)], (1, 2, 2), "", {}, "computed while running"),
    ("TRANSPOSE", [(1, 4, 6), [0, 1]], (1, 6, 4), "", {}, "must hold 3 integers; got 2"),
    ("TRANSPOSE", [(1, 4, 6), [0, 1, 1]], (1, 4, 4), "", {}, "permutation"),
    ("GATHER", [(1, 4, 6), [6]], (1, 4, 1), "GatherOptions", {"Axis": 2}, r"\[0, 5\]"),
    ("GATHER", [(1, 4, 6), [-1]], (1, 4, 1), "GatherOptions", {"Axis": 2}, r"\[0, 5\]"),
    ("GATHER", [(1, 4), [0]], (1, 1), "GatherOptions", {"Axis": 1, "BatchDims": 1}, "batch_dims"),
    ("PAD", [(1, 4), [[0, 0], [-1, 0]]], (1, 3), "", {}, "padding"),
    ("MIRROR_PAD", [(1, 4), [[0, 0], [4, 0]]], (1, 8), "MirrorPadOptions", {"Mode": 0}, "mirrored"),
    ("MIRROR_PAD", [(1, 4), [[0, 0], [1, 0]]], (1, 5), "MirrorPadOptions", {"Mode": 2}, "mode"),
    ("SLICE", [(1, 4), [0, 3], [1, 2]], (1, 2), "", {}, "leaves axis 1"),
    (
        "STRIDED_SLICE",
        [(1, 4), [0, 0], [1, 4], [1, 0]],
        (1, 4),
        "StridedSliceOptions",
        {},
        "stride of axis 1",
    ),
    (
        "STRIDED_SLICE",
        [(1, 4), [0, 4], [1, 4], [1, 1]],
        (1, 1),
        "StridedSliceOptions",
        {},
        "nothing of axis 1",
    ),
    (
        "STRIDED_SLICE",
        [(1, 4), [0, 0], [1, 4], [1, 1]],
        (1, 4),
        "StridedSliceOptions",
        {"EllipsisMask": 1},
        "ellipsis_mask",
    ),
    ("SPLIT", [[1], (1, 5)], [(1, 2), (1, 2)], "SplitOptions", {}, "do not fill axis 1"),
    ("UNPACK", [(1, 3)], [(1,)] * 2, "UnpackOptions", {"Axis": 1}, "2 outputs"),
    ("MEAN", [(1, 4), []], (1, 4), "ReducerOptions", {}, "reduces no axis"),
    ("MEAN", [(1, 4), [2]], (1, 4), "ReducerOptions", {}, "axis 2 is not one of 2"),
    ("MEAN", [(1, 4), (1, 2)], (1, 4), "ReducerOptions", {}, "int32 or int64"),
    ("ARG_MAX", [(1, 4), [1]], (1,), "ArgMaxOptions", {}, "INT32 or INT64"),
    ("MAX_POOL_2D", [(1, 4, 4)], (1, 4, 4), "Pool2DOptions", {}, "height, width, channels"),
    ("MAX_POOL_2D", [(1, 4, 4, 1)], (1, 4, 4, 1), "Pool2DOptions", {"FilterHeight": 1}, "filter_width"),
    ("RESIZE_BILINEAR", [(1, 3, 4, 2), [7, 6]], (1, 7, 5, 2), "ResizeBilinearOptions", {}, "agree"),
    ("BATCH_MATMUL", [(1, 4, 6), (1, 5, 6)], (1, 4, 5), "BatchMatMulOptions", {}, "6 columns times 5 rows"),
    ("BATCH_MATMUL", [(2, 4, 6), (3, 6, 5)], (2, 4, 5), "BatchMatMulOptions", {}, "leading axes"),
    ("ADD", [(1, 4), (1, 3)], (1, 4), "AddOptions", {}, "broadcast"),
    ("ADD", [(1, 4)], (1, 4), "AddOptions", {}, "input 1 is missing"),
    ("RELU", [(1, 4)], [(1, 4), (1, 4)], "", {}, "one output"),
    ("CONCATENATION", [(1, 4), (1, 4)], (1, 8), "ConcatenationOptions", {"Axis": 5}, "axis 5"),
    ("LSTM", [(1, 4)], (1, 4), "", {}, "it is not supported; supported: ABS, ADD"),
]


@pytest.mark.parametrize(("name", "inputs", "outputs", "kind", "options", "words"), WRONG)
def test_what_does_not_fit_is_refused_by_name(name, inputs, outputs, kind, options, words):
    with pytest.raises(ModelFileError, match=words):
        imported(name, inputs, outputs, kind, **options)


def test_every_supported_operator_is_known_to_the_schema():
    import tflite

    assert all(hasattr(tflite.BuiltinOperator, name) for name in SUPPORTED_OPERATORS)
    assert len(SUPPORTED_OPERATORS) >= 60
