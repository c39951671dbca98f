"""The definitions of the reductions, in NumPy int64 and Python integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref

Array = NDArray[Any]


def _columns(input: Array, reduced: int, inner: int) -> NDArray[np.int64]:
    """Return [outer, reduced, inner] of a flat array."""
    return input.astype(np.int64).reshape(-1, reduced, inner)


def folded_pair_ref(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """Return the pair that stands for multiplier * 2**(shift - 31) / count."""
    k = min(count.bit_length() - 1, 32, 31 + shift)
    return multiplier * 2**k // count, shift - k


def _rescaled(
    input: Array,
    pair: tuple[int, int],
    reduced: int,
    inner: int,
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> Array:
    total = (_columns(input, reduced, inner) - input_zero_point).sum(axis=1)
    value = requantize_ref(total, *pair, rounding) + output_zero_point
    limits = np.iinfo(input.dtype)
    return np.clip(value, limits.min, limits.max).astype(input.dtype).ravel()


def sum_ref(
    input: Array,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    reduced: int,
    inner: int,
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> Array:
    """Define `sum_a8` and `sum_a16`."""
    pair = int(multiplier[0]), int(shift[0])
    return _rescaled(input, pair, reduced, inner, input_zero_point, output_zero_point, rounding)


def mean_ref(
    input: Array,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    reduced: int,
    inner: int,
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> Array:
    """Define `mean_a8` and `mean_a16`."""
    pair = folded_pair_ref(int(multiplier[0]), int(shift[0]), reduced)
    return _rescaled(input, pair, reduced, inner, input_zero_point, output_zero_point, rounding)


def reduce_max_ref(input: Array, reduced: int, inner: int) -> Array:
    """Define `reduce_max_a8` and `reduce_max_a16`."""
    largest: Array = _columns(input, reduced, inner).max(axis=1)
    return largest.astype(input.dtype).ravel()


def reduce_min_ref(input: Array, reduced: int, inner: int) -> Array:
    """Define `reduce_min_a8` and `reduce_min_a16`."""
    smallest: Array = _columns(input, reduced, inner).min(axis=1)
    return smallest.astype(input.dtype).ravel()


def arg_max_ref(input: Array, reduced: int, inner: int) -> NDArray[np.int32]:
    """Define `arg_max_a8` and `arg_max_a16`."""
    columns = _columns(input, reduced, inner)
    largest: Array = columns.max(axis=1, keepdims=True)
    places: Array = np.argmax(columns == largest, axis=1)
    return places.astype(np.int32).ravel()


def arg_min_ref(input: Array, reduced: int, inner: int) -> NDArray[np.int32]:
    """Define `arg_min_a8` and `arg_min_a16`."""
    return arg_max_ref(-input.astype(np.int64), reduced, inner)
