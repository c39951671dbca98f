"""Products of two activations: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fxpgrad_kernels.arithmetic.float32_rounding import requantize_float32_even
from fxpgrad_kernels.arithmetic.requantize_row import clamp_row, requantize_row_uniform
from fxpgrad_kernels.arithmetic.saturate import INT32_MAX, saturate_int32
from fxpgrad_kernels.arithmetic.uniform_requantize import EVEN, plan_requantize, requantize_planned
from fxpgrad_kernels.elementwise.elementwise import store_row
from fxpgrad_kernels.elementwise.elementwise_ref import multiply_ref, squared_difference_ref
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import Argument, KernelSpec, Parameters, Shapes, array, parameter

__all__ = ["SPECS", "multiply", "squared_difference_a8", "squared_difference_a16"]

_STRETCH = 256  # how many squares are finished at a time


@kernel
def multiply(
    input_a, input_b, multiplier, shift, output, input_a_zero_point, input_b_zero_point, output_zero_point,
    clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Multiply two tensors.

    Parameters
    ----------
    input_a, input_b : int8 or int16 [N]
        Operands, flat.
    multiplier, shift : int32 [1]
        Pair of scale_a * scale_b / output scale.
    output : int8 or int16 [N]
        Written.
    input_a_zero_point, input_b_zero_point, output_zero_point : int in [-128, 127]
        Zero points; 0 for int16.
    clamp_low, clamp_high : int
        Bounds of the output within its type, low <= high.
    rounding : int
        A code of `profiles.Rounding`.
    """
    a_zero, b_zero = np.int64(input_a_zero_point), np.int64(input_b_zero_point)
    if rounding == EVEN:
        m, s = np.int64(multiplier[0]), np.int64(shift[0])
        for i in range(output.size):
            product = (np.int64(input_a[i]) - a_zero) * (np.int64(input_b[i]) - b_zero)
            value = requantize_float32_even(product, m, s) + output_zero_point
            output[i] = min(max(value, clamp_low), clamp_high)
        return
    plan = plan_requantize(multiplier[0], shift[0], rounding)
    for i in range(output.size):
        product = (np.int64(input_a[i]) - a_zero) * (np.int64(input_b[i]) - b_zero)
        value = requantize_planned(product, plan) + output_zero_point
        output[i] = min(max(value, clamp_low), clamp_high)


@device
def _squared_difference(
    input_a, input_b, multiplier, shift, scaled, row, output, a_zero_point, b_zero_point, output_zero_point,
    left_shift, low, high, rounding,
):  # fmt: skip
    for start in range(0, output.size, _STRETCH):
        size = min(_STRETCH, output.size - start)
        square, other = row[:size], scaled[:size]
        part_a = input_a[start : start + size]
        part_b = input_b[start : start + size]
        for i in range(size):
            square[i] = (np.int64(part_a[i]) - a_zero_point) << left_shift
            other[i] = (np.int64(part_b[i]) - b_zero_point) << left_shift
        requantize_row_uniform(square, multiplier[0], shift[0], rounding)
        requantize_row_uniform(other, multiplier[1], shift[1], rounding)
        for i in range(size):
            difference = saturate_int32(square[i] - other[i])
            square[i] = min(difference * difference, INT32_MAX)
        requantize_row_uniform(square, multiplier[2], shift[2], rounding)
        clamp_row(square, output_zero_point, low, high)
        store_row(square, output[start : start + size])


@kernel
def squared_difference_a8(
    input_a, input_b, multiplier, shift, scaled, row, output, input_a_zero_point, input_b_zero_point,
    output_zero_point, left_shift, rounding,
):  # fmt: skip
    """Square the difference of two tensors of different scales.

    Parameters
    ----------
    input_a, input_b : int8 [N]
        Operands, flat.
    multiplier, shift : int32 [3]
        Pairs for a, for b and for the output: scale_a / (2 * larger), scale_b / (2 * larger) and
        4 * larger**2 / (2**(2 * left_shift) * output scale), where larger = max(scale_a, scale_b).
    scaled, row : int64 [256]
        Workspaces: a stretch of b after scaling, and of squares.
    output : int8 [N]
        Written.
    input_a_zero_point, input_b_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    left_shift : int in [0, 15]
        Fraction bits of the difference; TFLite uses 7.
    rounding : int
        A code of `profiles.Rounding`, used for all three pairs.
    """
    _squared_difference(
        input_a, input_b, multiplier, shift, scaled, row, output, input_a_zero_point, input_b_zero_point,
        output_zero_point, left_shift, np.int64(-128), np.int64(127), rounding,
    )  # fmt: skip


@kernel
def squared_difference_a16(
    input_a, input_b, multiplier, shift, scaled, row, output, input_a_zero_point, input_b_zero_point,
    output_zero_point, left_shift, rounding,
):  # fmt: skip
    """Do as `squared_difference_a8` for int16 and zero points 0; TFLite has no fraction bits here."""
    _squared_difference(
        input_a, input_b, multiplier, shift, scaled, row, output, input_a_zero_point, input_b_zero_point,
        output_zero_point, left_shift, np.int64(-(2**15)), np.int64(2**15 - 1), rounding,
    )  # fmt: skip


def _two_rows(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del shapes, parameters
    return {"scaled": _STRETCH, "row": _STRETCH}


def _zero_points(bits: int) -> tuple[Argument, ...]:
    low, high = (-128, 127) if bits == 8 else (0, 0)
    names = ("input_a_zero_point", "input_b_zero_point", "output_zero_point")
    return tuple(parameter(name, low, high) for name in names)


def _multiply_spec(bits: int) -> KernelSpec:
    dtype, low, high = f"int{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return KernelSpec(
        name=f"mul_a{bits}",
        operator="elementwise",
        function=multiply,
        reference=multiply_ref,
        arguments=(
            array("input_a", "input", dtype, "N"),
            array("input_b", "input", dtype, "N"),
            array("multiplier", "constant", "int32", "1", 0),
            array("shift", "constant", "int32", "1", -31, 30),
            array("output", "output", dtype, "N"),
            *_zero_points(bits),
            parameter("clamp_low", low, high),
            parameter("clamp_high", low, high),
            parameter("rounding", 0, 5),
        ),
    )


def _squared_difference_spec(bits: int, function: Any) -> KernelSpec:
    dtype = f"int{bits}"
    return KernelSpec(
        name=f"squared_difference_a{bits}",
        operator="elementwise",
        function=function,
        reference=squared_difference_ref,
        workspace=_two_rows,
        arguments=(
            array("input_a", "input", dtype, "N"),
            array("input_b", "input", dtype, "N"),
            array("multiplier", "constant", "int32", "3", 0),
            array("shift", "constant", "int32", "3", -31, 30),
            array("scaled", "workspace", "int64", "S"),
            array("row", "workspace", "int64", "R"),
            array("output", "output", dtype, "N"),
            *_zero_points(bits),
            parameter("left_shift", 0, 15),
            parameter("rounding", 0, 5),
        ),
    )


SPECS = (
    _multiply_spec(8),
    _multiply_spec(16),
    _squared_difference_spec(8, squared_difference_a8),
    _squared_difference_spec(16, squared_difference_a16),
)
