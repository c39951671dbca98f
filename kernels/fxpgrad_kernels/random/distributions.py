"""What a direction is drawn from: the named distributions and their integer inverse CDFs.

A Gaussian direction is N(0, 1) discretised to multiples of `dz`, drawn by inverting the cumulative
distribution at a 16-bit uniform `u`. The CDF is a list of integer thresholds, so that every target
draws the same integers. Only the positive half is stored: a draw is odd under ``u -> 65535 - u``,
which makes the mean exactly zero.
"""

from __future__ import annotations

import functools
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["KNEE", "PAPER_THRESHOLDS", "THRESHOLDS", "Distribution", "Purpose", "direction_table"]


class Distribution(IntEnum):
    """What z is drawn from; the integers are what kernels receive.

    GAUSSIAN: int8 in [-127, 127], unit dz = 1/32. RADEMACHER: -32 or +32, that is -1 or +1 in the
    same unit. GAUSSIAN_PAPER: int8 in [-127, 127], unit dz = 3.5 / 127 = 0.0276 (arXiv
    2411.04036: z_max = 3.5 in 127 levels).
    """

    GAUSSIAN = 0
    RADEMACHER = 1
    GAUSSIAN_PAPER = 2


class Purpose(IntEnum):
    """What a stream of the generator is for: the top 8 bits of counter word 2."""

    DIRECTION = 0
    ROUNDING = 1
    THINNING = 2


# THRESHOLDS[k] = round(65536 * Phi((k + 1/2) * dz)), k = 0..126: z > k exactly if u >= THRESHOLDS[k].
# dz = 1/32, and 3.5/127 for PAPER_THRESHOLDS.
# fmt: off
THRESHOLDS = (
    33177, 33993, 34809, 35622, 36433, 37240, 38042, 38840, 39632, 40417, 41195, 41966, 42727, 43479,
    44222, 44954, 45675, 46384, 47082, 47767, 48439, 49097, 49743, 50374, 50990, 51592, 52180, 52752,
    53309, 53851, 54378, 54889, 55384, 55864, 56329, 56778, 57212, 57631, 58034, 58423, 58797, 59157,
    59502, 59833, 60151, 60455, 60746, 61024, 61289, 61542, 61783, 62012, 62231, 62438, 62635, 62821,
    62998, 63165, 63323, 63472, 63613, 63746, 63871, 63989, 64099, 64203, 64301, 64392, 64477, 64557,
    64632, 64702, 64767, 64827, 64884, 64936, 64985, 65030, 65072, 65111, 65147, 65180, 65210, 65239,
    65265, 65289, 65311, 65331, 65350, 65367, 65383, 65397, 65410, 65422, 65433, 65443, 65452, 65460,
    65468, 65475, 65481, 65486, 65491, 65496, 65500, 65504, 65507, 65510, 65513, 65516, 65518, 65520,
    65522, 65523, 65525, 65526, 65527, 65528, 65529, 65530, 65531, 65531, 65532, 65532, 65533, 65533,
    65533,
)
PAPER_THRESHOLDS = (
    33128, 33848, 34568, 35286, 36002, 36716, 37427, 38134, 38837, 39536, 40229, 40917, 41600, 42275,
    42944, 43606, 44259, 44905, 45542, 46170, 46789, 47399, 47998, 48588, 49167, 49735, 50292, 50839,
    51374, 51897, 52409, 52909, 53398, 53874, 54339, 54791, 55232, 55660, 56077, 56481, 56873, 57254,
    57623, 57980, 58325, 58659, 58982, 59293, 59594, 59883, 60162, 60430, 60688, 60936, 61174, 61403,
    61622, 61832, 62033, 62225, 62408, 62584, 62751, 62911, 63063, 63208, 63345, 63476, 63601, 63719,
    63831, 63937, 64038, 64133, 64223, 64308, 64389, 64465, 64536, 64604, 64667, 64727, 64783, 64835,
    64885, 64931, 64975, 65015, 65053, 65089, 65122, 65153, 65182, 65209, 65234, 65258, 65280, 65300,
    65319, 65336, 65352, 65367, 65381, 65394, 65406, 65417, 65427, 65436, 65445, 65453, 65460, 65467,
    65473, 65478, 65484, 65488, 65493, 65497, 65500, 65504, 65507, 65509, 65512, 65514, 65516, 65518,
    65520,
)
# fmt: on


# The table's key is the distance d = 0 .. 32767 of a 16-bit uniform from the nearer end of its range. Up to
# KNEE each distance has an entry of its own, beyond it 16 distances share one: thresholds lie more than
# 16 apart there, so that at most one falls inside. place = min(d, d // 16 + KNEE - KNEE // 16).
KNEE = 256
_SHARED = KNEE - KNEE // 16


@functools.cache
def direction_table(distribution: int) -> NDArray[np.int16]:
    """Return the constant that kernels receive as `table`: z for each 16-bit uniform.

    Parameters
    ----------
    distribution : Distribution
        The code that the kernels will receive too.

    Returns
    -------
    int16 ndarray [2288]
        The entry of a distance is ``-256 * |z| of the first distance that shares it``, plus what makes
        ``(entry + d % 16) // 256`` step to the next -|z| at the right distance. RADEMACHER needs no table and
        gets one element that is never read. Built once; do not write to it.

    Notes
    -----
    4.5 KiB instead of 64 KiB for a byte a uniform: the table stays in the first-level cache beside the
    weights. For a uniform u, d = u if u < 32768 else 65535 - u, and z < 0 exactly if u < 32768 and |z| > 0.
    """
    code = Distribution(distribution)
    if code is Distribution.RADEMACHER:
        return np.zeros(1, np.int16)
    thresholds = np.array(THRESHOLDS if code is Distribution.GAUSSIAN else PAPER_THRESHOLDS, np.int64)
    negative = -np.searchsorted(thresholds, 65535 - np.arange(32768), side="right")  # -|z| by distance
    entries = negative[:KNEE] * 256
    shared = negative[KNEE:].reshape(-1, 16)
    steps = shared - shared[:, :1]
    if steps.min() < 0 or steps.max() > 1:
        raise AssertionError("two thresholds share an entry of the table: KNEE is too small")
    late = steps.sum(axis=1)  # how many of the 16 are one higher: the last ones
    return np.concatenate((entries, shared[:, 0] * 256 + np.where(late > 0, 240 + late, 0))).astype(np.int16)
