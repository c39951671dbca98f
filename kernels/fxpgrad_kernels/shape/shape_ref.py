"""The definitions of the operators that only move values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pad_ref(
    input: NDArray[np.int8],
    pad_top: int,
    pad_bottom: int,
    pad_left: int,
    pad_right: int,
    input_zero_point: int,
) -> NDArray[np.int8]:
    """Define `pad_a8`."""
    widths = ((0, 0), (pad_top, pad_bottom), (pad_left, pad_right), (0, 0))
    return np.pad(input, widths, constant_values=np.int8(input_zero_point))


def copy_block_ref(
    input: NDArray[np.int8], column: int, *, before: NDArray[np.int8] | None = None
) -> NDArray[np.int8]:
    """Define `copy_block_a8`: the array after the copy, given the one before it.

    Without `before` the output is all zeros and ends where the block ends.
    """
    if before is None:
        before = np.zeros((input.shape[0], column + input.shape[1]), np.int8)
    return np.concatenate([before[:, :column], input, before[:, column + input.shape[1] :]], axis=1)


def reshape_ref(input: NDArray[np.int8]) -> NDArray[np.int8]:
    """Define `reshape_a8`: the same values in the same order."""
    return input.copy()
