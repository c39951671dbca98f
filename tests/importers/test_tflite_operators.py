"""Each TFLite operator as nodes of the Graph: attributes, axes without the batch, inserted reshapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.graph import Graph
from fxpgrad.importers.tflite_graph import SUPPORTED_OPERATORS, import_tflite
from tests.importers.tflite_builder import TfliteBuilder, one_operator_model

Shape = tuple[int, ...]


def one_operator(*arguments: Any, **options: Any) -> Graph:
    return import_tflite(one_operator_model(*arguments, **options)).graph


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
    assert only(one_operator(name, [(1, 2, 3)], (1, 2, 3))) == {"op": op, **attributes}


def test_unary_operators_with_options():
    shape = (1, 2, 3)
    graph = one_operator("LEAKY_RELU", [shape], shape, "LeakyReluOptions", Alpha=0.25)
    assert only(graph) == {"op": "leaky_relu", "alpha": 0.25}
    graph = one_operator("GELU", [shape], shape, "GeluOptions", Approximate=True)
    assert only(graph) == {"op": "gelu", "approximate": 1}
    graph = one_operator("SOFTMAX", [shape], shape, "SoftmaxOptions", Beta=2.0)
    assert only(graph) == {"op": "softmax", "beta": 2.0}


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize(
    ("code", "activation"), [(0, "none"), (1, "relu"), (2, "relu_n1_to_1"), (3, "relu6")]
)
def test_arithmetic_with_a_fused_activation(name, code, activation):
    kind = f"{name.capitalize()}Options"
    graph = one_operator(name, [(1, 2, 3), (1, 1, 3)], (1, 2, 3), kind, FusedActivationFunction=code)
    assert only(graph) == {"op": name.lower(), "activation": activation}
    with pytest.raises(ModelFileError, match="fused activation 4"):
        one_operator(name, [(1, 2), (1, 2)], (1, 2), kind, FusedActivationFunction=4)


@pytest.mark.parametrize("name", ["MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "PRELU"])
def test_other_binary_operators(name):
    assert only(one_operator(name, [(1, 2, 3), (1, 2, 3)], (1, 2, 3))) == {"op": name.lower()}


@pytest.mark.parametrize(
    ("padding", "output", "sides"), [(0, (1, 3, 4, 2), (0, 1, 1, 1)), (1, (1, 2, 3, 2), (0, 0, 0, 0))]
)
@pytest.mark.parametrize("name", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pools_have_explicit_padding(name, padding, output, sides):
    graph = one_operator(
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
    graph = one_operator(name, [(1, 4, 5, 6), [-2, 1]], (1, 6), "ReducerOptions")
    assert only(graph) == {"op": name.lower(), "axes": (0, 1), "keep_dims": 0}
    graph = one_operator(name, [(1, 4, 5, 6), [3]], (1, 4, 5, 1), "ReducerOptions", KeepDims=True)
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
    graph = one_operator(name, inputs, output, kind, **options)
    assert expected.items() <= only(graph).items()
    assert graph.tensors[graph.outputs[0]].shape == output[1:]


def test_an_axis_that_a_slice_drops_goes_by_a_reshape():
    graph = one_operator(
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
    graph = one_operator("SPLIT_V", [(1, 4, 6), [1, -1], [1]], [(1, 1, 6), (1, 3, 6)], "SplitVOptions")
    assert [node.attributes["size"] for node in graph.nodes] == [(1, 6), (3, 6)]


def test_unpack_slices_and_pack_joins():
    graph = one_operator("UNPACK", [(1, 4, 3)], [(1, 4)] * 3, "UnpackOptions", Axis=2, Num=3)
    assert [node.op for node in graph.nodes] == ["slice", "reshape"] * 3
    graph = one_operator("PACK", [(1, 4), (1, 4)], (1, 4, 2), "PackOptions", Axis=-1, ValuesCount=2)
    assert [node.op for node in graph.nodes] == ["reshape", "reshape", "concat"]
    assert graph.nodes[-1].attributes == {"axis": 1}


def test_batch_matmul_broadcasts_leading_axes():
    graph = one_operator(
        "BATCH_MATMUL", [(1, 3, 4, 6), (1, 1, 5, 6)], (1, 3, 4, 5), "BatchMatMulOptions", AdjY=True
    )
    wide, product = graph.nodes
    assert (wide.op, graph.tensors[wide.output].shape) == ("broadcast_to", (3, 5, 6))
    assert (product.op, product.attributes) == ("batch_matmul", {"adjoint_a": 0, "adjoint_b": 1})


def padded(dtype: str = "INT8", value: int = -7, **quantization: Any) -> dict[str, Any]:
    builder = TfliteBuilder()
    shift = {"zero_point": 3}
    x = builder.input((1, 4), dtype, **shift)
    sides = builder.tensor((2, 2), "INT32", data=[[0, 0], [1, 2]])
    filler = builder.tensor((1,), dtype, data=[value], **{**shift, **quantization})
    y = builder.tensor((1, 7), dtype, **shift)
    builder.operator("PADV2", [x, sides, filler], y)
    return only(import_tflite(builder.content(y)).graph)


def test_padding_with_a_value_takes_it_as_stored():
    assert padded() == {"op": "pad", "padding": (1, 2), "value": -7}
    assert padded("UINT8", 200)["value"] == 72
    with pytest.raises(ModelFileError, match="must have the scale and zero point of the input"):
        padded(zero_point=4)


def test_padding_without_a_value_takes_the_zero_point():
    builder = TfliteBuilder()
    x, sides = builder.input((1, 4), zero_point=-9), builder.tensor((2, 2), "INT32", data=[[0, 0], [1, 2]])
    y = builder.tensor((1, 7), zero_point=-9)
    builder.operator("PAD", [x, sides], y)
    assert only(import_tflite(builder.content(y)).graph)["value"] == -9


def test_every_supported_operator_is_known_to_the_schema():
    import tflite

    assert all(hasattr(tflite.BuiltinOperator, name) for name in SUPPORTED_OPERATORS)
    assert len(SUPPORTED_OPERATORS) >= 60
