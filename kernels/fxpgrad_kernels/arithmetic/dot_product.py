"""Exact dot products of contiguous runs, summed in the widest blocks that int32 lanes allow."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device


@device
def dot_in_blocks(left, right, block):
    """Return the exact sum of left[k] * right[k] (int64) over the shorter length.

    `block` products of the largest magnitude must fit int32: 511 for int16 times int8, 255 for values in
    [-255, 255] times int16, 2**14 for values in [-255, 255] times values in [-255, 255].
    """
    length = min(left.size, right.size)
    total = np.int64(0)
    start = np.int64(0)
    while start < length:
        end = min(start + block, length)
        part_left = left[start:end]
        part_right = right[start:end]
        partial = np.int32(0)
        for k in range(part_left.size):
            partial = np.int32(partial + np.int32(np.int32(part_left[k]) * np.int32(part_right[k])))
        total += np.int64(partial)
        start = end
    return total


@device
def dot_wide(left, right):
    """Return the exact sum of left[k] * right[k] (int64) of any two integer types below 32 bits."""
    total = np.int64(0)
    for k in range(min(left.size, right.size)):
        total += np.int64(np.int32(np.int32(left[k]) * np.int32(right[k])))
    return total
