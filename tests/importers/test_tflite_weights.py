"""Layers with weights: layouts, types, zero points, biases, padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.check import quantization_of
from fxpgrad.graph.graph import Graph, Tensor
from fxpgrad.importers.tflite_graph import import_tflite
from tests.importers.tflite_builder import TfliteBuilder

RNG = np.random.default_rng(7)


def dense(dtype: str = "INT8", *, activations: str = "INT8", bias: Any = None, **weights: Any) -> Graph:
    """A FULLY_CONNECTED layer of 3 outputs and 4 inputs; `bias` is (type, values, options)."""
    builder = TfliteBuilder()
    x = builder.input((1, 4), activations, scale=0.5)
    weights = {"scale": 0.25, "data": RNG.integers(0, 100, (3, 4)), **weights}
    inputs = [x, builder.tensor((3, 4), dtype, **weights)]
    if bias is not None:
        kind, values, options = bias
        inputs.append(builder.tensor((len(values),), kind, data=values, **options))
    y = builder.tensor((1, 3), activations)
    builder.operator("FULLY_CONNECTED", inputs, y, "FullyConnectedOptions")
    return import_tflite(builder.content(y)).graph


def constants(graph: Graph) -> dict[str, Tensor]:
    return graph.constants_of(graph.nodes[-1])


def test_int8_weights_stay_as_they_are():
    data = RNG.integers(-128, 128, (3, 4))
    weights = constants(dense(data=data))["weights"]
    assert weights.dtype == "int8"
    assert weights.name == "t1"
    np.testing.assert_array_equal(weights.data, data)


@pytest.mark.parametrize(("dtype", "zero_point"), [("UINT8", 100), ("UINT8", 0), ("INT8", -7), ("INT8", 127)])
def test_a_zero_point_of_weights_is_taken_off_in_int16(dtype, zero_point):
    limits = np.iinfo(np.uint8 if dtype == "UINT8" else np.int8)
    data = RNG.integers(limits.min, limits.max + 1, (3, 4))
    weights = constants(dense(dtype, data=data, zero_point=zero_point))["weights"]
    assert weights.dtype == "int16"
    np.testing.assert_array_equal(weights.data, data - zero_point)
    assert quantization_of(weights).zero_point.tolist() == [0]


def test_uint8_weights_whose_zero_point_is_128_are_int8():
    data = RNG.integers(0, 256, (3, 4))
    weights = constants(dense("UINT8", data=data, zero_point=128))["weights"]
    assert weights.dtype == "int8"
    np.testing.assert_array_equal(weights.data, data - 128)


def test_int4_weights_are_unpacked_low_nibble_first():
    builder = TfliteBuilder()
    x = builder.input((1, 5), scale=0.5)
    packed = bytes([0x81, 0x7F, 0x0E])
    inputs = [x, builder.tensor((1, 5), "INT4", scale=0.25, data=packed)]
    y = builder.tensor((1, 1))
    builder.operator("FULLY_CONNECTED", inputs, y, "FullyConnectedOptions")
    weights = constants(import_tflite(builder.content(y)).graph)["weights"]
    assert weights.dtype == "int8"
    assert weights.data is not None
    assert weights.data.tolist() == [[1, -8, -1, 7, -2]]


@pytest.mark.parametrize(
    ("activations", "dtype"), [("INT8", "int32"), ("INT16", "int64")], ids=["8 bits", "16 bits"]
)
def test_a_missing_bias_is_zero_and_as_wide_as_tflite_micro_takes_it(activations, dtype):
    bias = constants(dense(activations=activations))["bias"]
    assert bias.dtype == dtype
    assert bias.data is not None
    assert not bias.data.any()
    assert quantization_of(bias).scale.tolist() == [0.5 * 0.25]


def test_the_bias_scale_is_the_product_whatever_the_file_says():
    graph = dense(bias=("INT32", [1, -2, 3], {"scale": 0.126, "axis": 3}))
    bias = constants(graph)["bias"]
    assert bias.data is not None
    assert bias.data.tolist() == [1, -2, 3]
    assert quantization_of(bias).scale.tolist() == [0.5 * 0.25]


def test_scales_for_each_channel_reach_weights_and_bias():
    bias = constants(dense(scale=[0.25, 0.5, 1.0], zero_point=0))["bias"]
    assert quantization_of(bias).scale.tolist() == [0.125, 0.25, 0.5]
    assert quantization_of(bias).axis == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": [0.5, 0.5], "zero_point": 0}, "2 scales along axis 0"),
        ({"scale": [0.5] * 4, "zero_point": 0, "axis": 1}, "4 scales along axis 1"),
        ({"scale": [0.5, 0.5, 0.5], "zero_point": [0, 1, 0]}, "symmetrically"),
        ({"scale": 0.0}, "need scales"),
        ({"scale": float("nan")}, "need scales"),
        ({"scale": None}, "need scales"),
        ({"zero_point": 200}, "outside the type"),
        ({"sparse": True}, "sparse"),
        ({"bias": ("INT32", [1, 2], {})}, "3 values"),
        ({"bias": ("INT16", [1, 2, 3], {})}, "must be INT32"),
        ({"bias": ("FLOAT32", [1, 2, 3], {})}, "float32"),
        ({"activations": "INT16", "bias": ("INT16", [1, 2, 3], {})}, "INT32 or INT64"),
        ({"data": None}, "must be a constant"),
        ({"dtype": "INT32", "scale": 0.5}, "type INT32"),
    ],
)
def test_weights_that_would_be_misread_are_refused(options, words):
    with pytest.raises(ModelFileError, match=words):
        dense(**options)


def convolution(name: str = "CONV_2D", **changes: Any) -> Graph:
    builder = TfliteBuilder()
    wide = changes.pop("activations", "INT8")
    x = builder.input((1, 6, 7, 4), wide, scale=0.5)
    shape = changes.pop("weights", (6, 3, 3, 4))
    axis = 3 if name == "DEPTHWISE_CONV_2D" else 0
    scales = [0.25] * shape[axis]
    inputs = [x, builder.tensor(shape, scale=scales, axis=axis, data=RNG.integers(-127, 128, shape))]
    bias = changes.pop("bias", None)
    if bias:
        inputs.append(builder.tensor((shape[axis],), bias, data=np.arange(shape[axis])))
    y = builder.tensor(changes.pop("output", (1, 3, 4, 6)), wide)
    kind = "Conv2DOptions" if name == "CONV_2D" else "DepthwiseConv2DOptions"
    builder.operator(name, inputs, y, kind, **{"StrideH": 2, "StrideW": 2, **changes})
    return import_tflite(builder.content(y)).graph


def test_convolution_with_same_padding():
    (node,) = convolution(FusedActivationFunction=3).nodes
    assert node.attributes == {
        "stride": (2, 2),
        "padding": (0, 1, 1, 1),
        "dilation": (1, 1),
        "activation": "relu6",
        "groups": 1,
    }


def test_convolution_with_groups_and_dilation():
    graph = convolution(
        weights=(6, 2, 3, 2),
        output=(1, 4, 3, 6),
        Padding=1,
        StrideH=1,
        StrideW=1,
        DilationHFactor=2,
        DilationWFactor=2,
    )
    (node,) = graph.nodes
    assert (node.attributes["groups"], node.attributes["dilation"]) == (2, (2, 2))


def test_depthwise_convolution():
    graph = convolution("DEPTHWISE_CONV_2D", weights=(1, 3, 3, 8), output=(1, 3, 4, 8), DepthMultiplier=2)
    (node,) = graph.nodes
    assert node.op == "depthwise_conv2d"
    assert quantization_of(constants(graph)["weights"]).axis == 3


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("CONV_2D", {"StrideH": 0}, "stride_h"),
        ("CONV_2D", {"Padding": 2}, "SAME"),
        ("CONV_2D", {"weights": (6, 3, 3, 3)}, "do not divide"),
        ("CONV_2D", {"weights": (6, 3, 4)}, "rank 4"),
        ("CONV_2D", {"output": (1, 3, 3, 6)}, r"declares \[3, 3, 6\]"),
        ("DEPTHWISE_CONV_2D", {"weights": (1, 3, 3, 8), "DepthMultiplier": 3}, "depth_multiplier"),
        (
            "DEPTHWISE_CONV_2D",
            {"weights": (1, 3, 3, 4), "DepthMultiplier": 1, "activations": "INT16", "bias": "INT32"},
            "int64 biases",
        ),
    ],
)
def test_convolutions_that_do_not_fit_are_refused(name, changes, words):
    with pytest.raises(ModelFileError, match=words):
        convolution(name, **changes)


def test_convolution_of_int16_takes_either_bias():
    for bias in ("INT32", "INT64"):
        graph = convolution(activations="INT16", bias=bias)
        assert constants(graph)["bias"].dtype == bias.lower()


@pytest.mark.parametrize(
    ("padding", "output", "sides"), [(0, (1, 6, 8, 5), (0, 1, 0, 1)), (1, (1, 7, 9, 5), (0, 0, 0, 0))]
)
def test_transpose_convolution(padding, output, sides):
    builder = TfliteBuilder()
    x = builder.input((1, 3, 4, 2))
    weights = builder.tensor((5, 3, 3, 2), data=RNG.integers(-9, 9, (5, 3, 3, 2)))
    y = builder.tensor(output)
    options = {"StrideH": 2, "StrideW": 2, "Padding": padding}
    builder.operator(
        "TRANSPOSE_CONV", [builder.integers(*output), weights, x], y, "TransposeConvOptions", **options
    )
    (node,) = import_tflite(builder.content(y)).graph.nodes
    assert (node.op, node.attributes["padding"]) == ("transpose_conv2d", sides)


@pytest.mark.parametrize(
    ("inputs", "output", "ops"),
    [
        ((1, 12), (1, 5), ["fully_connected"]),
        ((1, 4, 3), (1, 5), ["reshape", "fully_connected"]),
        ((1, 4, 12), (1, 4, 5), ["fully_connected"]),
        ((1, 4, 12), (4, 5), ["reshape", "fully_connected"]),
        ((2, 12), (2, 5), ["fully_connected"]),
    ],
)
def test_the_input_of_a_dense_layer_is_read_as_rows_of_features(inputs, output, ops):
    builder = TfliteBuilder()
    x, weights = builder.input(inputs), builder.tensor((5, 12), data=RNG.integers(-9, 9, (5, 12)))
    y = builder.tensor(output)
    builder.operator("FULLY_CONNECTED", [x, weights, -1], y, "FullyConnectedOptions")
    assert [node.op for node in import_tflite(builder.content(y)).graph.nodes] == ops


@pytest.mark.parametrize(
    ("weights", "output", "words"),
    [
        ((5, 12, 1), (1, 5), r"must be \[out, in\]"),
        ((5, 12), (1, 4), "5 features"),
        ((5, 7), (1, 5), "cannot"),
    ],
)
def test_dense_layers_that_do_not_fit_are_refused(weights, output, words):
    builder = TfliteBuilder()
    x, matrix = builder.input((1, 12)), builder.tensor(weights, data=np.ones(weights))
    y = builder.tensor(output)
    builder.operator("FULLY_CONNECTED", [x, matrix], y, "FullyConnectedOptions")
    with pytest.raises(ModelFileError, match=words):
        import_tflite(builder.content(y))


def test_a_dense_layer_with_the_output_1_keeps_whole_shapes():
    builder = TfliteBuilder()
    x, matrix = builder.input((1, 12)), builder.tensor((1, 12), data=np.ones((1, 12)))
    y = builder.tensor((1,))
    builder.operator("FULLY_CONNECTED", [x, matrix], y, "FullyConnectedOptions")
    model = import_tflite(builder.content(y))
    assert not model.has_batch
    assert model.graph.tensors["t2"].shape == (1,)


def test_weights_that_two_layers_share_are_one_constant():
    builder = TfliteBuilder()
    x, weights = builder.input((1, 4)), builder.tensor((4, 4), data=RNG.integers(-9, 9, (4, 4)))
    hidden, y = builder.tensor((1, 4)), builder.tensor((1, 4))
    builder.operator("FULLY_CONNECTED", [x, weights], hidden, "FullyConnectedOptions")
    builder.operator("FULLY_CONNECTED", [hidden, weights], y, "FullyConnectedOptions")
    first, second = import_tflite(builder.content(y)).graph.nodes
    assert first.inputs[1] == second.inputs[1] == "t1"
    assert first.inputs[2] != second.inputs[2]
