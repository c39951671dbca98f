"""The definition of the function of a sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sum_table_ref(
    input: NDArray[np.int8], table: NDArray[np.int8], reduced: int, inner: int
) -> NDArray[np.int8]:
    """Define `sum_table_a8`."""
    columns = input.reshape(-1, reduced, inner)
    results = [
        table[sum(int(value) for value in column) + 128 * reduced] for block in columns for column in block.T
    ]
    return np.array(results, np.int8)
