"""The tile without vectors: the same arguments and bits as `tile.multiply_tiles`, `panels.multiply_panels`.

A second witness, written from `contract.md`, and what `gemm.py` may import instead on a platform where
the vector form is not wanted.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.float32_rounding import round_to_24_bits
from fxpgrad_kernels.gemm.ends import (
    COLUMNS,
    MULTIPLIER,
    NOTES,
    ROUND_AWAY_TWICE,
    ROUND_ONCE,
    ROUND_UP_TWICE,
    SHIFT,
    STORE_SUMS,
)
from fxpgrad_kernels.gemm.prepare import RECORD
from fxpgrad_kernels.jit import device


@device
def _round_float(product, shift):
    """Return a non-negative product / 2**shift: to 24 significant bits, then to an integer, half to even."""
    value = round_to_24_bits(product)
    mask = (np.int64(1) << shift) - np.int64(1)
    return (value + (mask >> np.int64(1)) + ((value >> shift) & np.int64(1))) >> shift


@device
def finish_sum(x, multiplier, shift, end):
    """Return what one int32 sum becomes before the zero point is added; all int64."""
    if end == ROUND_ONCE:
        half = np.int64(1) << (shift - np.int64(1))
        return (x * multiplier + half) >> shift
    if end in (ROUND_UP_TWICE, ROUND_AWAY_TWICE):
        high = (x * multiplier + np.int64(1 << 30)) >> np.int64(31)
        half = (np.int64(1) << shift) >> np.int64(1)
        if end == ROUND_AWAY_TWICE and high < np.int64(0) and shift > np.int64(0):
            half -= np.int64(1)
        return (high + half) >> shift
    magnitude = _round_float(abs(x) * multiplier, shift)
    return -magnitude if x < np.int64(0) else magnitude


@device
def _sum_of_products(
    row, segment_offset, num_segments, pairs_per_segment, first_pair, last_pair, panel, column
):
    """Return one int32 sum over pairs [first_pair, last_pair) of every segment."""
    total = np.int32(0)
    for segment in range(num_segments):
        for pair in range(first_pair, last_pair):
            inputs = row[segment_offset[segment] + 2 * pair :]
            weights = panel[((segment * pairs_per_segment + pair) * COLUMNS + column) * 2 :]
            products = np.int32(inputs[0]) * np.int32(weights[0]) + np.int32(inputs[1]) * np.int32(weights[1])
            total = np.int32(total + np.int32(products))
    return total


@device
def multiply_tiles(
    rows, row_offset, num_rows, segment_offset, num_segments, pairs_per_segment, first_pair, last_pair, panel,
    start, start_step, record, end, sums, output, output_step, columns, zero_point, clamp_low, clamp_high,
):  # fmt: skip
    """Multiply `num_rows` rows with one panel and finish the sums as `end` says: see `contract.md`."""
    for r in range(num_rows):
        row = rows[row_offset[r] :]
        begin = start[r * start_step : r * start_step + COLUMNS]
        for column in range(COLUMNS if end == STORE_SUMS else columns):
            total = np.int32(
                begin[column]
                + _sum_of_products(
                    row, segment_offset, num_segments, pairs_per_segment, first_pair, last_pair, panel, column
                )
            )
            if end == STORE_SUMS:
                sums[r * COLUMNS + column] = total
                continue
            multiplier = np.int64(record[MULTIPLIER * COLUMNS + column])
            shift = np.int64(record[SHIFT * COLUMNS + column])
            value = finish_sum(np.int64(total), multiplier, shift, end) + zero_point
            output[r * output_step + column] = np.int8(min(max(value, clamp_low), clamp_high))


@device
def multiply_panels(
    rows, row_offset, num_rows, segment_offset, num_segments, pairs, panels, channels, first, num_panels,
    width, mode, sums, output, output_step, zero_point, clamp_low, clamp_high,
):  # fmt: skip
    """Multiply rows with the panels from `first` on, up to the first that does not end in registers."""
    none = np.int64(0)
    size = num_segments * pairs * 2 * COLUMNS
    for number in range(first, num_panels):
        record = channels[number * RECORD : (number + 1) * RECORD]
        end, narrow = np.int64(record[NOTES * COLUMNS]), np.int64(record[NOTES * COLUMNS + 1])
        fits = mode == np.int64(32) or (mode == np.int64(64) and narrow == np.int64(1))
        if end == STORE_SUMS or not fits:
            return number
        multiply_tiles(
            rows, row_offset, num_rows, segment_offset, num_segments, pairs, none, pairs,
            panels[number * size : (number + 1) * size], record, none, record, end, sums,
            output[number * COLUMNS :], output_step, min(np.int64(COLUMNS), width - number * COLUMNS),
            zero_point, clamp_low, clamp_high,
        )  # fmt: skip
    return num_panels
