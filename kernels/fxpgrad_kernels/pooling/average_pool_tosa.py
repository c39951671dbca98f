"""Average pooling as TOSA defines it, by a reciprocal of the window's size: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.arithmetic.column_blocks import column_sums
from fxpgrad_kernels.arithmetic.flat_view import flat
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.pooling.average_pool_tosa_ref import average_pool2d_tosa_ref
from fxpgrad_kernels.pooling.windows import area, span
from fxpgrad_kernels.spec import KernelSpec, Parameters, Shapes, array, parameter

__all__ = ["SPECS", "average_pool2d_tosa"]


@device
def _reciprocal(count):
    """Return (multiplier, right shift) that stand for 1 / count, count >= 1."""
    k = np.int64(0)
    while np.int64(1) << k < count:
        k += np.int64(1)
    return (((np.int64(1) << np.int64(30)) + np.int64(1)) << k) // count, np.int64(30) + k


@kernel
def average_pool2d_tosa(
    input, accumulator, output, size_h, size_w, stride_h, stride_w, pad_top, pad_left, clamp_low, clamp_high,
    input_zero_point, output_zero_point,
):  # fmt: skip
    """Average the valid values of each window by a reciprocal, then clamp.

    Parameters
    ----------
    input : int8 [B, H, W, C]
        Activations; padding is not a value and does not count.
    accumulator : int32 [C]
        Workspace.
    output : int8 [B, OH, OW, C]
        Written; same scale as the input.
    size_h, size_w, stride_h, stride_w : int, at least 1
        Window and step in pixels.
    pad_top, pad_left : int, at least 0
        Pixels before the image; those after it follow from the output's shape.
    clamp_low, clamp_high : int in [-128, 127]
        Bounds of the output, low <= high.
    input_zero_point, output_zero_point : int in [-128, 127]
        Zero points; the sum is of values less the zero point, which decides ties.
    """
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    pixels, results = flat(input), flat(output)
    low, high = np.int64(clamp_low), np.int64(clamp_high)
    image, target = np.int64(0), np.int64(0)
    for _ in range(output.shape[0]):
        for oh in range(output.shape[1]):
            top, rows = span(oh, stride_h, pad_top, size_h, height)
            for ow in range(output.shape[2]):
                left, columns = span(ow, stride_w, pad_left, size_w, width)
                first, lines, line, count, step = area(image, top, rows, left, columns, width, channels)
                column_sums(pixels, first, lines, line, count, step, channels, accumulator)
                multiplier, shift = _reciprocal(rows * columns)
                half = np.int64(1) << (shift - np.int64(1))
                offset = rows * columns * np.int64(input_zero_point)
                result = results[target : target + channels]
                for c in range(channels):
                    centred = np.int64(accumulator[c]) - offset
                    value = ((centred * multiplier + half) >> shift) + output_zero_point
                    result[c] = np.int8(min(max(value, low), high))
                target += channels
        image += np.int64(height * width * channels)


def _workspace(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del parameters
    return {"accumulator": shapes["input"][3]}


SPECS = (
    KernelSpec(
        name="average_pool2d_tosa_a8",
        operator="pooling",
        function=average_pool2d_tosa,
        reference=average_pool2d_tosa_ref,
        workspace=_workspace,
        arguments=(
            array("input", "input", "int8", "B H W C"),
            array("accumulator", "workspace", "int32", "C"),
            array("output", "output", "int8", "B OH OW C"),
            parameter("size_h", 1, 2**11),
            parameter("size_w", 1, 2**11),
            parameter("stride_h", 1, 2**15),
            parameter("stride_w", 1, 2**15),
            parameter("pad_top", 0, 2**11 - 1),
            parameter("pad_left", 0, 2**11 - 1),
            parameter("clamp_low", -128, 127),
            parameter("clamp_high", -128, 127),
            parameter("input_zero_point", -128, 127),
            parameter("output_zero_point", -128, 127),
        ),
    ),
)
