"""Cases of requantization and rounding shifts."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, integers, requantization
from fxpgrad_kernels.arithmetic.profiles import Profile, Rounding
from fxpgrad_kernels.spec import KernelSpec


def requantize_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return accumulators of every size, each with a pair."""
    n = int(rng.integers(1, 40))
    values = integers(rng, (n,), "int32").astype(spec.arguments[0].dtype)
    case = {"accumulator": values, **requantization(rng, profile, n, 2.0**31, 2.0**20)}
    if profile.rounding == Rounding.WIDE_16:
        case["shift"] = np.minimum(case["shift"], np.int32(7))
    return {**case, "rounding": int(profile.rounding), "output_shape": (n,)}


def rounding_shift_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return values of the size of int32 and shifts beyond their width."""
    n = int(rng.integers(1, 40))
    values, amount = integers(rng, (n,), "int32").astype(np.int64), rng.integers(0, 40, n)
    return {
        **{"value": values, "amount": amount.astype(np.int32), "mode": int(rng.integers(4))},
        "output_shape": (n,),
    }
