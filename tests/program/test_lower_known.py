"""What a profile's runtime computes in an unknown way is refused; what it mixes, it mixes by operator."""

from __future__ import annotations

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


@pytest.mark.parametrize("profile", PROFILES)
def test_a_program_says_what_is_not_known_to_equal_the_runtime(profile: str) -> None:
    graph = unary("abs")
    doubtful = dict(PROFILES[profile].unreproduced)
    program = lower(graph, profile)
    assert (UNREPRODUCED in program.metadata) == ("abs" in doubtful)
    if "abs" in doubtful:
        assert program.metadata[UNREPRODUCED] == f"abs: {doubtful['abs']}"
