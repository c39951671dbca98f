"""The definitions of the pooling operators, in Python integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def _pool(
    input: NDArray[np.int8],
    reduce: Callable[[list[int]], int],
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[int, int],
    clamp: tuple[int, int],
    output_size: tuple[int, int] | None,
) -> NDArray[np.int8]:
    """Apply `reduce` to the valid values of every window."""
    batch, height, width, channels = input.shape
    if output_size is None:
        output_size = (
            (height + 2 * padding[0] - size[0]) // strides[0] + 1,
            (width + 2 * padding[1] - size[1]) // strides[1] + 1,
        )
    output = np.zeros((batch, *output_size, channels), np.int8)
    for b, oh, ow, c in np.ndindex(*output.shape):
        rows = [oh * strides[0] - padding[0] + dy for dy in range(size[0])]
        columns = [ow * strides[1] - padding[1] + dx for dx in range(size[1])]
        values = [int(input[b, y, x, c]) for y in rows for x in columns if 0 <= y < height and 0 <= x < width]
        output[b, oh, ow, c] = max(clamp[0], min(clamp[1], reduce(values)))
    return output


def max_pool2d_ref(
    input: NDArray[np.int8],
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
) -> NDArray[np.int8]:
    """Define `max_pool2d_a8`; without `output_size` both ends are padded alike."""
    return _pool(
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
    input: NDArray[np.int8],
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
) -> NDArray[np.int8]:
    """Define `average_pool2d_a8`; without `output_size` both ends are padded alike."""
    return _pool(
        input,
        average_half_away,
        (size_h, size_w),
        (stride_h, stride_w),
        (pad_top, pad_left),
        (clamp_low, clamp_high),
        output_size,
    )


def folded_pair_ref(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """Return the pair that stands for multiplier * 2**(shift - 31) / count."""
    k = min(count.bit_length() - 1, 32, 31 + shift)
    return multiplier * 2**k // count, shift - k


def global_average_pool2d_ref(
    input: NDArray[np.int8],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> NDArray[np.int8]:
    """Define `global_average_pool2d_a8`."""
    count = input.shape[1] * input.shape[2]
    folded, folded_shift = folded_pair_ref(int(multiplier[0]), int(shift[0]), count)
    total = (input.astype(np.int64) - input_zero_point).sum(axis=(1, 2))
    value = requantize_ref(total, folded, folded_shift, rounding) + output_zero_point
    return np.clip(value, -128, 127).astype(np.int8)
