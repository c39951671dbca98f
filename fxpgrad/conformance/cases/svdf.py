"""Cases of the singular value decomposition filter."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import (
    Case,
    clamp_bounds,
    integers,
    joined,
    requantization,
    zero_point,
    zero_points,
)
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def svdf_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return legal arguments; the sums over the memory may pass the ends of int32."""
    dtype = "int8" if spec.name.endswith("s8") else "int16"
    batch, depth, rank, units, steps = (int(n) for n in rng.integers(1, (4, 9, 4, 4, 7)))
    filters, wide = units * rank, dtype == "int16"
    feature = requantization(rng, profile, 1, 2.0**13, 2.0 ** (13 if wide else 6))
    time = requantization(rng, profile, 1, 2.0 ** (28 if wide else 12))
    reach = 2 ** (31 - int(rng.integers(0, 31)))
    return {
        "input": integers(rng, (batch, depth), "int8"),
        "feature_weights": integers(rng, (filters, depth), "int8"),
        "time_weights": integers(rng, (filters, steps), dtype),
        "bias": rng.integers(-reach, reach, units).astype(np.int32),
        **joined(feature, time),
        "state": integers(rng, (batch, filters * steps), dtype),
        "rank": rank,
        "state_zero_point": zero_point(rng) if not wide or rng.random() < 0.2 else 0,
        **zero_points(rng, "input", "output"),
        **clamp_bounds(rng),
        "rounding": int(profile.rounding),
        "output_shape": (batch, units),
    }
