"""The definition of elementwise addition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def add_ref(
    input_a: NDArray[np.int8],
    input_b: NDArray[np.int8],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_a_zero_point: int,
    input_b_zero_point: int,
    output_zero_point: int,
    left_shift: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> NDArray[np.int8]:
    """Define `add_a8`."""
    scaled_a = (input_a.astype(np.int64) - input_a_zero_point) * 2**left_shift
    scaled_b = (input_b.astype(np.int64) - input_b_zero_point) * 2**left_shift
    total = requantize_ref(scaled_a, multiplier[0], shift[0], rounding)
    total = total + requantize_ref(scaled_b, multiplier[1], shift[1], rounding)
    value = requantize_ref(total, multiplier[2], shift[2], rounding) + output_zero_point
    return np.clip(value, clamp_low, clamp_high).astype(np.int8)
