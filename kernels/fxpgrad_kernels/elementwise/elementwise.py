"""Sums and differences of activations of two scales: see `contract.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.arithmetic.requantize_row import clamp_row, requantize_row_uniform
from fxpgrad_kernels.elementwise.elementwise_ref import (
    add_a16_ref,
    add_mixed_a16_ref,
    add_mixed_ref,
    add_ref,
    subtract_a16_ref,
    subtract_ref,
)
from fxpgrad_kernels.elementwise.linear_sum import LINE, SCALED, find_line, linear_sum
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, Parameters, Preparation, Shapes, array, parameter

__all__ = ["SPECS", "add", "add_a16", "add_mixed", "add_mixed_a16", "subtract", "subtract_a16"]

_VALUES = 256  # of an int8
_STRETCH = 256  # how many int16 sums are finished at a time


@device
def _scale_all(multiplier, shift, scaled, a_zero_point, b_zero_point, left_shift, sign, rounding):
    """Write what each of the 256 values of a, then of b, comes to in the common scale; b times `sign`."""
    for i in range(_VALUES):
        centred = np.int64(i - 128)
        a = (centred - a_zero_point) << left_shift
        b = (centred - b_zero_point) << left_shift
        scaled[i] = requantize(a, multiplier[0], shift[0], rounding)
        scaled[_VALUES + i] = sign * requantize(b, multiplier[1], shift[1], rounding)


@device
def _prepare(
    multiplier, shift, scaled, line, a_zero_point, b_zero_point, output_zero_point, left_shift, low, high,
    sign, operand_rounding, rounding,
):  # fmt: skip
    _scale_all(multiplier, shift, scaled, a_zero_point, b_zero_point, left_shift, sign, operand_rounding)
    find_line(
        multiplier, shift, scaled, line, a_zero_point, b_zero_point, output_zero_point, left_shift, low, high,
        sign, operand_rounding, rounding,
    )  # fmt: skip


@kernel
def prepare_add(
    multiplier, shift, scaled, line, input_a_zero_point, input_b_zero_point, output_zero_point, left_shift,
    clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Write the scaled values and the line of `add`."""
    _prepare(
        multiplier, shift, scaled, line, input_a_zero_point, input_b_zero_point, output_zero_point,
        left_shift, clamp_low, clamp_high, np.int64(1), rounding, rounding,
    )  # fmt: skip


@kernel
def prepare_subtract(
    multiplier, shift, scaled, line, input_a_zero_point, input_b_zero_point, output_zero_point, left_shift,
    clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Write the scaled values and the line of `subtract`."""
    _prepare(
        multiplier, shift, scaled, line, input_a_zero_point, input_b_zero_point, output_zero_point,
        left_shift, clamp_low, clamp_high, np.int64(-1), rounding, rounding,
    )  # fmt: skip


@kernel
def prepare_add_mixed(
    multiplier, shift, scaled, line, input_a_zero_point, input_b_zero_point, output_zero_point, left_shift,
    clamp_low, clamp_high, operand_rounding, rounding,
):  # fmt: skip
    """Write the scaled values and the line of `add_mixed`."""
    _prepare(
        multiplier, shift, scaled, line, input_a_zero_point, input_b_zero_point, output_zero_point,
        left_shift, clamp_low, clamp_high, np.int64(1), operand_rounding, rounding,
    )  # fmt: skip


@device
def store_row(row, output):
    """Store int64 `row` in the narrower `output` of the same length; its values fit."""
    for i in range(output.size):
        output[i] = row[i]


@device
def _sum_a8(
    input_a, input_b, multiplier, shift, scaled, line, output, output_zero_point, low, high, rounding
):  # fmt: skip
    if line[0] != 0:
        linear_sum(input_a, input_b, line, output, low, high)
        return
    # No line gives these bits: add what both values come to, and requantize each sum.
    for i in range(output.size):
        total = scaled[np.int64(input_a[i]) + 128] + scaled[np.int64(input_b[i]) + 128 + _VALUES]
        value = requantize(total, multiplier[2], shift[2], rounding) + output_zero_point
        output[i] = np.int8(min(max(value, low), high))


@device
def _sum_a16(
    input_a, input_b, multiplier, shift, scaled, row, output, left_shift, sign, low, high, operand_rounding,
    rounding,
):  # fmt: skip
    for start in range(0, output.size, _STRETCH):
        size = min(_STRETCH, output.size - start)
        total, other = row[:size], scaled[:size]
        part_a = input_a[start : start + size]
        part_b = input_b[start : start + size]
        for i in range(size):
            total[i] = np.int64(part_a[i]) << left_shift
            other[i] = np.int64(part_b[i]) << left_shift
        requantize_row_uniform(total, multiplier[0], shift[0], operand_rounding)
        requantize_row_uniform(other, multiplier[1], shift[1], operand_rounding)
        for i in range(size):
            total[i] += sign * other[i]
        requantize_row_uniform(total, multiplier[2], shift[2], rounding)
        clamp_row(total, np.int64(0), low, high)
        store_row(total, output[start : start + size])


@kernel
def add(
    input_a, input_b, multiplier, shift, scaled, line, output, input_a_zero_point, input_b_zero_point,
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
    scaled : int64 [518], line : int32 [8]
        Prepared: both operands' possible values after scaling (and scratch), and what `find_line` found.
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
    _sum_a8(
        input_a, input_b, multiplier, shift, scaled, line, output, output_zero_point, clamp_low,
        clamp_high, rounding,
    )  # fmt: skip


@kernel
def subtract(
    input_a, input_b, multiplier, shift, scaled, line, output, input_a_zero_point, input_b_zero_point,
    output_zero_point, left_shift, clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Subtract b from a; parameters as of `add`."""
    _sum_a8(
        input_a, input_b, multiplier, shift, scaled, line, output, output_zero_point, clamp_low,
        clamp_high, rounding,
    )  # fmt: skip


@kernel
def add_a16(
    input_a, input_b, multiplier, shift, scaled, row, output, left_shift, clamp_low, clamp_high, rounding
):
    """Add two int16 tensors of different scales and zero points 0.

    Parameters
    ----------
    input_a, input_b : int16 [N]
        Operands, flat.
    multiplier, shift : int32 [3]
        As of `add`.
    scaled, row : int64 [256]
        Workspaces: a stretch of b after scaling, and of sums.
    output : int16 [N]
        Written.
    left_shift : int in [0, 15]
        Fraction bits of the sum; TFLite uses 15.
    clamp_low, clamp_high : int in [-32768, 32767]
        Bounds of the output, low <= high.
    rounding : int
        A code of `profiles.Rounding`, used for all three pairs.
    """
    plus = np.int64(1)
    _sum_a16(
        input_a, input_b, multiplier, shift, scaled, row, output, left_shift, plus, clamp_low, clamp_high,
        rounding, rounding,
    )  # fmt: skip


@kernel
def subtract_a16(
    input_a, input_b, multiplier, shift, scaled, row, output, left_shift, clamp_low, clamp_high, rounding
):
    """Subtract b from a; parameters as of `add_a16`."""
    minus = np.int64(-1)
    _sum_a16(
        input_a, input_b, multiplier, shift, scaled, row, output, left_shift, minus, clamp_low, clamp_high,
        rounding, rounding,
    )  # fmt: skip


@kernel
def add_mixed(
    input_a, input_b, multiplier, shift, scaled, line, output, input_a_zero_point, input_b_zero_point,
    output_zero_point, left_shift, clamp_low, clamp_high, operand_rounding, rounding,
):  # fmt: skip
    """Add with one rounding for the operands and another for the sum; parameters as of `add`."""
    _sum_a8(
        input_a, input_b, multiplier, shift, scaled, line, output, output_zero_point, clamp_low,
        clamp_high, rounding,
    )  # fmt: skip


@kernel
def add_mixed_a16(
    input_a, input_b, multiplier, shift, scaled, row, output, left_shift, clamp_low, clamp_high,
    operand_rounding, rounding,
):  # fmt: skip
    """Add with one rounding for the operands and another for the sum; parameters as of `add_a16`."""
    plus = np.int64(1)
    _sum_a16(
        input_a, input_b, multiplier, shift, scaled, row, output, left_shift, plus, clamp_low, clamp_high,
        operand_rounding, rounding,
    )  # fmt: skip


def _prepared(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del shapes, parameters
    return {"scaled": SCALED, "line": LINE}


def _stretches(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del shapes, parameters
    return {"scaled": _STRETCH, "row": _STRETCH}


def _spec(
    name: str, function: Any, reference: Callable[..., Any], bits: int, prepare: Any = None
) -> KernelSpec:
    dtype, low, high = f"int{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    zero_points = ("input_a_zero_point", "input_b_zero_point", "output_zero_point")
    return KernelSpec(
        name=name,
        operator="elementwise",
        function=function,
        reference=reference,
        workspace=None if bits == 8 else _stretches,
        preparation=Preparation(prepare, _prepared) if bits == 8 else None,
        arguments=(
            array("input_a", "input", dtype, "N"),
            array("input_b", "input", dtype, "N"),
            array("multiplier", "constant", "int32", "3", 0),
            array("shift", "constant", "int32", "3", -31, 30),
            array("scaled", "prepared" if bits == 8 else "workspace", "int64", "V"),
            *((array("line", "prepared", "int32", "L"),) if bits == 8 else ()),
            *((array("row", "workspace", "int64", "R"),) if bits == 16 else ()),
            array("output", "output", dtype, "N"),
            *(parameter(zero_point, low, high) for zero_point in zero_points if bits == 8),
            parameter("left_shift", 0, 22 if bits == 8 else 15),
            parameter("clamp_low", low, high),
            parameter("clamp_high", low, high),
            *((parameter("operand_rounding", 0, 5),) if "mixed" in name else ()),
            parameter("rounding", 0, 5),
        ),
    )


SPECS = (
    _spec("add_a8", add, add_ref, 8, prepare_add),
    _spec("sub_a8", subtract, subtract_ref, 8, prepare_subtract),
    _spec("add_a16", add_a16, add_a16_ref, 16),
    _spec("sub_a16", subtract_a16, subtract_a16_ref, 16),
    _spec("add_mixed_a8", add_mixed, add_mixed_ref, 8, prepare_add_mixed),
    _spec("add_mixed_a16", add_mixed_a16, add_mixed_a16_ref, 16),
)
