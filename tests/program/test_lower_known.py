"""What a profile's runtime computes in an unknown way is refused; what it mixes, it mixes by operator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor
from fxpgrad.program.lower import UNREPRODUCED, lower
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Rounding


def tensor(name: str, shape: tuple[int, ...], zero_point: int = 0, dtype: str = "int8") -> Tensor:
    return Tensor(name, shape, dtype, Quantization(np.array([0.5]), np.array([zero_point], np.int64)))


def product(zero_point: int = 0, dtype: str = "int8") -> Graph:
    """Return a batch_matmul whose second operand has this zero point."""
    tensors = {
        "a": tensor("a", (4, 6), 0, dtype),
        "b": tensor("b", (6, 5), zero_point, dtype),
        "y": tensor("y", (4, 5), 0, dtype),
    }
    node = Node("y", "batch_matmul", ("a", "b"), "y", {"adjoint_a": 0, "adjoint_b": 0})
    return Graph("product", tensors, (node,), ("a", "b"), ("y",))


def unary(op: str, dtype: str = "int8", shape: tuple[int, ...] = (4, 4, 2), **attributes: Any) -> Graph:
    out = attributes.pop("out", shape)
    tensors = {"x": tensor("x", shape, 0, dtype), "y": tensor("y", out, 0, dtype)}
    return Graph("one", tensors, (Node("y", op, ("x",), "y", attributes),), ("x",), ("y",))


def rounding(graph: Graph, profile: str) -> Rounding:
    return Rounding(lower(graph, profile).calls[-1].parameters["rounding"])


def test_products_of_two_activations_round_as_each_runtime_does() -> None:
    assert rounding(product(), "tflite_double") == Rounding.DOUBLE_AWAY
    assert rounding(product(), "tflite_x86_optimized") == Rounding.DOUBLE_AWAY
    assert rounding(product(), "xnnpack_float32") == Rounding.FLOAT32_EVEN
    assert rounding(product(3), "xnnpack_float32") == Rounding.DOUBLE_AWAY


RESIZED = {"align_corners": 0, "half_pixel_centers": 1, "out": (8, 8, 2)}


@pytest.mark.parametrize(
    ("profile", "graph"),
    [
        ("xnnpack_float32", unary("resize_bilinear", **RESIZED)),
        ("xnnpack_float32", product(dtype="int16")),
        ("onnx_float32", product(dtype="int16")),
        ("tosa_single", product(dtype="int16")),
        ("tflite_x86_optimized", unary("sum", "int16", axes=(0,), keep_dims=1, out=(1, 4, 2))),
    ],
)
def test_what_is_not_known_is_refused_by_name(profile: str, graph: Graph) -> None:
    with pytest.raises(LoweringError, match=rf"node y \({graph.nodes[0].op}\).*{profile}.*not known"):
        lower(graph, profile)
    lower(graph, "tflite_double")


def test_int16_means_run_in_litert_where_xnnpack_takes_none() -> None:
    graph = unary("mean", "int16", axes=(0,), keep_dims=1, out=(1, 4, 2))
    assert rounding(graph, "xnnpack_float32") == Rounding.DOUBLE_AWAY


def layer(op: str, channels: int, *, groups: int = 1, unsigned: bool = False, kernel: int = 1) -> Graph:
    """Return a convolution of 1 x 1 (a transposed one of stride 2) to this many channels."""
    depth = {"conv2d": groups, "transpose_conv2d": 1, "depthwise_conv2d": channels}[op]
    shape = (1, kernel, kernel, channels) if op == "depthwise_conv2d" else (channels, kernel, kernel, 1)
    plain = Quantization(np.array([0.5]), np.zeros(1, np.int64))
    attributes: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0, 0, 0), "activation": "none"}
    extent = 3
    if op == "transpose_conv2d":
        attributes["stride"] = (2, 2)
        extent = 2 * 2 + kernel
    else:
        attributes["dilation"] = (1, 1)
        extent = 4 - kernel
    if op == "conv2d":
        attributes["groups"] = groups
    tensors = {
        "x": replace(tensor("x", (3, 3, depth)), unsigned=unsigned),
        "w": Tensor("w", shape, "int8", plain, np.ones(shape, np.int8)),
        "b": Tensor(
            "b",
            (channels,),
            "int32",
            Quantization(np.array([0.25]), np.zeros(1, np.int64)),
            np.zeros(channels, np.int32),
        ),
        "y": replace(tensor("y", (extent, extent, channels)), unsigned=unsigned),
    }
    return Graph("layer", tensors, (Node("y", op, ("x", "w", "b"), "y", attributes),), ("x",), ("y",))


OPTIMIZED = "tflite_x86_optimized"


@pytest.mark.parametrize("op", ["depthwise_conv2d", "transpose_conv2d"])
def test_optimized_kernels_round_what_their_vectors_leave_over_in_another_way(op: str) -> None:
    assert rounding(layer(op, 16, kernel=2), OPTIMIZED) == Rounding.DOUBLE_UP
    assert rounding(layer(op, 7, kernel=2), OPTIMIZED) == Rounding.DOUBLE_AWAY
    with pytest.raises(LoweringError, match="rounds 4 of 12 channels"):
        lower(layer(op, 12, kernel=2), OPTIMIZED)
    assert rounding(layer(op, 12, kernel=2), "xnnpack_float32") == Rounding.FLOAT32_EVEN


def test_optimized_kernels_run_grouped_and_unsigned_layers_by_the_reference() -> None:
    assert rounding(layer("conv2d", 6), OPTIMIZED) == Rounding.DOUBLE_UP
    assert rounding(layer("conv2d", 6, groups=3), OPTIMIZED) == Rounding.DOUBLE_AWAY
    assert rounding(layer("depthwise_conv2d", 12, unsigned=True), OPTIMIZED) == Rounding.DOUBLE_AWAY


def test_transposed_kernels_smaller_than_the_stride_are_refused_under_xnnpack() -> None:
    lower(layer("transpose_conv2d", 4, kernel=2), "xnnpack_float32")
    with pytest.raises(LoweringError, match="smaller than its stride"):
        lower(layer("transpose_conv2d", 4, kernel=1), "xnnpack_float32")


def requantized(elements: int, *, unsigned: bool = False) -> Graph:
    """Return a quantize to twice the scale, of int8 to int8 or of uint8 to int8."""
    graph = unary("quantize", shape=(elements,))
    wide = Quantization(np.array([1.0]), np.zeros(1, np.int64))
    tensors = {
        "x": replace(graph.tensors["x"], unsigned=unsigned),
        "y": replace(graph.tensors["y"], quantization=wide),
    }
    return replace(graph, tensors=tensors)


def test_quantize_rounds_as_each_runtime_does() -> None:
    assert rounding(requantized(32), OPTIMIZED) == Rounding.DOUBLE_UP
    assert rounding(requantized(5), OPTIMIZED) == Rounding.DOUBLE_AWAY
    with pytest.raises(LoweringError, match="rounds 1 of 33 values"):
        lower(requantized(33), OPTIMIZED)
    for profile in (OPTIMIZED, "xnnpack_float32"):
        assert rounding(requantized(33, unsigned=True), profile) == Rounding.DOUBLE_AWAY


def test_averages_of_uint8_are_refused_where_runtimes_round_the_raw_values() -> None:
    window = {"size": (2, 2), "stride": (1, 1), "padding": (0, 0, 0, 0), "activation": "none"}
    graph = unary("average_pool2d", out=(3, 3, 2), **window)
    lower(graph)
    tensors = {name: replace(value, unsigned=True) for name, value in graph.tensors.items()}
    with pytest.raises(LoweringError, match="averages of uint8"):
        lower(replace(graph, tensors=tensors))


@pytest.mark.parametrize("profile", ["xnnpack_float32", OPTIMIZED])
def test_sums_over_axes_that_are_not_neighbours_have_tables_too(profile: str) -> None:
    graph = unary("sum", axes=(0, 2), keep_dims=0, out=(4,))
    assert lower(graph, profile).calls[-1].kernel == "sum_table_a8"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_program_says_what_is_not_known_to_equal_the_runtime(profile: str) -> None:
    graph = unary("abs")
    doubtful = dict(PROFILES[profile].unreproduced)
    program = lower(graph, profile)
    assert (UNREPRODUCED in program.metadata) == ("abs" in doubtful)
    if "abs" in doubtful:
        assert program.metadata[UNREPRODUCED] == f"abs: {doubtful['abs']}"
