"""Softmax and log-softmax in fixed point: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.arithmetic.fixed_point import (
    leading_zeros,
    one_over_one_plus,
    product,
    shift_left_saturated,
)
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.arithmetic.rounding_shift import shift_right_nearest_away
from fxpgrad_kernels.arithmetic.saturate import saturate_int8, saturate_int16
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.softmax.exp_log import exp_on_negative, log_from_one
from fxpgrad_kernels.softmax.softmax_ref import (
    log_softmax_ref,
    softmax_from_tables_ref,
    softmax_ref,
    softmax_wide_ref,
)
from fxpgrad_kernels.spec import KernelSpec, Parameters, Preparation, Shapes, array, parameter

__all__ = ["SPECS", "log_softmax", "softmax", "softmax_from_tables", "softmax_wide"]

GREATEST_DEPTH = 8191  # more equal elements would overflow the sum of exponentials, 32 bits without a sign
GREATEST_LOG_DEPTH = 4095  # the logarithm takes 31 bits
_VALUES = 256  # differences that two int8 numbers can have, zero included


@device
def _exponent(difference, multiplier, left_shift):
    """Return what a difference of two elements comes to, with five integer bits."""
    return product(shift_left_saturated(np.int64(difference), left_shift), multiplier)


@device
def _exponential(difference, multiplier, left_shift, diff_min):
    """Return the exponential of a difference, no integer bits; nothing below diff_min."""
    if np.int64(difference) < diff_min:
        return np.int64(0)
    return exp_on_negative(_exponent(difference, multiplier, left_shift))


@device
def _share(exponential):
    """Return an exponential as the sum takes it: twelve integer bits."""
    return shift_right_nearest_away(exponential, np.int64(12))


@kernel
def prepare_softmax(exponentials, shares, depth, multiplier, left_shift, diff_min):
    """Write the exponentials of the differences 0 to -255, and how the sum takes them."""
    for i in range(_VALUES):
        exponentials[i] = _exponential(-i, multiplier, left_shift, diff_min)
        shares[i] = _share(np.int64(exponentials[i]))


@kernel
def prepare_log_softmax(
    exponents, shares, depth, multiplier, left_shift, diff_min, reverse_multiplier, reverse_shift, rounding
):
    """Write the exponents of the differences 0 to -255, and how the sum takes their exponentials."""
    for i in range(_VALUES):
        exponents[i] = _exponent(-i, multiplier, left_shift)
        shares[i] = _share(_exponential(-i, multiplier, left_shift, diff_min))


@device
def _largest(row):
    """Return the largest value of a row."""
    largest = row[0]
    for i in range(1, row.size):
        largest = max(largest, row[i])
    return largest


@device
def _sum_of_exponentials(row, largest, shares):
    """Return the sum of a row's exponentials with twelve integer bits (int64)."""
    total = np.int64(0)
    for i in range(row.size):
        total += np.int64(shares[np.uint64(np.int64(largest) - np.int64(row[i]))])
    return total


@device
def _probability(exponential, reciprocal, drop, lowest):
    """Return what an exponential comes to in an output whose smallest value is `lowest`."""
    # Nothing here is below zero, so that ties away from zero are ties up.
    half = np.int64(1) << (drop - np.int64(1))
    value = lowest + ((product(reciprocal, np.int64(exponential)) + half) >> drop)
    return min(value, -np.int64(1) - lowest)


@device
def _softmax_rows(input, exponentials, shares, results, output, depth):
    """Compute softmax into int8 or int16."""
    lowest = -(np.int64(1) << np.int64(8 * output.itemsize - 1))
    for start in range(0, input.size, depth):
        row = input[start : start + depth]
        target = output[start : start + depth]
        largest = np.int64(_largest(row))
        total = _sum_of_exponentials(row, largest, shares)
        zeros = leading_zeros(total)
        reciprocal = one_over_one_plus((total << zeros) - np.int64(1 << 31))
        drop = np.int64(12) - zeros + np.int64(31) - np.int64(8 * output.itemsize)
        if depth < _VALUES:
            for i in range(row.size):
                exponential = exponentials[np.uint64(largest - np.int64(row[i]))]
                target[i] = _probability(exponential, reciprocal, drop, lowest)
        else:  # fewer values than elements: each of them once
            for i in range(_VALUES):
                results[i] = _probability(exponentials[i], reciprocal, drop, lowest)
            for i in range(row.size):
                target[i] = results[np.uint64(largest - np.int64(row[i]))]


@kernel
def softmax(input, exponentials, shares, results, output, depth, multiplier, left_shift, diff_min):
    """Take the softmax of each row of `depth` elements.

    Parameters
    ----------
    input : int8 [N]
        Rows one after another.
    exponentials, shares : int32 [256]
        Prepared: of the possible differences from a row's largest element.
    results : int8 [256]
        Workspace: what each difference comes to, in long rows.
    output : int8 [N]
        Written; scale 1/256, zero point -128.
    depth : int in [1, 8191]
        Elements of a row; N is a multiple of it.
    multiplier, left_shift : int
        Pair of beta * scale * 2**26.
    diff_min : int, at most 0
        Differences below it count as nothing.
    """
    _softmax_rows(input, exponentials, shares, results, output, depth)


@kernel
def softmax_wide(input, exponentials, shares, results, output, depth, multiplier, left_shift, diff_min):
    """Take the softmax of int8 rows as int16: arguments as in `softmax`; scale 1/65536, zero point -32768."""
    _softmax_rows(input, exponentials, shares, results, output, depth)


@device
def _interpolate(value, table):
    """Return a table of 513 entries at `value` in [-32768, 32767]: linear over intervals of 128 (int64)."""
    index = np.int64(256) + (np.int64(value) >> np.int64(7))
    base = np.int64(table[index])
    slope = np.int64(table[index + np.int64(1)]) - base
    offset = np.int64(value) & np.int64(127)
    return base + ((slope * offset + np.int64(64)) >> np.int64(7))


@kernel
def softmax_from_tables(input, exp_table, reciprocal_table, output, depth, multiplier, shift):
    """Take the softmax of int16 rows by interpolating two tables.

    Parameters
    ----------
    input : int16 [N]
        Rows one after another.
    exp_table, reciprocal_table : int16 [513], at least 0
        exp(x) for x in [-10, 0] and 1 / (1 + x) for x in [0, 1], in units of 2**-15.
    output : int16 [N]
        Written; scale 1/32768, zero point 0.
    depth : int in [1, 65535]
        Elements of a row; N is a multiple of it.
    multiplier, shift : int
        Pair of beta * scale * 65535 / 10; positive shift is left.
    """
    for start in range(0, input.size, depth):
        row = input[start : start + depth]
        target = output[start : start + depth]
        largest = np.int64(_largest(row))
        total = np.int64(0)
        for i in range(row.size):
            scaled = requantize(np.int64(row[i]) - largest, multiplier, shift, np.int64(0))
            exponential = _interpolate(saturate_int16(scaled + np.int64(32767)), exp_table)
            target[i] = exponential
            total += exponential
        zeros = leading_zeros(total)
        significand = ((total << (zeros - np.int64(1))) + np.int64(1 << 13)) >> np.int64(14)
        place = saturate_int16(significand - np.int64((1 << 16) + (1 << 15)))
        reciprocal = _interpolate(place, reciprocal_table)
        drop = np.int64(31) - zeros
        half = (np.int64(1) << drop) >> np.int64(1)
        for i in range(row.size):
            value = (np.int64(target[i]) * reciprocal + half) >> drop
            target[i] = min(max(value, np.int64(0)), np.int64(32767))


@kernel
def log_softmax(
    input, exponents, shares, output, depth, multiplier, left_shift, diff_min, reverse_multiplier,
    reverse_shift, rounding,
):  # fmt: skip
    """Take the logarithm of the softmax of each row.

    Parameters
    ----------
    input, shares, multiplier, left_shift, diff_min
        As in `softmax`; beta is 1.
    exponents : int32 [256]
        Prepared: of the possible differences.
    output : int8 [N]
        Written; scale 16/256, zero point 127.
    depth : int in [1, 4095]
        Elements of a row; N is a multiple of it.
    reverse_multiplier, reverse_shift : int
        Pair of 1 / (scale * 2**26).
    rounding : int
        A code of `profiles.Rounding`, for the smallest difference that can be represented.
    """
    for start in range(0, input.size, depth):
        row = input[start : start + depth]
        target = output[start : start + depth]
        largest = _largest(row)
        log_sum = log_from_one(_sum_of_exponentials(row, largest, shares))
        floor = requantize(log_sum - np.int64(1 << 31), reverse_multiplier, reverse_shift, rounding)
        floor = max(floor, np.int64(diff_min) - np.int64(1))
        for i in range(row.size):
            difference = np.int64(row[i]) - np.int64(largest)
            value = np.int64(-128)
            if difference > floor:
                scaled = np.int64(exponents[-difference]) - log_sum
                value = np.int64(127) + shift_right_nearest_away(scaled, np.int64(22))
            target[i] = saturate_int8(value)


def _tables(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del shapes, parameters
    return {"exponents": _VALUES, "exponentials": _VALUES, "shares": _VALUES}


_INPUT = array("input", "input", "int8", "N")


def _results(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del shapes, parameters
    return {"results": _VALUES}


_EXPONENTIALS = array("exponentials", "prepared", "int32", "V")
_SHARES = array("shares", "prepared", "int32", "V")
_PREPARATION = Preparation(prepare_softmax, _tables)
_DEPTH = parameter("depth", 1, GREATEST_DEPTH)
_SCALING = (
    parameter("multiplier", 2**30, 2**31 - 1),
    parameter("left_shift", 1, 31),
    parameter("diff_min", -31 * 2**25, 0),
)

SPECS = (
    KernelSpec(
        "softmax_a8", "softmax", softmax, softmax_ref,
        (
            _INPUT, _EXPONENTIALS, _SHARES, array("results", "workspace", "int8", "V"),
            array("output", "output", "int8", "N"), _DEPTH, *_SCALING,
        ),
        _results, _PREPARATION,
    ),
    KernelSpec(
        "softmax_a8_a16", "softmax", softmax_wide, softmax_wide_ref,
        (
            _INPUT, _EXPONENTIALS, _SHARES, array("results", "workspace", "int16", "V"),
            array("output", "output", "int16", "N"), _DEPTH, *_SCALING,
        ),
        _results, _PREPARATION,
    ),
    KernelSpec(
        "softmax_a16", "softmax", softmax_from_tables, softmax_from_tables_ref,
        (
            array("input", "input", "int16", "N"),
            array("exp_table", "constant", "int16", "T", 0),
            array("reciprocal_table", "constant", "int16", "T", 0),
            array("output", "output", "int16", "N"),
            parameter("depth", 1, 65535),
            parameter("multiplier", 0, 2**31 - 1),
            parameter("shift", -31, 15),
        ),
    ),
    KernelSpec(
        "log_softmax_a8", "softmax", log_softmax, log_softmax_ref,
        (
            _INPUT, array("exponents", "prepared", "int32", "V"), _SHARES,
            array("output", "output", "int8", "N"),
            parameter("depth", 1, GREATEST_LOG_DEPTH), *_SCALING,
            parameter("reverse_multiplier", 2**30, 2**31 - 1),
            parameter("reverse_shift", -31, 0),
            parameter("rounding", 0, 3),
        ),
        preparation=Preparation(prepare_log_softmax, _tables),
    ),
)  # fmt: skip
