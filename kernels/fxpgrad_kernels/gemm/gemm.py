"""The driver of every dense product: rows x panels, in blocks of rows that stay near.

conv2d and fully_connected differ only in where a row starts (`row_offset`) and in the runs that it
is made of (`segment_offset`); everything else is here. `contract.md` has the arithmetic.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.gemm.ends import COLUMNS, NOTES, START, START_HIGH, STORE_SUMS, ZEROS
from fxpgrad_kernels.gemm.epilogue import store_accumulators, store_requantized

# The one place that chooses the tile: `plain` holds both names too, without vectors.
from fxpgrad_kernels.gemm.panels import multiply_panels
from fxpgrad_kernels.gemm.prepare import RECORD
from fxpgrad_kernels.gemm.tile import ROWS, multiply_tiles
from fxpgrad_kernels.jit import device

# How sums are kept; 32 and 64 are widths in bits.
SPLIT = 16

# Rows that are multiplied with one panel after the other while they are near.
BLOCK = 96
_NEAR = 24576  # elements of int16
_WIDE_ROWS = 4 * ROWS  # rows whose accumulators are held in int64 at a time

# The parts of the scratch, in int64: wide sums, int32 sums, row offsets; the segment offsets follow.
_WIDE = _WIDE_ROWS * COLUMNS
_TILE = _WIDE + _WIDE_ROWS * COLUMNS // 2
SCRATCH = _TILE + BLOCK


def rows_near(row_length):
    """Return how many rows of `row_length` int16 elements are widened at a time: a multiple of ROWS."""
    return min(max(_NEAR // max(row_length, 1), ROWS), BLOCK) // ROWS * ROWS


@device
def _add_row_sums(rows, row_offset, num_rows, segment_offset, num_segments, segment_length, wide):
    """Add 128 times the sum of each row's raw inputs to all columns of that row."""
    for r in range(num_rows):
        total = np.int64(0)
        for segment in range(num_segments):
            start = row_offset[r] + segment_offset[segment]
            run = rows[start : start + segment_length]
            for k in range(run.size):
                total += np.int64(run[k])
        for column in range(COLUMNS):
            wide[r * COLUMNS + column] += total << np.int64(7)


@device
def _start_wide(record, num_rows, wide):
    """Set every row of `wide` to the folded biases."""
    for r in range(num_rows):
        for column in range(COLUMNS):
            high = np.int64(record[START_HIGH * COLUMNS + column]) << np.int64(32)
            low = np.int64(record[START * COLUMNS + column]) & np.int64(0xFFFFFFFF)
            wide[r * COLUMNS + column] = high | low


@device
def _add(sums, shift, wide):
    """Add int32 sums, shifted left, to as many of int64 `wide`."""
    for i in range(wide.size):
        wide[i] += np.int64(sums[i]) << shift


@device
def _store_wide(
    wide, num_rows, multiplier, shift, rounding, zero_point, low, high, end, sums, output, accumulators,
    output_step, columns,
):  # fmt: skip
    """Store exact accumulators, or saturate them into `sums`; return whether they are stored."""
    if accumulators is not None:
        for r in range(num_rows):
            row = accumulators[r * output_step : r * output_step + columns]
            store_accumulators(wide[r * COLUMNS : (r + 1) * COLUMNS], row)
        return True
    if end == STORE_SUMS:
        for r in range(num_rows):
            row = output[r * output_step : r * output_step + columns]
            store_requantized(
                wide[r * COLUMNS : (r + 1) * COLUMNS], multiplier, shift, zero_point, low, high, rounding, row
            )
        return True
    store_accumulators(wide[: num_rows * COLUMNS], sums[: num_rows * COLUMNS])
    return False


@device
def _multiply_wide(
    inputs, row_offset, num_rows, segment_offset, num_segments, pairs, segment_length, panel, record,
    multiplier, shifts, mode, rounding, zero_point, low, high, scratch, output, accumulators, filters,
    columns,
):  # fmt: skip
    """Multiply a block of rows with one panel by way of exact accumulators in int64."""
    parts = np.int64(2 if mode == SPLIT else 1)
    none = np.int64(0)
    wide, sums = scratch[:_WIDE], scratch[_WIDE:_TILE].view(np.int32)
    end = np.int64(record[NOTES * COLUMNS])
    safe = np.int64(record[NOTES * COLUMNS + 2])
    together = max(safe // pairs, np.int64(1))
    for row in range(0, num_rows, _WIDE_ROWS):
        count = min(np.int64(_WIDE_ROWS), num_rows - row)
        offsets = row_offset[row:]
        target = output[row * filters :]
        _start_wide(record, count, wide)
        for part in range(parts):
            shift = np.int64(8 if parts - part == 2 else 0)
            for segment in range(0, num_segments, together):
                weights = panel[(part * num_segments + segment) * pairs * 2 * COLUMNS :]
                for first in range(0, pairs, safe):
                    multiply_tiles(
                        inputs, offsets, count, segment_offset[segment:],
                        min(together, num_segments - segment), pairs, first, min(first + safe, pairs),
                        weights, record[ZEROS * COLUMNS :], none, record, np.int64(STORE_SUMS), sums,
                        target, none, columns, none, none, none,
                    )  # fmt: skip
                    _add(sums, shift, wide[: count * COLUMNS])
        if mode == SPLIT:
            _add_row_sums(inputs, offsets, count, segment_offset, num_segments, segment_length, wide)
        if not _store_wide(
            wide, count, multiplier, shifts, rounding, zero_point, low, high, end, sums,
            target, None if accumulators is None else accumulators[row * filters :], filters, columns,
        ):  # fmt: skip
            multiply_tiles(
                inputs, offsets, count, segment_offset, none, none, none, none, panel, sums,
                np.int64(COLUMNS), record, end, sums, target, filters, columns, zero_point, low, high,
            )  # fmt: skip


@device
def multiply_rows(
    rows, row_offset, num_rows, segment_offset, num_segments, segment_length, groups, group_channels, panels,
    channels, multiplier, shifts, mode, rounding, zero_point, low, high, scratch, output, accumulators,
    filters,
):  # fmt: skip
    """Multiply a block of rows with every panel of a layer.

    Group g reads what lies g * group_channels after a row's start. output: flat int8 [num_rows * filters],
    or `accumulators`: the same in int32, and output is not written.
    """
    pairs = (segment_length + np.int64(1)) >> np.int64(1)
    size = np.int64(2 if mode == SPLIT else 1) * num_segments * pairs * 2 * COLUMNS
    width = filters // groups
    count = (width + COLUMNS - 1) // COLUMNS
    sums = scratch[_WIDE:_TILE].view(np.int32)
    for group in range(groups):
        inputs = rows[group * group_channels :]
        own, records = panels[group * count * size :], channels[group * count * RECORD :]
        number = np.int64(0)
        while True:
            number = multiply_panels(
                inputs, row_offset, num_rows, segment_offset, num_segments, pairs, own, records, number,
                count, width, mode, sums, output[group * width :], filters, zero_point, low, high,
            )  # fmt: skip
            if number == count:
                break
            column = group * width + number * COLUMNS
            _multiply_wide(
                inputs, row_offset, num_rows, segment_offset, num_segments, pairs, segment_length,
                own[number * size : (number + 1) * size], records[number * RECORD : (number + 1) * RECORD],
                multiplier[column:], shifts[column:], mode, rounding, zero_point, low, high, scratch,
                output[column:], None if accumulators is None else accumulators[column:], filters,
                min(np.int64(COLUMNS), width - number * COLUMNS),
            )  # fmt: skip
            number += np.int64(1)


@device
def widen(source, target):
    """Copy int8 values as int16, as many as `target` takes."""
    for i in range(target.size):
        target[i] = np.int16(source[i])


@device
def start_rows(length, num_rows, rows, scratch):
    """Lay out `rows` as a block of a matrix of `length` columns; return how many of its rows it takes."""
    row_length = length + (length & np.int64(1))
    block = min(np.int64(BLOCK), num_rows, rows.size // row_length)
    row_offset = scratch[_TILE:SCRATCH]
    for r in range(block):
        row_offset[r] = r * row_length
    scratch[SCRATCH] = 0  # the one segment
    return block


@device
def widen_rows(matrix, first, count, length, rows):
    """Copy rows `first` to `first + count` of a flat int8 matrix of `length` columns into `rows`."""
    row_length = length + (length & np.int64(1))
    if length == row_length:  # one long loop: it matters where rows are short
        widen(matrix[first * length :], rows[: count * length])
    else:
        for r in range(count):
            widen(matrix[(first + r) * length :], rows[r * row_length : r * row_length + length])
