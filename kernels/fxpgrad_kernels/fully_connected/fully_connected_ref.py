"""The definition of fully_connected in NumPy int64, written from the contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def fully_connected_accumulate_ref(
    input: NDArray[np.int8],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32],
    input_zero_point: int,
    accumulator_bits: int,
) -> NDArray[np.int32]:
    """Define `fully_connected_accumulate_*`: the int32 accumulators themselves, saturated."""
    total = (input.astype(np.int64) - input_zero_point) @ weights.astype(np.int64).T + bias
    if accumulator_bits == 32 and (abs(total) >= 2**31).any():
        raise OverflowError("an accumulator leaves int32 although 32 bits were promised")
    saturated: NDArray[np.int32] = np.clip(total, -(2**31), 2**31 - 1).astype(np.int32)
    return saturated


def fully_connected_ref(
    input: NDArray[np.int8],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    accumulator_bits: int,
) -> NDArray[np.int8]:
    """Define `fully_connected_a8w8`, `fully_connected_a8w16` and its split form."""
    total = (input.astype(np.int64) - input_zero_point) @ weights.astype(np.int64).T + bias
    if accumulator_bits == 32 and (abs(total) >= 2**31).any():
        raise OverflowError("an accumulator leaves int32 although 32 bits were promised")
    scaled = requantize_ref(total, multiplier, shift, rounding) + output_zero_point
    return np.clip(scaled, clamp_low, clamp_high).astype(np.int8)


def fully_connected_16x8_ref(
    input: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> NDArray[np.int16]:
    """Define `fully_connected_a16w8`."""
    total = (input.astype(np.int64) - input_zero_point) @ weights.astype(np.int64).T + bias
    scaled = requantize_ref(total, multiplier, shift, rounding) + output_zero_point
    return np.clip(scaled, clamp_low, clamp_high).astype(np.int16)
