"""Cases of functions of one activation: clamps, rescalings, hard swish, changes of quantization."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.elementwise import width
from fxpgrad.conformance.cases.numbers import Case, clamp_bounds, integers, requantization, zero_points
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec

ALL_VALUES = np.arange(-128, 128).astype(np.int8)


def clamp_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return values and bounds."""
    n = int(rng.integers(1, 60))
    values = integers(rng, (n,), spec.arguments[0].dtype)
    return {"input": values, **clamp_bounds(rng, width(spec)), "output_shape": (n,)}


def rescaling_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of leaky relu (a pair for each side of 0) or of the absolute value."""
    bits, n = width(spec), int(rng.integers(1, 60))
    points = zero_points(rng, "input", "output")
    if spec.name == "abs_a16":
        points = dict.fromkeys(points, 0)
    pairs = 2 if spec.name.startswith("leaky_relu") else 1
    return {
        "input": integers(rng, (n,), f"int{bits}"),
        **requantization(rng, profile, pairs, 2.0 ** (bits - 1), 2.0 ** (bits - 1)),
        **points,
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }


def hard_swish_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return every value with any legal multipliers."""
    return {
        "input": ALL_VALUES,
        **zero_points(rng, "input", "output"),
        "output_multiplier": int(rng.choice([2**14, rng.integers(2**14, 2**15), 2**15 - 1, 0])),
        "output_exponent": -int(rng.choice([0, 6, 7, 8, 15, rng.integers(0, 16)])),
        "gate_multiplier": int(rng.choice([2**14, rng.integers(2**14, 2**15), 2**15 - 1, 0])),
        "gate_exponent": int(rng.choice([0, 1, 2, 3, 30, -15, rng.integers(-15, 12)])),
        "output_shape": ALL_VALUES.shape,
    }


def quantize_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of any two widths; int32 values of every magnitude."""
    source, target = spec.arguments[0], spec.arguments[3]
    n = int(rng.integers(1, 60))
    x = integers(rng, (n,), source.dtype)
    if source.dtype == "int32" and rng.random() < 0.8:
        x >>= rng.integers(0, 31, n).astype(np.int32)
    size, wanted = float(np.abs(x.astype(np.int64)).max()) + 1, np.iinfo(target.dtype).max
    points = {
        f"{name}_zero_point": int(rng.choice([0, 0, 3, -5, limit.low, limit.high]))
        for name, limit in (("input", source), ("output", target))
    }
    return {
        "input": x,
        **requantization(rng, profile, 1, size, float(wanted)),
        **points,
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }
