"""The definition of the transposed convolution: every input pixel scatters its filters, in int64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def transpose_conv2d_accumulators_ref(
    input: NDArray[np.int8 | np.int16],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32 | np.int64],
    output_size: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    input_zero_point: int,
) -> NDArray[np.int64]:
    """Return bias + the sum of all that is scattered onto each output; what falls outside is lost."""
    batch, height, width, _ = input.shape
    outputs, kernel_h, kernel_w, _ = weights.shape
    real = input.astype(np.int64) - input_zero_point
    w = weights.astype(np.int64)
    total = np.zeros((batch, *output_size, outputs), np.int64) + bias.astype(np.int64)
    for iy in range(height):
        for ix in range(width):
            for ky in range(kernel_h):
                for kx in range(kernel_w):
                    y = iy * stride[0] - pad[0] + ky
                    x = ix * stride[1] - pad[1] + kx
                    if 0 <= y < output_size[0] and 0 <= x < output_size[1]:
                        total[:, y, x] += real[:, iy, ix] @ w[:, ky, kx].T
    return total


def transpose_conv2d_ref(
    input: NDArray[np.int8],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    input_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    *,
    output_size: tuple[int, int],
) -> NDArray[np.int8]:
    """Define `transpose_conv2d_a8w8` and `transpose_conv2d_a8w16`."""
    total = transpose_conv2d_accumulators_ref(
        input, weights, bias, output_size, (stride_h, stride_w), (pad_top, pad_left), input_zero_point
    )
    value = requantize_ref(total, multiplier, shift, rounding) + output_zero_point
    return np.clip(value, clamp_low, clamp_high).astype(np.int8)


def transpose_conv2d_16x8_ref(
    input: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    *,
    output_size: tuple[int, int],
) -> NDArray[np.int16]:
    """Define `transpose_conv2d_a16w8`."""
    total = transpose_conv2d_accumulators_ref(
        input, weights, bias, output_size, (stride_h, stride_w), (pad_top, pad_left), 0
    )
    value = requantize_ref(total, multiplier, shift, rounding)
    return np.clip(value, clamp_low, clamp_high).astype(np.int16)
