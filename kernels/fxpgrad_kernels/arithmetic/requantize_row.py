"""`requantize` over a row of int64 values, in place.

The branch on the formula stands outside the loops, where it costs once a row and lets LLVM
vectorize them; inside, the formula is a compile-time constant.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.jit import device


@device
def requantize_row(row, multiplier, shift, rounding):
    """Requantize int64 `row` [N] in place with one (multiplier, shift) for each element (int64 [N])."""
    if rounding == 0:
        for i in range(row.size):
            row[i] = requantize(row[i], multiplier[i], shift[i], np.int64(0))
    elif rounding == 1:
        for i in range(row.size):
            row[i] = requantize(row[i], multiplier[i], shift[i], np.int64(1))
    elif rounding == 2:
        for i in range(row.size):
            row[i] = requantize(row[i], multiplier[i], shift[i], np.int64(2))
    elif rounding == 3:
        for i in range(row.size):
            row[i] = requantize(row[i], multiplier[i], shift[i], np.int64(3))
    elif rounding == 4:
        for i in range(row.size):
            row[i] = requantize(row[i], multiplier[i], shift[i], np.int64(4))
    else:
        for i in range(row.size):
            row[i] = requantize(row[i], multiplier[i], shift[i], np.int64(5))


@device
def requantize_row_uniform(row, multiplier, shift, rounding):
    """Requantize int64 `row` [N] in place with the same (multiplier, shift) for all."""
    m = np.int64(multiplier)
    s = np.int64(shift)
    if rounding == 0:
        for i in range(row.size):
            row[i] = requantize(row[i], m, s, np.int64(0))
    elif rounding == 1:
        for i in range(row.size):
            row[i] = requantize(row[i], m, s, np.int64(1))
    elif rounding == 2:
        for i in range(row.size):
            row[i] = requantize(row[i], m, s, np.int64(2))
    elif rounding == 3:
        for i in range(row.size):
            row[i] = requantize(row[i], m, s, np.int64(3))
    elif rounding == 4:
        for i in range(row.size):
            row[i] = requantize(row[i], m, s, np.int64(4))
    else:
        for i in range(row.size):
            row[i] = requantize(row[i], m, s, np.int64(5))


@device
def clamp_row(row, offset, low, high):
    """Add `offset` (a zero point) to int64 `row` and clamp it to [low, high], in place."""
    for i in range(row.size):
        row[i] = min(max(row[i] + offset, low), high)


@device
def narrow_row(row, output):
    """Store int64 `row`, whose values fit int8, into int8 `output`; the shorter one sets the length."""
    for i in range(min(row.size, output.size)):
        output[i] = np.int8(row[i])
