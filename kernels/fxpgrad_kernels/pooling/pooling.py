"""Max and average pooling over windows: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.pooling.pooling_ref import average_pool2d_ref, max_pool2d_ref
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
    for b in range(output.shape[0]):
        for oh in range(output.shape[1]):
            top = oh * stride_h - pad_top
            for ow in range(output.shape[2]):
                left = ow * stride_w - pad_left
                # Starting from the lower bound is the lower clamp.
                for c in range(channels):
                    output[b, oh, ow, c] = clamp_low
                for y in range(max(top, 0), min(top + size_h, height)):
                    for x in range(max(left, 0), min(left + size_w, width)):
                        for c in range(channels):
                            output[b, oh, ow, c] = max(output[b, oh, ow, c], input[b, y, x, c])
                for c in range(channels):
                    output[b, oh, ow, c] = min(np.int64(output[b, oh, ow, c]), clamp_high)


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
                    output[b, oh, ow, c] = min(max(value, low), high)


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
