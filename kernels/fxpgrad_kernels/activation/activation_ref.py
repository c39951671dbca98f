"""The definitions of the activations of one value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.arithmetic.rounding_shift_ref import saturate, shift_scalar

_UP, _TRUNCATE, _AWAY = 2, 1, 3  # codes of `profiles.ShiftRounding`


def clamp_ref(input: NDArray[Any], clamp_low: int, clamp_high: int) -> NDArray[Any]:
    """Define `clamp_a8` and `clamp_a16`."""
    return np.array([max(clamp_low, min(clamp_high, int(value))) for value in input], input.dtype)


def leaky_relu_ref(
    input: NDArray[Any],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> NDArray[Any]:
    """Define `leaky_relu_a8` and `leaky_relu_a16`."""
    x = input.astype(np.int64) - input_zero_point
    positive = requantize_ref(x, multiplier[0], shift[0], rounding)
    negative = requantize_ref(x, multiplier[1], shift[1], rounding)
    return _saturated(np.where(x >= 0, positive, negative) + np.int64(output_zero_point), input)


def absolute_ref(
    input: NDArray[Any],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> NDArray[Any]:
    """Define `abs_a8` and `abs_a16`."""
    x = np.abs(input.astype(np.int64) - input_zero_point)
    value = requantize_ref(x, multiplier[0], shift[0], rounding)
    return _saturated(value.astype(np.int64) + output_zero_point, input)


def hard_swish_ref(
    input: NDArray[np.int8],
    input_zero_point: int,
    output_zero_point: int,
    output_multiplier: int,
    output_exponent: int,
    gate_multiplier: int,
    gate_exponent: int,
) -> NDArray[np.int8]:
    """Define `hard_swish_a8`."""
    results = []
    for value in input.tolist():
        x = (value - input_zero_point) * 128
        scaled = shift_scalar(x * output_multiplier, 15, _UP)
        gate = x
        if gate_exponent > 0:
            gate = saturate(gate * 2 ** (gate_exponent - 1), 16)
        gate = shift_scalar(gate * gate_multiplier, 15, _UP)
        gate = saturate(gate * 2, 16) if gate_exponent > 0 else shift_scalar(gate, -gate_exponent, _AWAY)
        gate = (gate + 2**15) // 2
        product = shift_scalar(gate * scaled, 15, _TRUNCATE)
        result = shift_scalar(product, -output_exponent, _AWAY) + output_zero_point
        results.append(saturate(result, 8))
    return np.array(results, np.int8)


def _saturated(value: NDArray[np.int64], like: NDArray[Any]) -> NDArray[Any]:
    info = np.iinfo(like.dtype)
    return np.clip(value, info.min, info.max).astype(like.dtype)
