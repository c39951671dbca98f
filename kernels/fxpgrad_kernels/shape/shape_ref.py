"""The definitions of the operators that move whole stretches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.signedinteger]


def concatenate_block_ref(
    input: Integers, input_row: int, output_row: int, column: int, *, before: Integers | None = None
) -> Integers:
    """Define `concatenate_block_a8`, `_a16` and `_a32`: the array after the copy, given the one before it.

    Without `before` the other columns are zeros.
    """
    blocks = input.reshape(-1, input_row)
    if before is None:
        before = np.zeros(len(blocks) * output_row, input.dtype)
    rows = before.reshape(len(blocks), output_row)
    return np.concatenate([rows[:, :column], blocks, rows[:, column + input_row :]], axis=1).reshape(-1)


def reshape_ref(input: Integers) -> Integers:
    """Define `reshape_a8`, `reshape_a16` and `reshape_a32`: the same values in the same order."""
    return input.copy()


def constant_ref(value: Integers, *, samples: int = 1) -> Integers:
    """Define `constant_a8`, `constant_a16` and `constant_a32`: the value again for each sample."""
    return np.array([value[i % value.size] for i in range(samples * value.size)], value.dtype)
