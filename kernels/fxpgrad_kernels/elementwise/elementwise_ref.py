"""The definitions of the operators on two activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref

Ints = NDArray[np.int64]
Operand = NDArray[Any]


def add_ref(
    input_a: Operand,
    input_b: Operand,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_a_zero_point: int,
    input_b_zero_point: int,
    output_zero_point: int,
    left_shift: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> Operand:
    """Define `add_a8`."""
    a, b = input_a.astype(np.int64) - input_a_zero_point, input_b.astype(np.int64) - input_b_zero_point
    scaled_a, scaled_b = _scaled(a, b, multiplier, shift, left_shift, rounding)
    value = requantize_ref(scaled_a + scaled_b, multiplier[2], shift[2], rounding) + output_zero_point
    return np.clip(value, clamp_low, clamp_high).astype(input_a.dtype)


def subtract_ref(
    input_a: Operand,
    input_b: Operand,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_a_zero_point: int,
    input_b_zero_point: int,
    output_zero_point: int,
    left_shift: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> Operand:
    """Define `sub_a8`."""
    a, b = input_a.astype(np.int64) - input_a_zero_point, input_b.astype(np.int64) - input_b_zero_point
    scaled_a, scaled_b = _scaled(a, b, multiplier, shift, left_shift, rounding)
    value = requantize_ref(scaled_a - scaled_b, multiplier[2], shift[2], rounding) + output_zero_point
    return np.clip(value, clamp_low, clamp_high).astype(input_a.dtype)


def add_a16_ref(
    input_a: Operand,
    input_b: Operand,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    left_shift: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> Operand:
    """Define `add_a16`."""
    return add_ref(input_a, input_b, multiplier, shift, 0, 0, 0, left_shift, clamp_low, clamp_high, rounding)


def subtract_a16_ref(
    input_a: Operand,
    input_b: Operand,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    left_shift: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> Operand:
    """Define `sub_a16`."""
    return subtract_ref(
        input_a, input_b, multiplier, shift, 0, 0, 0, left_shift, clamp_low, clamp_high, rounding
    )


def add_mixed_ref(
    input_a: Operand,
    input_b: Operand,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_a_zero_point: int,
    input_b_zero_point: int,
    output_zero_point: int,
    left_shift: int,
    clamp_low: int,
    clamp_high: int,
    operand_rounding: int,
    rounding: int,
) -> Operand:
    """Define `add_mixed_a8`."""
    a, b = input_a.astype(np.int64) - input_a_zero_point, input_b.astype(np.int64) - input_b_zero_point
    scaled_a, scaled_b = _scaled(a, b, multiplier, shift, left_shift, operand_rounding)
    value = requantize_ref(scaled_a + scaled_b, multiplier[2], shift[2], rounding) + output_zero_point
    return np.clip(value, clamp_low, clamp_high).astype(input_a.dtype)


def add_mixed_a16_ref(
    input_a: Operand,
    input_b: Operand,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    left_shift: int,
    clamp_low: int,
    clamp_high: int,
    operand_rounding: int,
    rounding: int,
) -> Operand:
    """Define `add_mixed_a16`."""
    bounds = clamp_low, clamp_high
    return add_mixed_ref(
        input_a, input_b, multiplier, shift, 0, 0, 0, left_shift, *bounds, operand_rounding, rounding
    )


def multiply_ref(
    input_a: Operand,
    input_b: Operand,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_a_zero_point: int,
    input_b_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> Operand:
    """Define `mul_a8` and `mul_a16`."""
    a, b = input_a.astype(np.int64) - input_a_zero_point, input_b.astype(np.int64) - input_b_zero_point
    value = requantize_ref(a * b, multiplier[0], shift[0], rounding) + output_zero_point
    return np.clip(value, clamp_low, clamp_high).astype(input_a.dtype)


def squared_difference_ref(
    input_a: Operand,
    input_b: Operand,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_a_zero_point: int,
    input_b_zero_point: int,
    output_zero_point: int,
    left_shift: int,
    rounding: int,
) -> Operand:
    """Define `squared_difference_a8` and `squared_difference_a16`."""
    a, b = input_a.astype(np.int64) - input_a_zero_point, input_b.astype(np.int64) - input_b_zero_point
    scaled_a, scaled_b = _scaled(a, b, multiplier, shift, left_shift, rounding)
    difference = (scaled_a - scaled_b).tolist()
    square = np.array([min(value * value, 2**31 - 1) for value in difference], np.int64)
    value = requantize_ref(square, multiplier[2], shift[2], rounding) + output_zero_point
    info = np.iinfo(input_a.dtype)
    return np.clip(value, info.min, info.max).astype(input_a.dtype)


def maximum_ref(input_a: Operand, input_b: Operand) -> Operand:
    """Define `maximum_a8`, `maximum_a16` and `maximum_a32`."""
    pairs = zip(input_a.tolist(), input_b.tolist(), strict=True)
    return np.array([a if a > b else b for a, b in pairs], input_a.dtype)


def minimum_ref(input_a: Operand, input_b: Operand) -> Operand:
    """Define `minimum_a8`, `minimum_a16` and `minimum_a32`."""
    pairs = zip(input_a.tolist(), input_b.tolist(), strict=True)
    return np.array([a if a < b else b for a, b in pairs], input_a.dtype)


def prelu_ref(
    input: Operand,
    slope: NDArray[np.int8],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    slope_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> Operand:
    """Define `prelu_a8` and `prelu_a16`."""
    x, alpha = input.astype(np.int64) - input_zero_point, slope.astype(np.int64) - slope_zero_point
    positive = requantize_ref(x, multiplier[0], shift[0], rounding)
    negative = requantize_ref(x * alpha, multiplier[1], shift[1], rounding)
    info = np.iinfo(input.dtype)
    value = np.where(x >= 0, positive, negative).astype(np.int64) + output_zero_point
    return np.clip(value, info.min, info.max).astype(input.dtype)


def _scaled(
    a: Ints,
    b: Ints,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    left_shift: int,
    rounding: int,
) -> tuple[Ints, Ints]:
    """Return both operands in one scale, with the fraction bits that `left_shift` leaves."""
    scaled_a = requantize_ref(a * 2**left_shift, multiplier[0], shift[0], rounding)
    scaled_b = requantize_ref(b * 2**left_shift, multiplier[1], shift[1], rounding)
    return scaled_a.astype(np.int64), scaled_b.astype(np.int64)
