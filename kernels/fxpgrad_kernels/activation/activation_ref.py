"""The definition of the clamping activation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def clamp_ref(input: NDArray[np.int8], clamp_low: int, clamp_high: int) -> NDArray[np.int8]:
    """Define `clamp_a8`."""
    return np.array([max(clamp_low, min(clamp_high, int(value))) for value in input], np.int8)
