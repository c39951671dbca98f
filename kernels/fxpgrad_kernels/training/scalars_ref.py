"""The definition of the scalars by magnitude, in Python integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SETTLING = 3  # the running mean moves by an eighth of the way a step


def scale_differences_ref(
    differences: NDArray[np.int64], typical: NDArray[np.int64], places: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return (scalars, the new running mean of magnitudes)."""
    values = [int(d) for d in differences]
    mean = sum(abs(d) for d in values) // len(values)
    size = int(typical[0])
    size = mean if size == 0 else size + (mean - size) // 2**SETTLING
    unit = 2 ** size.bit_length()
    limit = 4 * 2**places
    scaled = [min((2 * abs(d) * 2**places + unit) // (2 * unit), limit) for d in values]
    signed = [-s if d < 0 else s for s, d in zip(scaled, values, strict=True)]
    return np.array(signed, np.int32), np.array([size], np.int64)
