"""The definition of average pooling by a reciprocal, in Python integers (TOSA 1.0, AVG_POOL2D)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def reciprocal_ref(count: int) -> tuple[int, int]:
    """Return (multiplier, right shift) for 1 / count: (2^30 + 1) * 2^k / count, truncated, and 30 + k.

    k is the smallest number with 2^k >= count.
    """
    k = (count - 1).bit_length()
    return (2**30 + 1) * 2**k // count, 30 + k


def average_pool2d_tosa_ref(
    input: NDArray[np.int8],
    size_h: int,
    size_w: int,
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    clamp_low: int,
    clamp_high: int,
    input_zero_point: int,
    output_zero_point: int,
    *,
    output_size: tuple[int, int] | None = None,
) -> NDArray[np.int8]:
    """Define `average_pool2d_tosa_a8`; without `output_size` both ends are padded alike."""
    batch, height, width, channels = input.shape
    if output_size is None:
        output_size = (
            (height + 2 * pad_top - size_h) // stride_h + 1,
            (width + 2 * pad_left - size_w) // stride_w + 1,
        )
    output = np.zeros((batch, *output_size, channels), np.int8)
    for b, oh, ow, c in np.ndindex(*output.shape):
        rows = [
            y for y in range(oh * stride_h - pad_top, oh * stride_h - pad_top + size_h) if 0 <= y < height
        ]
        columns = [
            x for x in range(ow * stride_w - pad_left, ow * stride_w - pad_left + size_w) if 0 <= x < width
        ]
        total = sum(int(input[b, y, x, c]) - input_zero_point for y in rows for x in columns)
        multiplier, shift = reciprocal_ref(len(rows) * len(columns))
        value = ((total * multiplier + 2 ** (shift - 1)) >> shift) + output_zero_point
        output[b, oh, ow, c] = max(clamp_low, min(clamp_high, value))
    return output
