"""Float operators: the imported Graph computes what ONNX Runtime does, within float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")

from fxpgrad.errors import ModelFileError
from fxpgrad.importers.onnx_float import float_deviation
from fxpgrad.importers.onnx_graph import import_onnx
from tests.importers.onnx_models import Array, model, node, value

RNG = np.random.default_rng(20261123)
IMAGE = (4, 6, 5)


def normal(*shape: int) -> Array:
    return RNG.normal(0, 1, shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def one(
    op: str, constants: dict[str, Any] | None = None, shape: tuple[int, ...] = IMAGE, **attributes: Any
) -> Any:
    given = constants or {}
    inputs = ["x", *given]
    made = [node(op, inputs, ["y"], **attributes)]
    return model(made, [value("x", "float32", [None, *shape])], [value("y", "float32", [])], given)


CASES: dict[str, Callable[[], Any]] = {
    "conv": lambda: one("Conv", {"w": normal(8, 4, 3, 3), "b": normal(8)}, pads=[1, 0, 2, 1], strides=[2, 1]),
    "conv in groups": lambda: one("Conv", {"w": normal(6, 2, 3, 3)}, group=2, dilations=[2, 1]),
    "depthwise conv": lambda: one("Conv", {"w": normal(8, 1, 3, 3)}, group=4, auto_pad="SAME_LOWER"),
    "conv of sequences": lambda: one("Conv", {"w": normal(8, 4, 3)}, (4, 9), pads=[1, 1], strides=[2]),
    "batch norm": lambda: one(
        "BatchNormalization", {"g": normal(4), "b": normal(4), "m": normal(4), "v": np.abs(normal(4)) + 1}
    ),
    "max pool": lambda: one("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    "max pool, last window cut off": lambda: one("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "average pool": lambda: one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "average pool with zeros": lambda: one(
        "AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "global average pool": lambda: one("GlobalAveragePool"),
    "mean": lambda: one("ReduceMean", axes=[2, 3], keepdims=0),
    "mean over channels": lambda: one("ReduceMean", axes=[1], keepdims=1),
    "gemm": lambda: one("Gemm", {"w": normal(7, 3), "b": normal(3)}, (7,), alpha=0.5, beta=2.0),
    "gemm transposed": lambda: one("Gemm", {"w": normal(3, 7)}, (7,), transB=1),
    "mat mul of rows": lambda: one("MatMul", {"w": normal(5, 3)}, (6, 5)),
    "add": lambda: one("Add", {"c": normal(4, 1, 1)}),
    "sub": lambda: one("Sub", {"c": normal(1, 4, 6, 5)}),
    "mul": lambda: one("Mul", {"c": normal(5)}),
    "flatten": lambda: one("Flatten"),
    "reshape": lambda: one("Reshape", {"s": ints(0, -1, 10)}),
    "transpose": lambda: one("Transpose", perm=[0, 3, 1, 2]),
    "pad": lambda: one("Pad", {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}),
    "pad by reflection": lambda: one("Pad", {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}, mode="reflect"),
    "slice": lambda: one("Slice", {"s": ints(1, -1), "e": ints(4, -100), "a": ints(1, 3), "t": ints(2, -1)}),
    "unsqueeze": lambda: one("Unsqueeze", {"a": ints(1, -1)}),
    "squeeze": lambda: one("Squeeze", {"a": ints(2)}, (4, 1, 5)),
    "gather one": lambda: one("Gather", {"i": np.array(2)}, axis=2),
    "softmax": lambda: one("Softmax", axis=1),
    "log softmax": lambda: one("LogSoftmax", None, (7,), axis=-1),
    "leaky relu": lambda: one("LeakyRelu", alpha=0.2),
    "clip": lambda: one("Clip", {"low": np.float32(0), "high": np.float32(6)}),
    **{
        op.lower(): (lambda op=op: one(op))
        for op in ("Relu", "Sigmoid", "Tanh", "Elu", "Exp", "Abs", "Neg", "HardSwish")
    },
}


@pytest.mark.parametrize("case", CASES)
def test_operator_equals_the_runtime(case: str) -> None:
    made = CASES[case]()
    made.graph.output[0].type.tensor_type.ClearField("shape")
    content = made.SerializeToString()
    shape = [axis.dim_value for axis in made.graph.input[0].type.tensor_type.shape.dim][1:]
    x = np.random.default_rng(1).normal(0, 2, (3, *shape)).astype(np.float32)
    assert float_deviation(import_onnx(content), content, {"x": x}) < 1e-6


def dynamic_flatten() -> Any:
    """Return a flattening whose shape is computed from the number of rows, as exporters write it."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "front"], ["rows"]),
        node("Concat", ["rows", "rest"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["f"]),
        node("Split", ["f"], ["a", "b"], axis=1),
        node("Concat", ["b", "a"], ["y"], axis=1),
    ]
    constants = {"zero": np.array(0), "front": ints(0), "rest": ints(-1)}
    return model(
        nodes, [value("x", "float32", [None, *IMAGE])], [value("y", "float32", [None, 120])], constants
    )


def test_shapes_computed_from_the_batch_are_folded() -> None:
    content = dynamic_flatten().SerializeToString()
    x = np.random.default_rng(1).normal(0, 2, (3, *IMAGE)).astype(np.float32)
    assert float_deviation(import_onnx(content), content, {"x": x}) == 0


ACROSS_ROWS = {
    "a transpose": lambda: one("Transpose", perm=[1, 0, 2, 3]),
    "a reshape": lambda: one("Reshape", {"s": ints(-1, 5)}),
    "a mean": lambda: one("ReduceMean", axes=[0]),
    "a slice": lambda: one("Slice", {"s": ints(0), "e": ints(1), "a": ints(0)}),
}


@pytest.mark.parametrize("case", ACROSS_ROWS)
def test_what_mixes_rows_is_refused(case: str) -> None:
    with pytest.raises(ModelFileError, match=r"batch|rows|of a row"):
        import_onnx(ACROSS_ROWS[case]().SerializeToString())
