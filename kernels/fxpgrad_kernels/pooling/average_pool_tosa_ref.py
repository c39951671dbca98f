"""The definition of average pooling by a reciprocal, in Python integers (TOSA 1.0, AVG_POOL2D)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.pooling.pooling_ref import pool_ref


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

    def averaged(values: list[int]) -> int:
        total = sum(value - input_zero_point for value in values)
        multiplier, shift = reciprocal_ref(len(values))
        rounded: int = (total * multiplier + 2 ** (shift - 1)) >> shift
        return rounded + output_zero_point

    pooled: NDArray[np.int8] = pool_ref(
        input,
        averaged,
        (size_h, size_w),
        (stride_h, stride_w),
        (pad_top, pad_left),
        (clamp_low, clamp_high),
        output_size,
    )
    return pooled
