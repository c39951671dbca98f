"""Scalars by magnitude: what multiplies each direction of a step, from the differences of its losses.

See `contract.md`, and `scalars_ref.py` for the definition.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter
from fxpgrad_kernels.training.scalars_ref import SETTLING, scale_differences_ref

_SETTLING = np.int64(SETTLING)


@kernel
def scale_differences(differences, typical, scalars, places):
    """Write differences in units of a power of two near their usual size, 2**places units each, clipped.

    typical: the running mean of their magnitudes, 0 before the first step; rewritten.
    """
    total = np.int64(0)
    for i in range(differences.size):
        total += abs(differences[i])
    mean = np.int64(total // np.int64(differences.size))
    size = typical[0]
    size = mean if size == np.int64(0) else size + ((mean - size) >> _SETTLING)
    typical[0] = size
    exponent = np.int64(0)
    while size >> exponent > np.int64(0):
        exponent += np.int64(1)
    limit = np.int64(4) << places
    half = (np.int64(1) << exponent) >> np.int64(1)
    for i in range(differences.size):
        d = differences[i]
        scaled = min(((abs(d) << places) + half) >> exponent, limit)
        scalars[i] = np.int32(-scaled if d < np.int64(0) else scaled)


SPECS = (
    KernelSpec(
        "scale_differences",
        "training",
        scale_differences,
        scale_differences_ref,
        (
            array("differences", "input", "int64", "M", -(2**48), 2**48),
            array("typical", "state", "int64", "1", 0, 2**48),
            array("scalars", "output", "int32", "M", -(2**12), 2**12),
            parameter("places", 0, 10),
        ),
    ),
)
