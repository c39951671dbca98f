"""The definition of the singular value decomposition filter in NumPy int64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def svdf_ref(
    input: NDArray[np.int8],
    feature_weights: NDArray[np.int8],
    time_weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    state: NDArray[np.int8 | np.int16],
    rank: int,
    input_zero_point: int,
    state_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> tuple[NDArray[np.int8], NDArray[np.int8 | np.int16]]:
    """Define `svdf_a8` and `svdf_a8_s8`: return the output and the new state."""
    batch, (filters, steps) = len(input), time_weights.shape
    feature = (input.astype(np.int64) - input_zero_point) @ feature_weights.astype(np.int64).T
    limits = np.iinfo(state.dtype)
    newest = requantize_ref(feature.astype(np.int32), multiplier[0], shift[0], rounding)
    newest = (newest.clip(limits.min, limits.max) + state_zero_point).astype(state.dtype)
    memory = state.reshape(batch, filters, steps)
    memory = np.concatenate([memory[:, :, 1:], newest[:, :, None]], axis=2).astype(np.int64)
    products = (memory - state_zero_point) * time_weights.astype(np.int64)
    total = products.sum(axis=2).reshape(batch, filters // rank, rank).sum(axis=2) + bias.astype(np.int64)
    value = requantize_ref(total.astype(np.int32), multiplier[1], shift[1], rounding) + output_zero_point
    output = np.clip(value, clamp_low, clamp_high).astype(np.int8)
    return output, memory.reshape(batch, filters * steps).astype(state.dtype)
