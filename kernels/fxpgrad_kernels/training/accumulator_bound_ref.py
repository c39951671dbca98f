"""The definition of the accumulator bound, in Python integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def channel_bounds_ref(
    weights: NDArray[Any], bias: NDArray[np.int32], input_zero_point: int
) -> NDArray[np.int64]:
    """Return 128 * sum|w| + |bias - input_zero_point * sum w| of every row of weights [O, K]."""
    bounds = [
        128 * sum(abs(int(w)) for w in row) + abs(int(b) - input_zero_point * sum(int(w) for w in row))
        for row, b in zip(weights, bias, strict=True)
    ]
    return np.array(bounds, np.int64)


def accumulator_bound_ref(weights: NDArray[Any], bias: NDArray[np.int32], input_zero_point: int) -> int:
    """Return the largest of the channel bounds."""
    return int(channel_bounds_ref(weights, bias, input_zero_point).max(initial=0))


def channel_sums_ref(weights: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (sum|w|, sum w) of every row of weights [O, K]."""
    magnitudes = [sum(abs(int(w)) for w in row) for row in weights]
    return np.array(magnitudes, np.int64), np.array([sum(int(w) for w in row) for row in weights], np.int64)
