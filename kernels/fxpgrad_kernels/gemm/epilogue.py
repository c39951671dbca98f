"""From a finished tile of accumulators to stored outputs, one row of COLUMNS channels at a time."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize_row import clamp_row, narrow_row, requantize_row
from fxpgrad_kernels.gemm.tile import COLUMNS
from fxpgrad_kernels.jit import device


@device
def load_channels(multiplier, shift, first_column, num_columns, channels):
    """Copy the (multiplier, shift) of one panel into int64 `channels` [2 * COLUMNS]; missing ones are 0."""
    for column in range(COLUMNS):
        channels[column] = np.int64(0)
        channels[COLUMNS + column] = np.int64(0)
    for column in range(num_columns):
        channels[column] = np.int64(multiplier[first_column + column])
        channels[COLUMNS + column] = np.int64(shift[first_column + column])


@device
def store_requantized(wide, r, channels, output_zero_point, clamp_low, clamp_high, rounding, output):
    """Requantize row r of a finished tile into `output` (int8, as many channels as it has)."""
    row = wide[r * COLUMNS : (r + 1) * COLUMNS]
    requantize_row(row, channels[:COLUMNS], channels[COLUMNS : 2 * COLUMNS], rounding)
    clamp_row(row, output_zero_point, clamp_low, clamp_high)
    narrow_row(row, output)


@device
def store_accumulators(wide, r, output):
    """Store row r of a finished tile as int32 accumulators, saturated."""
    row = wide[r * COLUMNS : (r + 1) * COLUMNS]
    for column in range(output.size):
        output[column] = np.int32(min(max(row[column], np.int64(-(2**31))), np.int64(2**31 - 1)))
