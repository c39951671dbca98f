"""The definition of gains on multipliers, in Python integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ONE = 2**30
LOWEST, HIGHEST = 2**27, 2**31 - 1


def scaled_multiplier_ref(multiplier: int, shift: int, gain: int) -> tuple[int, int]:
    """Return multiplier * 2**shift times gain / 2**30 as a pair in [2**30, 2**31), rounded half up."""
    product = multiplier * max(LOWEST, min(HIGHEST, gain))
    if product == 0:
        return 0, 0
    excess = product.bit_length() - 31  # at least 26 for a multiplier of 2**30
    kept = (product + (1 << (excess - 1))) >> excess
    if kept == 2**31:
        kept, excess = 2**30, excess + 1
    return kept, shift + excess - 30


def scale_multipliers_ref(
    multiplier: NDArray[np.int32], shift: NDArray[np.int32], gain: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the new (multipliers, shifts) [C] for one gain each [C], or one for all [1]."""
    pairs = [
        scaled_multiplier_ref(int(m), int(s), int(g))
        for m, s, g in zip(multiplier, shift, np.broadcast_to(gain, multiplier.shape), strict=True)
    ]
    multipliers, shifts = zip(*pairs, strict=True)
    return np.array(multipliers, np.int32), np.array(shifts, np.int32)
