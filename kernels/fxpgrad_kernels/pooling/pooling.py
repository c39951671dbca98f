"""Max and average pooling over windows: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.arithmetic.column_blocks import column_maxima, column_sums
from fxpgrad_kernels.arithmetic.flat_view import flat
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.pooling.pooling_ref import average_pool2d_ref, max_pool2d_ref
from fxpgrad_kernels.pooling.windows import area, span
from fxpgrad_kernels.spec import INT_RANGES, Argument, KernelSpec, Parameters, Shapes, array, parameter

__all__ = ["SPECS", "average_pool2d", "max_pool2d"]


@kernel
def max_pool2d(
    input, output, size_h, size_w, stride_h, stride_w, pad_top, pad_left, clamp_low, clamp_high
):  # fmt: skip
    """Take the largest valid value of each window, then clamp.

    Parameters
    ----------
    input : int8 or int16 [B, H, W, C]
        Activations; padding is not a value and never wins.
    output : as the input [B, OH, OW, C]
        Written; same scale and zero point as the input.
    size_h, size_w, stride_h, stride_w : int, at least 1
        Window and step in pixels.
    pad_top, pad_left : int, at least 0
        Pixels before the image; those after it follow from the output's shape.
    clamp_low, clamp_high : int, within the type
        Bounds of the output, low <= high.
    """
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    pixels, results = flat(input), flat(output)
    image, target = np.int64(0), np.int64(0)
    for _ in range(output.shape[0]):
        for oh in range(output.shape[1]):
            top, rows = span(oh, stride_h, pad_top, size_h, height)
            for ow in range(output.shape[2]):
                left, columns = span(ow, stride_w, pad_left, size_w, width)
                first, lines, line, count, step = area(image, top, rows, left, columns, width, channels)
                column_maxima(
                    pixels, first, lines, line, count, step, channels, results, target, clamp_low, clamp_high
                )
                target += channels
        image += np.int64(height * width * channels)


@device
def _reciprocal(count):
    """Return (multiplier, k): floor(n * multiplier / 2**k) is floor(n / count) for 0 <= n < 2**31."""
    k = np.int64(31)
    while np.int64(1) << (k - np.int64(31)) < count:
        k += np.int64(1)
    return np.uint32((np.int64(1) << k) // count + np.int64(1)), np.uint64(k)


@device
def _store_averages(sums, half, multiplier, k, low, high, result):
    """Divide int32 sums by the window's size, ties away from zero, and clamp."""
    for c in range(result.size):
        magnitude = np.uint32(np.int32(abs(sums[c])) + half)
        quotient = np.int32((np.uint64(magnitude) * np.uint64(multiplier)) >> k)
        value = quotient if sums[c] >= np.int32(0) else np.int32(-quotient)
        result[c] = min(max(value, low), high)


@kernel
def average_pool2d(
    input, accumulator, output, size_h, size_w, stride_h, stride_w, pad_top, pad_left, clamp_low, clamp_high
):  # fmt: skip
    """Average the valid values of each window, rounding half away from zero, then clamp.

    Arguments as in `max_pool2d`; accumulator : int32 workspace [C]. The raw values are averaged
    (no zero point), over the pixels inside the image only.
    """
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    pixels, results = flat(input), flat(output)
    low, high = np.int32(clamp_low), np.int32(clamp_high)
    divisor, multiplier, k = np.int64(0), np.uint32(0), np.uint64(0)
    image, target = np.int64(0), np.int64(0)
    for _ in range(output.shape[0]):
        for oh in range(output.shape[1]):
            top, rows = span(oh, stride_h, pad_top, size_h, height)
            for ow in range(output.shape[2]):
                left, columns = span(ow, stride_w, pad_left, size_w, width)
                first, lines, line, count, step = area(image, top, rows, left, columns, width, channels)
                column_sums(pixels, first, lines, line, count, step, channels, accumulator)
                if rows * columns != divisor:
                    divisor = rows * columns
                    multiplier, k = _reciprocal(divisor)
                half = np.int32(divisor >> np.int64(1))
                result = results[target : target + channels]
                _store_averages(accumulator, half, multiplier, k, low, high, result)
                target += channels
        image += np.int64(height * width * channels)


def _workspace(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del parameters
    return {"accumulator": shapes["input"][3]}


def _window(greatest: int, low: int, high: int) -> tuple[Argument, ...]:
    return (
        parameter("size_h", 1, greatest),
        parameter("size_w", 1, greatest),
        parameter("stride_h", 1, 2**15),
        parameter("stride_w", 1, 2**15),
        parameter("pad_top", 0, greatest - 1),
        parameter("pad_left", 0, greatest - 1),
        parameter("clamp_low", low, high),
        parameter("clamp_high", low, high),
    )


def _specs(dtype: str, greatest_averaged: int) -> tuple[KernelSpec, ...]:
    bits = dtype.removeprefix("int")
    source, target = array("input", "input", dtype, "B H W C"), array("output", "output", dtype, "B OH OW C")
    accumulator = array("accumulator", "workspace", "int32", "C")
    limits = INT_RANGES[dtype]
    return (
        KernelSpec(
            f"max_pool2d_a{bits}", "pooling", max_pool2d, max_pool2d_ref,
            (source, target, *_window(2**11, *limits)),
        ),
        KernelSpec(
            f"average_pool2d_a{bits}", "pooling", average_pool2d, average_pool2d_ref,
            (source, accumulator, target, *_window(greatest_averaged, *limits)), _workspace,
        ),
    )  # fmt: skip


SPECS = (*_specs("int8", 2**11), *_specs("int16", 255))
