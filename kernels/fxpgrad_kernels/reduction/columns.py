"""Sums over the middle axis of [outer, reduced, inner]."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.column_blocks import column_sums
from fxpgrad_kernels.jit import device

__all__ = ["sums_of_columns"]


@device
def sums_of_columns(input, start, reduced, inner, sums):
    """Write the sums of `reduced` rows of `inner` elements, from `start` on, to int32 `sums` [inner]."""
    if inner == 1:
        values = input[start : start + reduced]
        total = np.int32(0)
        for i in range(values.size):
            total = np.int32(total + np.int32(values[i]))
        sums[0] = total
        return
    rows, row_step = np.int64(1), np.int64(0)
    column_sums(input, start, rows, row_step, np.int64(reduced), np.int64(inner), np.int64(inner), sums)
