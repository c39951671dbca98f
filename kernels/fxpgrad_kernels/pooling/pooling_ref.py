"""The definitions of the pooling operators, in Python integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pool_ref(
    input: NDArray[Any],
    reduce: Callable[[list[int]], int],
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[int, int],
    clamp: tuple[int, int],
    output_size: tuple[int, int] | None,
) -> NDArray[Any]:
    """Apply `reduce` to the valid values of every window."""
    batch, height, width, channels = input.shape
    if output_size is None:
        output_size = (
            (height + 2 * padding[0] - size[0]) // strides[0] + 1,
            (width + 2 * padding[1] - size[1]) // strides[1] + 1,
        )
    output = np.zeros((batch, *output_size, channels), input.dtype)
    for b, oh, ow, c in np.ndindex(*output.shape):
        rows = [oh * strides[0] - padding[0] + dy for dy in range(size[0])]
        columns = [ow * strides[1] - padding[1] + dx for dx in range(size[1])]
        values = [int(input[b, y, x, c]) for y in rows for x in columns if 0 <= y < height and 0 <= x < width]
        output[b, oh, ow, c] = max(clamp[0], min(clamp[1], reduce(values)))
    return output


def max_pool2d_ref(
    input: NDArray[Any],
    size_h: int,
    size_w: int,
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    clamp_low: int,
    clamp_high: int,
    *,
    output_size: tuple[int, int] | None = None,
) -> NDArray[Any]:
    """Define `max_pool2d_a8` and `max_pool2d_a16`; without `output_size` both ends are padded alike."""
    return pool_ref(
        input,
        max,
        (size_h, size_w),
        (stride_h, stride_w),
        (pad_top, pad_left),
        (clamp_low, clamp_high),
        output_size,
    )


def average_half_away(values: list[int]) -> int:
    """Return the mean rounded to nearest, ties away from zero."""
    total, count = sum(values), len(values)
    size = (2 * abs(total) + count) // (2 * count)
    return size if total >= 0 else -size


def average_pool2d_ref(
    input: NDArray[Any],
    size_h: int,
    size_w: int,
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    clamp_low: int,
    clamp_high: int,
    *,
    output_size: tuple[int, int] | None = None,
) -> NDArray[Any]:
    """Define `average_pool2d_a8` and `average_pool2d_a16`; ends as in `max_pool2d_ref`."""
    return pool_ref(
        input,
        average_half_away,
        (size_h, size_w),
        (stride_h, stride_w),
        (pad_top, pad_left),
        (clamp_low, clamp_high),
        output_size,
    )
