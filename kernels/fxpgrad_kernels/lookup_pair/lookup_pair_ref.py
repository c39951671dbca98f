"""The definition of a lookup by two values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lookup_pair_ref(
    input_a: NDArray[np.int8], input_b: NDArray[np.int8], table: NDArray[np.int8]
) -> NDArray[np.int8]:
    """Define `lookup_pair_a8`."""
    square = table.reshape(256, 256)
    pairs = zip(input_a.tolist(), input_b.tolist(), strict=True)
    return np.array([square[a + 128, b + 128] for a, b in pairs], np.int8)
