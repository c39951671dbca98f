"""Max, average and global average pooling of int8 activations: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.pooling.pooling_ref import (
    average_pool2d_ref,
    global_average_pool2d_ref,
    max_pool2d_ref,
)
from fxpgrad_kernels.spec import KernelSpec, Parameters, Shapes, array, parameter

__all__ = ["SPECS", "average_pool2d", "global_average_pool2d", "max_pool2d"]


@kernel
def max_pool2d(
    input, output, size_h, size_w, stride_h, stride_w, pad_top, pad_left, clamp_low, clamp_high
):  # fmt: skip
    """Take the largest valid value of each window, then clamp.

    Parameters
    ----------
    input : int8 [B, H, W, C]
        Activations; padding is not a value and never wins.
    output : int8 [B, OH, OW, C]
        Written; same scale and zero point as the input.
    size_h, size_w, stride_h, stride_w : int, at least 1
        Window and step in pixels.
    pad_top, pad_left : int, at least 0
        Pixels before the image; those after it follow from the output's shape.
    clamp_low, clamp_high : int in [-128, 127]
        Bounds of the output, low <= high.
    """
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    low, high = np.int8(clamp_low), np.int8(clamp_high)
    for b in range(output.shape[0]):
        for oh in range(output.shape[1]):
            top = oh * stride_h - pad_top
            for ow in range(output.shape[2]):
                left = ow * stride_w - pad_left
                # Starting from the lower bound is the lower clamp.
                for c in range(channels):
                    output[b, oh, ow, c] = low
                for y in range(max(top, 0), min(top + size_h, height)):
                    for x in range(max(left, 0), min(left + size_w, width)):
                        for c in range(channels):
                            output[b, oh, ow, c] = max(output[b, oh, ow, c], input[b, y, x, c])
                for c in range(channels):
                    output[b, oh, ow, c] = min(output[b, oh, ow, c], high)


@device
def _divide_half_away(total, count):
    """Return total / count to nearest, ties away from zero, as int32; count >= 1."""
    half = np.int32(count >> np.int32(1))
    size = np.int32(abs(total))
    quotient = np.int32(np.int32(size + half) // count)
    return quotient if total >= np.int32(0) else np.int32(-quotient)


@kernel
def average_pool2d(
    input, accumulator, output, size_h, size_w, stride_h, stride_w, pad_top, pad_left, clamp_low, clamp_high
):  # fmt: skip
    """Average the valid values of each window, rounding half away from zero, then clamp.

    Arguments as in `max_pool2d`; accumulator : int32 workspace [C]. The raw values are averaged
    (no zero point), over the pixels inside the image only.
    """
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    low, high = np.int32(clamp_low), np.int32(clamp_high)
    for b in range(output.shape[0]):
        for oh in range(output.shape[1]):
            top = oh * stride_h - pad_top
            first_y, last_y = max(top, 0), min(top + size_h, height)
            for ow in range(output.shape[2]):
                left = ow * stride_w - pad_left
                first_x, last_x = max(left, 0), min(left + size_w, width)
                for c in range(channels):
                    accumulator[c] = 0
                for y in range(first_y, last_y):
                    for x in range(first_x, last_x):
                        for c in range(channels):
                            accumulator[c] += np.int32(input[b, y, x, c])
                count = np.int32((last_y - first_y) * (last_x - first_x))
                for c in range(channels):
                    value = _divide_half_away(accumulator[c], count)
                    output[b, oh, ow, c] = np.int8(min(max(value, low), high))


@device
def _fold_count(multiplier, shift, count):
    """Return the pair of (multiplier, shift) / count: floor(multiplier * 2**k / count), shift - k.

    k = floor(log2(count)), kept at 32 or less and such that the shift stays at -31 or more.
    """
    k = np.int64(0)
    while count >> (k + np.int64(1)) > np.int64(0):
        k += np.int64(1)
    k = min(k, np.int64(32), np.int64(31) + shift)
    return (multiplier << k) // count, shift - k


@kernel
def global_average_pool2d(
    input, multiplier, shift, accumulator, output, input_zero_point, output_zero_point, rounding
):  # fmt: skip
    """Average each channel over height and width and move it to the output's scale (TFLite's MEAN).

    Parameters
    ----------
    input : int8 [B, H, W, C]
        Activations.
    multiplier, shift : int32 [1]
        Pair of input scale / output scale; the division by H * W is folded in here.
    accumulator : int32 [C]
        Workspace.
    output : int8 [B, C]
        Written.
    input_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    rounding : int
        A code of `profiles.Rounding`.
    """
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    count = np.int64(height * width)
    folded, folded_shift = _fold_count(np.int64(multiplier[0]), np.int64(shift[0]), count)
    for b in range(output.shape[0]):
        for c in range(channels):
            accumulator[c] = 0
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    accumulator[c] += np.int32(input[b, y, x, c])
        for c in range(channels):
            centred = np.int64(accumulator[c]) - count * np.int64(input_zero_point)
            value = requantize(centred, folded, folded_shift, rounding) + output_zero_point
            output[b, c] = np.int8(min(max(value, np.int64(-128)), np.int64(127)))


def _workspace(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del parameters
    return {"accumulator": shapes["input"][3]}


_INPUT = array("input", "input", "int8", "B H W C")
_ACCUMULATOR = array("accumulator", "workspace", "int32", "C")
_OUTPUT = array("output", "output", "int8", "B OH OW C")
_WINDOW = (
    parameter("size_h", 1, 2**11),
    parameter("size_w", 1, 2**11),
    parameter("stride_h", 1, 2**15),
    parameter("stride_w", 1, 2**15),
    parameter("pad_top", 0, 2**11 - 1),
    parameter("pad_left", 0, 2**11 - 1),
    parameter("clamp_low", -128, 127),
    parameter("clamp_high", -128, 127),
)

SPECS = (
    KernelSpec("max_pool2d_a8", "pooling", max_pool2d, max_pool2d_ref, (_INPUT, _OUTPUT, *_WINDOW)),
    KernelSpec(
        "average_pool2d_a8", "pooling", average_pool2d, average_pool2d_ref,
        (_INPUT, _ACCUMULATOR, _OUTPUT, *_WINDOW), _workspace,
    ),
    KernelSpec(
        "global_average_pool2d_a8", "pooling", global_average_pool2d, global_average_pool2d_ref,
        (
            _INPUT,
            array("multiplier", "constant", "int32", "1", 0),
            array("shift", "constant", "int32", "1", -31, 30),
            _ACCUMULATOR,
            array("output", "output", "int8", "B C"),
            parameter("input_zero_point", -128, 127),
            parameter("output_zero_point", -128, 127),
            parameter("rounding", 0, 5),
        ),
        _workspace,
    ),
)  # fmt: skip
