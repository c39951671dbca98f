"""Cases of the transposed convolution of int8 activations."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.conv2d import weights_dtype
from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, clamp_bounds, integers, requantization, zero_points
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def transpose_case(rng: Draws, profile: Profile, dtype: str) -> Case:
    """Return legal arguments: any stride and cut, and outputs that nothing reaches."""
    batch, height, width = (int(n) for n in rng.integers(1, (3, 5, 5)))
    channels = int(rng.choice([1, 2, 5, 300], p=[0.3, 0.4, 0.28, 0.02]))
    outputs, kh, kw = (int(n) for n in rng.integers(1, 5, 3))
    size = tuple(int(n) for n in rng.integers(1, 9, 2))
    return {
        "input": integers(rng, (batch, height, width, channels), "int8"),
        "weights": integers(rng, (outputs, kh, kw, channels), dtype),
        "bias": rng.integers(-(2 ** (30 - int(rng.integers(0, 30)))), 2**20, outputs).astype(np.int32),
        **requantization(rng, profile, outputs, 2.0 ** (12 if dtype == "int8" else 20)),
        **{key: int(rng.choice([1, 2, 3, 5])) for key in ("stride_h", "stride_w")},
        **{key: int(rng.choice([0, 1, 2, 6])) for key in ("pad_top", "pad_left")},
        **zero_points(rng, "input", "output"),
        **clamp_bounds(rng),
        "rounding": int(profile.rounding),
        "output_size": size,
        "output_shape": (batch, *size, outputs),
    }


def transpose_conv2d_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a transposed convolution."""
    return transpose_case(rng, profile, weights_dtype(spec))
