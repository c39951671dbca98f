"""The definition of conv2d in NumPy int64, written from the contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def conv2d_accumulators_ref(
    input: NDArray[np.int8 | np.int16],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32 | np.int64],
    out_hw: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    input_zero_point: int,
) -> NDArray[np.int64]:
    """Return bias + sum of (x - zero point) * w for every output; padding contributes nothing."""
    batch, height, width, _ = input.shape
    filters, kernel_h, kernel_w, group_channels = weights.shape
    out_h, out_w = out_hw
    real = input.astype(np.int64) - input_zero_point
    w = weights.astype(np.int64)
    group_filters = filters // groups
    total = np.zeros((batch, out_h, out_w, filters), np.int64) + bias.astype(np.int64)
    for oy in range(out_h):
        for ox in range(out_w):
            for ky in range(kernel_h):
                for kx in range(kernel_w):
                    y = oy * stride[0] - pad[0] + ky * dilation[0]
                    x = ox * stride[1] - pad[1] + kx * dilation[1]
                    if not (0 <= y < height and 0 <= x < width):
                        continue
                    for group in range(groups):
                        ins = slice(group * group_channels, (group + 1) * group_channels)
                        outs = slice(group * group_filters, (group + 1) * group_filters)
                        total[:, oy, ox, outs] += real[:, y, x, ins] @ w[outs, ky, kx].T
    return total


def conv2d_ref(
    input: NDArray[np.int8],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    input_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    accumulator_bits: int,
    *,
    output_size: tuple[int, int],
) -> NDArray[np.int8]:
    """Define `conv2d_a8w8`, `conv2d_a8w16` and `conv2d_a8w16_split`: see contract.md."""
    total = conv2d_accumulators_ref(
        input,
        weights,
        bias,
        output_size,
        (stride_h, stride_w),
        (pad_top, pad_left),
        (dilation_h, dilation_w),
        groups,
        input_zero_point,
    )
    if accumulator_bits == 32 and (abs(total) >= 2**31).any():
        raise OverflowError("an accumulator leaves int32 although 32 bits were promised")
    scaled = requantize_ref(total, multiplier, shift, rounding) + output_zero_point
    return np.clip(scaled, clamp_low, clamp_high).astype(np.int8)


def conv2d_16x8_ref(
    input: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    *,
    output_size: tuple[int, int],
) -> NDArray[np.int16]:
    """Define `conv2d_a16w8`: see contract.md."""
    total = conv2d_accumulators_ref(
        input,
        weights,
        bias,
        output_size,
        (stride_h, stride_w),
        (pad_top, pad_left),
        (dilation_h, dilation_w),
        groups,
        0,
    )
    scaled = requantize_ref(total, multiplier, shift, rounding)
    return np.clip(scaled, clamp_low, clamp_high).astype(np.int16)
