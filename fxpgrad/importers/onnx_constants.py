"""Fold what an ONNX model computes from constants and shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fxpgrad.importers.onnx_model import HIGHEST_RANK, LARGEST_CONSTANT, Array, OnnxNode
from fxpgrad.importers.onnx_values import BATCH, per_axis

Inputs = Sequence[Array | None]
_Fold = Callable[[OnnxNode, Inputs], Array]

_CASTS: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
}


def fold(node: OnnxNode, inputs: Inputs) -> Array | None:
    """Return the value of a node whose inputs are all constants, or None for an operator not folded.

    Raises
    ------
    ModelFileError
        The node is malformed, computes with the number of rows, or its result is too large.
    """
    rule = _RULES.get(node.op)
    if rule is None:
        return None
    if node.op in _ARITHMETIC and any(
        item is not None and item.dtype.kind == "i" and (item == BATCH).any() for item in inputs
    ):
        raise node.refuse("it computes with the number of rows; export the model with a fixed batch")
    with np.errstate(all="ignore"):
        result = np.asarray(rule(node, inputs))
    return result


def needed(node: OnnxNode, inputs: Inputs, position: int) -> Array:
    """Return an input that must be there."""
    if position >= len(inputs) or inputs[position] is None:
        raise node.refuse(f"input {position} is missing")
    value = inputs[position]
    assert value is not None
    return value


def integers(node: OnnxNode, inputs: Inputs, position: int, attribute: str) -> list[int] | None:
    """Return a list of ints that is an attribute in old opsets and an input in new ones."""
    if attribute in node.attributes:
        value = node.attributes[attribute]
        return [int(item) for item in value] if isinstance(value, list) else [int(value)]
    if position < len(inputs) and inputs[position] is not None:
        return [int(item) for item in np.asarray(inputs[position]).reshape(-1)]
    return None


def normalized(node: OnnxNode, axis: int, rank: int) -> int:
    """Return a non-negative axis, or refuse one that does not exist."""
    if not -rank <= axis < rank:
        raise node.refuse(f"axis {axis} does not exist in a tensor of rank {rank}")
    return axis % rank


def _bounded(node: OnnxNode, shape: Sequence[int]) -> tuple[int, ...]:
    count = 1
    for extent in shape:
        count *= max(int(extent), 0)
    if len(shape) > HIGHEST_RANK or count > LARGEST_CONSTANT:
        raise node.refuse(f"a constant of the shape {list(shape)[:12]} is too large")
    return tuple(int(extent) for extent in shape)


def _constant(node: OnnxNode, inputs: Inputs) -> Array:
    for name, dtype in (
        ("value", None),
        ("value_float", np.float32),
        ("value_int", np.int64),
        ("value_floats", np.float32),
        ("value_ints", np.int64),
    ):
        if name in node.attributes:
            return np.asarray(node.attributes[name], dtype)
    raise node.refuse("it holds no number")


def _constant_of_shape(node: OnnxNode, inputs: Inputs) -> Array:
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)
    shape = _bounded(node, needed(node, inputs, 0).reshape(-1).tolist())
    if min(shape, default=0) < 0:
        raise node.refuse("its shape depends on the number of rows")
    return np.full(shape, value[0], value.dtype)


def _cast(node: OnnxNode, inputs: Inputs) -> Array:
    target = int(node.attributes.get("to", 0))
    if target not in _CASTS:
        raise node.refuse(f"it casts to the element type {target}")
    return needed(node, inputs, 0).astype(_CASTS[target])


def _reshape(node: OnnxNode, inputs: Inputs) -> Array:
    array, shape = needed(node, inputs, 0), needed(node, inputs, 1).reshape(-1).tolist()
    if not node.attributes.get("allowzero", 0):
        shape = [array.shape[i] if extent == 0 else extent for i, extent in enumerate(shape)]
    return array.reshape([int(extent) for extent in shape])


def _flatten(node: OnnxNode, inputs: Inputs) -> Array:
    array = needed(node, inputs, 0)
    axis = int(node.attributes.get("axis", 1))
    return array.reshape(int(np.prod(array.shape[:axis], dtype=np.int64)), -1)


def _transpose(node: OnnxNode, inputs: Inputs) -> Array:
    array = needed(node, inputs, 0)
    return array.transpose(node.attributes.get("perm", tuple(reversed(range(array.ndim)))))


def _squeeze(node: OnnxNode, inputs: Inputs) -> Array:
    axes = integers(node, inputs, 1, "axes")
    return np.squeeze(needed(node, inputs, 0), None if axes is None else tuple(axes))


def _unsqueeze(node: OnnxNode, inputs: Inputs) -> Array:
    axes = integers(node, inputs, 1, "axes")
    if axes is None:
        raise node.refuse("its axes are missing")
    return np.expand_dims(needed(node, inputs, 0), tuple(axes))


def _concat(node: OnnxNode, inputs: Inputs) -> Array:
    parts = [needed(node, inputs, i) for i in range(len(inputs))]
    return np.concatenate(parts, int(node.attributes["axis"]))


def _gather(node: OnnxNode, inputs: Inputs) -> Array:
    array, indices = needed(node, inputs, 0), needed(node, inputs, 1)
    axis = int(node.attributes.get("axis", 0))
    _bounded(node, (*indices.shape, *array.shape))
    return np.take(array, indices.astype(np.int64), axis)


def slices(node: OnnxNode, inputs: Inputs, rank: int) -> dict[int, slice]:
    """Return the slice of each axis that a Slice node cuts."""
    starts, ends = integers(node, inputs, 1, "starts"), integers(node, inputs, 2, "ends")
    if starts is None or ends is None or len(starts) != len(ends):
        raise node.refuse("starts and ends must be constants of one length")
    axes = integers(node, inputs, 3, "axes") or list(range(len(starts)))
    steps = integers(node, inputs, 4, "steps") or [1] * len(starts)
    if len(axes) != len(starts) or len(steps) != len(starts) or 0 in steps:
        raise node.refuse("axes and steps must be as long as starts, and no step 0")
    result: dict[int, slice] = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # A backward slice that ends before the first element has an end below -extent.
        stop = None if step < 0 and end < -(2**31) + 1 else end
        result[normalized(node, axis, rank)] = slice(start, stop, step)
    return result


def _slice(node: OnnxNode, inputs: Inputs) -> Array:
    array = needed(node, inputs, 0)
    cuts = slices(node, inputs, array.ndim)
    return array[tuple(cuts.get(axis, slice(None)) for axis in range(array.ndim))]


def _divide(node: OnnxNode, inputs: Inputs) -> Array:
    a, b = needed(node, inputs, 0), needed(node, inputs, 1)
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if (b == 0).any():
        raise node.refuse("it divides by zero")
    quotient = np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))
    return np.asarray(quotient, a.dtype)


def _quantize(node: OnnxNode, inputs: Inputs) -> Array:
    array, scale = needed(node, inputs, 0), needed(node, inputs, 1)
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros(scale.shape, np.uint8)
    if array.dtype != np.float32 or zero.dtype.kind not in "iu":
        raise node.refuse("only float32 constants can be quantized")
    axis = (
        normalized(node, int(node.attributes.get("axis", 1)), max(array.ndim, 1)) if scale.size > 1 else None
    )
    steps = np.rint(array / per_axis(scale.astype(np.float32), axis, array.ndim))
    if np.isnan(steps).any():
        raise node.refuse("a constant to quantize holds NaN, or a scale is 0")
    limits = np.iinfo(zero.dtype)
    shifted = steps.astype(np.float64) + per_axis(zero, axis, array.ndim)
    return np.clip(shifted, limits.min, limits.max).astype(zero.dtype)


def _binary(function: Callable[[Any, Any], Any]) -> _Fold:
    def rule(node: OnnxNode, inputs: Inputs) -> Array:
        a, b = needed(node, inputs, 0), needed(node, inputs, 1)
        _bounded(node, np.broadcast_shapes(a.shape, b.shape))
        return np.asarray(function(a, b))

    return rule


_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Reciprocal")
_RULES: dict[str, _Fold] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": lambda node, inputs: needed(node, inputs, 0),
    "Cast": _cast,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Shape": lambda node, inputs: np.array(needed(node, inputs, 0).shape, np.int64),
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _divide,
    "Neg": lambda node, inputs: -needed(node, inputs, 0),
    "Sqrt": lambda node, inputs: np.sqrt(needed(node, inputs, 0)),
    "Reciprocal": lambda node, inputs: 1 / needed(node, inputs, 0),
    "QuantizeLinear": _quantize,
}
