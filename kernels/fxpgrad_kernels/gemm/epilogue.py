"""From finished accumulators in int64 to stored outputs, for the tiles that do not end in registers."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.jit import device


@device
def store_requantized(wide, multiplier, shift, output_zero_point, clamp_low, clamp_high, rounding, output):
    """Requantize one row into `output` (int8, as many channels as it has)."""
    for column in range(output.size):
        value = requantize(wide[column], multiplier[column], shift[column], rounding) + output_zero_point
        output[column] = np.int8(min(max(value, clamp_low), clamp_high))


@device
def store_accumulators(wide, output):
    """Store accumulators as int32, saturated, as many as `output` takes."""
    for i in range(output.size):
        output[i] = np.int32(min(max(wide[i], np.int64(-(2**31))), np.int64(2**31 - 1)))
