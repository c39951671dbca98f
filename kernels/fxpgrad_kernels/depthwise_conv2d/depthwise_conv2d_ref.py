"""The definition of the depthwise convolution: exact int64 sums, then the definition of requantization."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def depthwise_accumulator_ref(
    input: NDArray[np.int8] | NDArray[np.int16],
    weights: NDArray[np.int8] | NDArray[np.int16],
    bias: NDArray[np.int32] | NDArray[np.int64],
    strides: tuple[int, int],
    padding: tuple[int, int],
    dilations: tuple[int, int],
    input_zero_point: int,
    output_size: tuple[int, int] | None = None,
) -> NDArray[np.int64]:
    """Return the exact sums [B, OH, OW, O] as int64.

    Without `output_size` the image is padded after the end as much as before the start.
    """
    batch, height, width, channels = input.shape
    kernel_h, kernel_w, outputs = weights.shape[1:]
    reach_h, reach_w = (kernel_h - 1) * dilations[0] + 1, (kernel_w - 1) * dilations[1] + 1
    if output_size is None:
        output_size = (
            (height + 2 * padding[0] - reach_h) // strides[0] + 1,
            (width + 2 * padding[1] - reach_w) // strides[1] + 1,
        )
    # Output channel o reads input channel o // multiplicity.
    centred = np.repeat(input.astype(np.int64) - input_zero_point, outputs // channels, axis=3)
    accumulator = np.zeros((batch, *output_size, outputs), np.int64) + bias.astype(np.int64)
    for oh in range(output_size[0]):
        for ow in range(output_size[1]):
            for ky in range(kernel_h):
                y = oh * strides[0] - padding[0] + ky * dilations[0]
                for kx in range(kernel_w):
                    x = ow * strides[1] - padding[1] + kx * dilations[1]
                    if 0 <= y < height and 0 <= x < width:
                        accumulator[:, oh, ow] += centred[:, y, x] * weights[0, ky, kx].astype(np.int64)
    return accumulator


def depthwise_conv2d_ref(
    input: NDArray[np.int8],
    weights: NDArray[np.int8] | NDArray[np.int16],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    dilation_h: int,
    dilation_w: int,
    input_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    accumulator_bits: int,
    *,
    output_size: tuple[int, int] | None = None,
) -> NDArray[np.int8]:
    """Define `depthwise_conv2d_a8w8`, `_a8w16` and `_a8w16_split`.

    `accumulator_bits` does not matter here: 32 is legal only where the sum fits int32.
    """
    del accumulator_bits
    accumulator = depthwise_accumulator_ref(
        input,
        weights,
        bias,
        (stride_h, stride_w),
        (pad_top, pad_left),
        (dilation_h, dilation_w),
        input_zero_point,
        output_size,
    )
    value = requantize_ref(accumulator, multiplier, shift, rounding) + output_zero_point
    return np.clip(value, clamp_low, clamp_high).astype(np.int8)


def depthwise_conv2d_16x8_ref(
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
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    *,
    output_size: tuple[int, int] | None = None,
) -> NDArray[np.int16]:
    """Define `depthwise_conv2d_a16w8`."""
    accumulator = depthwise_accumulator_ref(
        input,
        weights,
        bias,
        (stride_h, stride_w),
        (pad_top, pad_left),
        (dilation_h, dilation_w),
        0,
        output_size,
    )
    value = requantize_ref(accumulator, multiplier, shift, rounding)
    return np.clip(value, clamp_low, clamp_high).astype(np.int16)
