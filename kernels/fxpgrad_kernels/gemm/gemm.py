"""The pieces of every dense product: weight panels, row tiles, accumulation, requantized store.

conv2d and fully_connected differ only in where a row starts (`row_offset`) and in the runs that it
is made of (`segment_offset`); everything else is here. `contract.md` has the arithmetic.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.gemm.tile import COLUMNS, ROWS, madd_tile
from fxpgrad_kernels.jit import device

# How a panel is made from the weights.
WHOLE = 0  # w
HIGH_BYTE = 1  # w >> 8
LOW_BYTE = 2  # (w & 255) - 128, so that w = 256 * high + low + 128

# How sums are kept; 32 and 64 are widths in bits.
SPLIT = 16

# int32 sums of |x| <= 128 times |w| <= 32768 are safe for 2 * 255 products
_SAFE_PAIRS = np.int64(255)


@device
def pack_panel(weights, first_column, num_columns, num_segments, segment_length, part, panel):
    """Copy COLUMNS output channels of flat `weights` [O * num_segments * segment_length] into `panel`.

    Panel layout: [segment][pair][column][2]. Odd segments and missing columns are filled with 0.
    """
    pairs = (segment_length + np.int64(1)) >> np.int64(1)
    length = num_segments * segment_length
    for column in range(COLUMNS):
        if column >= num_columns:
            for i in range(num_segments * pairs):
                panel[(i * COLUMNS + column) * 2] = np.int16(0)
                panel[(i * COLUMNS + column) * 2 + 1] = np.int16(0)
            continue
        row = weights[(first_column + column) * length : (first_column + column + 1) * length]
        for segment in range(num_segments):
            base = segment * pairs
            run = row[segment * segment_length : (segment + 1) * segment_length]
            for k in range(2 * pairs):
                value = np.int16(0)
                if k < segment_length:
                    value = np.int16(run[k])
                    if part == HIGH_BYTE:
                        value = np.int16(np.int32(value) >> np.int32(8))
                    elif part == LOW_BYTE:
                        value = np.int16((np.int32(value) & np.int32(255)) - np.int32(128))
                panel[((base + (k >> 1)) * COLUMNS + column) * 2 + (k & 1)] = value


@device
def fold_zero_point(weights, bias, first_column, num_columns, length, input_zero_point, folded):
    """Write bias - input_zero_point * sum(weights) of each column: the rows then hold raw values.

    weights: flat, `length` of them for each output channel.
    """
    for column in range(num_columns):
        row = weights[(first_column + column) * length : (first_column + column + 1) * length]
        total = np.int64(0)
        for k in range(row.size):
            total += np.int64(row[k])
        folded[column] = np.int64(bias[first_column + column]) - input_zero_point * total


@device
def _add_in_blocks(rows, row_offset, segment_offset, num_segments, pairs, panel, factor, tile, wide):
    """Add `factor` times the exact sums of one tile to `wide`, in int32 blocks that cannot overflow."""
    for segment in range(num_segments):
        run = segment_offset[segment : segment + 1]
        weights = panel[segment * pairs * 2 * COLUMNS :]
        start = np.int64(0)
        while start < pairs:
            end = min(start + _SAFE_PAIRS, pairs)
            madd_tile(rows, row_offset, run, np.int64(1), pairs, start, end, weights, tile)
            for i in range(ROWS * COLUMNS):
                wide[i] += factor * np.int64(tile[i])
            start = end


@device
def _add_row_sums(rows, row_offset, segment_offset, num_segments, segment_length, factor, wide):
    """Add `factor` times the sum of each row's raw inputs to all columns of that row."""
    for r in range(ROWS):
        total = np.int64(0)
        for segment in range(num_segments):
            start = row_offset[r] + segment_offset[segment]
            run = rows[start : start + segment_length]
            for k in range(run.size):
                total += np.int64(run[k])
        for column in range(COLUMNS):
            wide[r * COLUMNS + column] += factor * total


@device
def compute_tile(
    rows, row_offset, segment_offset, num_segments, segment_length, panel, folded, mode, tile, wide
):
    """Write one tile of finished accumulators (int64, bias and zero point included) into `wide`.

    mode 32: the sums are proved to fit int32. mode 64: int32 blocks summed in int64. mode SPLIT:
    `panel` holds the HIGH_BYTE panel, then the LOW_BYTE panel; only 8-bit weights are multiplied.
    """
    pairs = (segment_length + np.int64(1)) >> np.int64(1)
    for r in range(ROWS):
        for column in range(COLUMNS):
            wide[r * COLUMNS + column] = folded[column]
    if mode == np.int64(32):
        madd_tile(rows, row_offset, segment_offset, num_segments, pairs, np.int64(0), pairs, panel, tile)
        for i in range(ROWS * COLUMNS):
            wide[i] += np.int64(tile[i])
    elif mode == np.int64(64):
        _add_in_blocks(rows, row_offset, segment_offset, num_segments, pairs, panel, np.int64(1), tile, wide)
    else:
        low = panel[num_segments * pairs * 2 * COLUMNS :]
        _add_in_blocks(
            rows, row_offset, segment_offset, num_segments, pairs, panel, np.int64(256), tile, wide
        )
        _add_in_blocks(rows, row_offset, segment_offset, num_segments, pairs, low, np.int64(1), tile, wide)
        _add_row_sums(rows, row_offset, segment_offset, num_segments, segment_length, np.int64(128), wide)


@device
def prepare_panel(
    weights,
    bias,
    first_column,
    num_columns,
    num_segments,
    segment_length,
    input_zero_point,
    mode,
    panel,
    folded,
):
    """Pack one panel (two in SPLIT mode) and fold the zero point into its biases."""
    pairs = (segment_length + np.int64(1)) >> np.int64(1)
    for column in range(COLUMNS):
        folded[column] = np.int64(0)
    length = num_segments * segment_length
    fold_zero_point(weights, bias, first_column, num_columns, length, input_zero_point, folded)
    if mode == np.int64(SPLIT):
        pack_panel(weights, first_column, num_columns, num_segments, segment_length, HIGH_BYTE, panel)
        low = panel[num_segments * pairs * 2 * COLUMNS :]
        pack_panel(weights, first_column, num_columns, num_segments, segment_length, LOW_BYTE, low)
    else:
        pack_panel(weights, first_column, num_columns, num_segments, segment_length, WHOLE, panel)
