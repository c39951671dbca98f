"""The definitions of softmax and log-softmax, in Python integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.fixed_point_ref import (
    leading_zeros,
    one_over_one_plus,
    product,
    times_power_of_two,
)
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_scalar
from fxpgrad_kernels.softmax.exp_log_ref import exp_on_negative_ref, log_from_one_ref


def _rows(input: NDArray[Any], depth: int) -> list[list[int]]:
    """Return each row's differences from its largest value."""
    return [[int(x) - int(row.max()) for x in row] for row in input.reshape(-1, depth)]


def _exponent(difference: int, multiplier: int, left_shift: int) -> int:
    """Return what a difference means to the exponential: five integer bits."""
    return product(times_power_of_two(difference, left_shift), multiplier)


def _sum_of_exps(row: list[int], multiplier: int, left_shift: int, diff_min: int) -> int:
    """Return the sum of a row's exponentials, twelve integer bits."""
    kept = [difference for difference in row if difference >= diff_min]
    exps = [exp_on_negative_ref(_exponent(difference, multiplier, left_shift)) for difference in kept]
    return sum(times_power_of_two(value, -12) for value in exps)


def _softmax(row: list[int], multiplier: int, left_shift: int, diff_min: int, bits: int) -> list[int]:
    total = _sum_of_exps(row, multiplier, left_shift, diff_min)
    zeros = leading_zeros(total)
    reciprocal = one_over_one_plus(total * 2**zeros - 2**31)
    lowest, greatest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    output = []
    for difference in row:
        value = 0
        if difference >= diff_min:
            share = product(reciprocal, exp_on_negative_ref(_exponent(difference, multiplier, left_shift)))
            value = times_power_of_two(share, -(12 - zeros + 31 - bits))
        output.append(max(lowest, min(greatest, value + lowest)))
    return output


def softmax_ref(
    input: NDArray[np.int8], depth: int, multiplier: int, left_shift: int, diff_min: int
) -> NDArray[np.int8]:
    """Define `softmax_a8`."""
    rows = [_softmax(row, multiplier, left_shift, diff_min, 8) for row in _rows(input, depth)]
    return np.array(rows, np.int8).reshape(input.shape)


def softmax_wide_ref(
    input: NDArray[np.int8], depth: int, multiplier: int, left_shift: int, diff_min: int
) -> NDArray[np.int16]:
    """Define `softmax_a8_a16`."""
    rows = [_softmax(row, multiplier, left_shift, diff_min, 16) for row in _rows(input, depth)]
    return np.array(rows, np.int16).reshape(input.shape)


def interpolated_ref(value: int, table: NDArray[np.int16]) -> int:
    """Return a table of 513 entries at a 16-bit place: 512 intervals of 128, linear in between."""
    index, offset = divmod(value, 128)
    low, high = int(table[index + 256]), int(table[index + 257])
    return low + ((high - low) * offset + 64) // 128


def _place(value: int) -> int:
    return max(-32768, min(32767, value))


def _softmax_from_tables(
    row: list[int], exp_table: NDArray[np.int16], reciprocal_table: NDArray[np.int16], pair: tuple[int, int]
) -> list[int]:
    scaled = [requantize_scalar(difference, *pair, rounding=0) for difference in row]
    exps = [interpolated_ref(_place(value + 32767), exp_table) for value in scaled]
    total = sum(exps)
    zeros = leading_zeros(total)
    significand = (total * 2 ** (zeros - 1) + 2**13) // 2**14  # of 17 bits: [1, 2) is [65536, 131072]
    reciprocal = interpolated_ref(_place(significand - 2**16 - 2**15), reciprocal_table)
    shift = 31 - zeros
    return [max(0, min(32767, (value * reciprocal + 2 ** (shift - 1)) // 2**shift)) for value in exps]


def softmax_from_tables_ref(
    input: NDArray[np.int16],
    exp_table: NDArray[np.int16],
    reciprocal_table: NDArray[np.int16],
    depth: int,
    multiplier: int,
    shift: int,
) -> NDArray[np.int16]:
    """Define `softmax_a16`."""
    rows = [
        _softmax_from_tables(row, exp_table, reciprocal_table, (multiplier, shift))
        for row in _rows(input, depth)
    ]
    return np.array(rows, np.int16).reshape(input.shape)


def log_softmax_ref(
    input: NDArray[np.int8],
    depth: int,
    multiplier: int,
    left_shift: int,
    diff_min: int,
    reverse_multiplier: int,
    reverse_shift: int,
    rounding: int,
) -> NDArray[np.int8]:
    """Define `log_softmax_a8`."""
    output = []
    for row in _rows(input, depth):
        log_sum = log_from_one_ref(_sum_of_exps(row, multiplier, left_shift, diff_min))
        floor = requantize_scalar(log_sum - 2**31, reverse_multiplier, reverse_shift, rounding)
        floor = max(diff_min - 1, floor)
        for difference in row:
            value = -128
            if difference > floor:
                exponent = _exponent(difference, multiplier, left_shift)
                value = 127 + times_power_of_two(exponent - log_sum, -22)
            output.append(max(-128, min(127, value)))
    return np.array(output, np.int8).reshape(input.shape)
