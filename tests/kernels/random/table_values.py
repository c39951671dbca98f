"""z of every 16-bit uniform, read off a direction's table as its documentation says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.random.distributions import KNEE, direction_table


def z_of_every_uniform(distribution: int) -> NDArray[np.int64]:
    """Return z [65536] by uniform."""
    uniform = np.arange(65536)
    distance = np.minimum(uniform, 65535 - uniform)
    place = np.minimum(distance, distance // 16 + KNEE - KNEE // 16)
    magnitude = -((direction_table(distribution).astype(np.int64)[place] + distance % 16) // 256)
    return np.where(uniform < 32768, -magnitude, magnitude)
