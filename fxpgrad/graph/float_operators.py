"""Float forms of operators that need no windows: movement, element by element, over an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
FloatOperator = Callable[[list[FloatArray], dict[str, FloatArray], Mapping[str, Any]], FloatArray]

_ERF = np.frompyfunc(math.erf, 1, 1)


def _of_one(function: Callable[[FloatArray], Any]) -> FloatOperator:
    def rule(
        inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
    ) -> FloatArray:
        with np.errstate(over="ignore"):
            return np.asarray(function(inputs[0]), np.float32)

    return rule


def _of_two(function: Callable[[FloatArray, FloatArray], Any]) -> FloatOperator:
    def rule(
        inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
    ) -> FloatArray:
        return np.asarray(function(*_one_rank(*inputs)), np.float32)

    return rule


def _one_rank(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give both arrays [B, ...] one rank: new axes stand behind the batch."""
    rank = max(first.ndim, second.ndim)
    wide = [
        array.reshape(array.shape[0], *[1] * (rank - array.ndim), *array.shape[1:])
        for array in (first, second)
    ]
    return wide[0], wide[1]


def _mean(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    axes = tuple(axis + 1 for axis in attributes["axes"])
    return np.asarray(inputs[0].mean(axis=axes, dtype=np.float32, keepdims=bool(attributes["keep_dims"])))


def _transpose(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    return np.ascontiguousarray(inputs[0].transpose(0, *(axis + 1 for axis in attributes["permutation"])))


def _slice(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    places = (
        begin + stride * np.arange(size)
        for begin, size, stride in zip(
            attributes["begin"], attributes["size"], attributes["stride"], strict=True
        )
    )
    taken: FloatArray = inputs[0][np.ix_(np.arange(inputs[0].shape[0]), *places)]
    return taken


def _constant(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    return constants["value"][None]  # one row, which broadcasts over the batch


def _mirror_pad(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    sides = iter(attributes["padding"])
    return np.pad(inputs[0], ((0, 0), *zip(sides, sides, strict=True)), mode=attributes["mode"])


def _leaky_relu(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    return np.where(inputs[0] >= 0, inputs[0], np.float32(attributes["alpha"]) * inputs[0])


def _softmax(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    scaled = np.float32(attributes["beta"]) * inputs[0]
    grown = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True), np.float32)


def _log_softmax(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    shifted = inputs[0] - inputs[0].max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), np.float32)


def _gelu(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    x = inputs[0]
    if attributes["approximate"]:
        inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
        return np.asarray(0.5 * x * (1 + np.tanh(inner)), np.float32)
    return np.asarray(0.5 * x * (1 + _ERF(x / math.sqrt(2)).astype(np.float64)), np.float32)


FLOAT_OPERATORS: dict[str, FloatOperator] = {
    "abs": _of_one(np.abs),
    "constant": _constant,
    "elu": _of_one(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "exp": _of_one(np.exp),
    "gelu": _gelu,
    "hard_swish": _of_one(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "leaky_relu": _leaky_relu,
    "log_softmax": _log_softmax,
    "logistic": _of_one(lambda x: 1 / (1 + np.exp(-x))),
    "maximum": _of_two(np.maximum),
    "mean": _mean,
    "minimum": _of_two(np.minimum),
    "mirror_pad": _mirror_pad,
    "mul": _of_two(np.multiply),
    "neg": _of_one(np.negative),
    "slice": _slice,
    "softmax": _softmax,
    "sub": _of_two(np.subtract),
    "tanh": _of_one(np.tanh),
    "transpose": _transpose,
}
