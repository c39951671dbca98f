"""Elementwise addition of int8 activations: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.arithmetic.requantize_row import clamp_row, narrow_row, requantize_row_uniform
from fxpgrad_kernels.elementwise.elementwise_ref import add_ref
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.spec import KernelSpec, Parameters, Shapes, array, parameter

__all__ = ["SPECS", "add"]

_VALUES = 256  # of an int8; also how many sums are finished at a time


@kernel
def add(
    input_a, input_b, multiplier, shift, scaled, row, output, input_a_zero_point, input_b_zero_point,
    output_zero_point, left_shift, clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Add two tensors of different scales.

    Parameters
    ----------
    input_a, input_b : int8 [N]
        Operands, flat.
    multiplier, shift : int32 [3]
        Pairs for a, for b and for the output: scale_a / (2 * larger), scale_b / (2 * larger) and
        2 * larger / (2**left_shift * output scale), where larger = max(scale_a, scale_b).
    scaled : int64 [512], row : int64 [256]
        Workspaces: both operands' possible values after scaling, and a stretch of sums.
    output : int8 [N]
        Written.
    input_a_zero_point, input_b_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    left_shift : int in [0, 22]
        Fraction bits of the sum; TFLite uses 20.
    clamp_low, clamp_high : int in [-128, 127]
        Bounds of the output, low <= high.
    rounding : int
        A code of `profiles.Rounding`, used for all three pairs.
    """
    # Only 256 values can come in on either side: scale each of them once.
    for i in range(_VALUES):
        centred = np.int64(i - 128)
        a = (centred - input_a_zero_point) << left_shift
        b = (centred - input_b_zero_point) << left_shift
        scaled[i] = requantize(a, multiplier[0], shift[0], rounding)
        scaled[_VALUES + i] = requantize(b, multiplier[1], shift[1], rounding)
    scaled_a = scaled[:_VALUES]
    scaled_b = scaled[_VALUES : 2 * _VALUES]
    for start in range(0, output.size, _VALUES):
        size = min(_VALUES, output.size - start)
        total = row[:size]
        part_a = input_a[start : start + size]
        part_b = input_b[start : start + size]
        for i in range(size):
            total[i] = scaled_a[np.int64(part_a[i]) + 128] + scaled_b[np.int64(part_b[i]) + 128]
        requantize_row_uniform(total, multiplier[2], shift[2], rounding)
        clamp_row(total, output_zero_point, clamp_low, clamp_high)
        narrow_row(total, output[start : start + size])


def _workspace(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del shapes, parameters
    return {"scaled": 2 * _VALUES, "row": _VALUES}


SPECS = (
    KernelSpec(
        name="add_a8",
        operator="elementwise",
        function=add,
        reference=add_ref,
        workspace=_workspace,
        arguments=(
            array("input_a", "input", "int8", "N"),
            array("input_b", "input", "int8", "N"),
            array("multiplier", "constant", "int32", "3", 0),
            array("shift", "constant", "int32", "3", -31, 30),
            array("scaled", "workspace", "int64", "V"),
            array("row", "workspace", "int64", "R"),
            array("output", "output", "int8", "N"),
            parameter("input_a_zero_point", -128, 127),
            parameter("input_b_zero_point", -128, 127),
            parameter("output_zero_point", -128, 127),
            parameter("left_shift", 0, 22),
            parameter("clamp_low", -128, 127),
            parameter("clamp_high", -128, 127),
            parameter("rounding", 0, 4),
        ),
    ),
)
