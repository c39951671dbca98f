"""Cases of sums, means, extremes, their places, and functions of a sum."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, integers, requantization
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def view(spec: KernelSpec, rng: Draws) -> Case:
    """Return values with their view [outer, reduced, inner]."""
    outer, reduced, inner = (int(n) for n in rng.choice([1, 2, 3, 8, 13], 3))
    values = integers(rng, (outer * reduced * inner,), spec.arguments[0].dtype)
    return {"input": values, "reduced": reduced, "inner": inner, "output_shape": (outer * inner,)}


def extreme_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of a greatest or least value, or of its place."""
    return view(spec, rng)


def sum_table_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return values and a table of every sum of theirs."""
    case = view(spec, rng)
    return {**case, "table": integers(rng, (255 * case["reduced"] + 1,), "int8")}


def sum_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of a sum or mean."""
    case, dtype = view(spec, rng), spec.arguments[0].dtype
    wide, info = dtype == "int16", np.iinfo(dtype)
    size = (2.0**15 if wide else 100.0) * (case["reduced"] if spec.name.startswith("sum") else 1)
    ends = [0, 4, -3, info.max, info.min]
    zeros = {key: int(rng.choice(ends)) for key in ("input_zero_point", "output_zero_point")}
    pair = requantization(rng, profile, 1, size, 2.0**14 if wide else 100.0)
    return {**case, **pair, **zeros, "rounding": int(profile.rounding)}
