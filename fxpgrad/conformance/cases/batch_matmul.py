"""Cases of the product of two matrices of activations."""

from __future__ import annotations

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, clamp_bounds, integers, requantization, zero_points
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def batch_matmul_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return two matrices for each of some batch elements, stored either way."""
    dtype = spec.arguments[0].dtype
    batch, rows, columns = (int(n) for n in rng.integers(1, (4, 6, 6)))
    depth = int(rng.choice([1, 2, 7, 30, 2000], p=[0.2, 0.3, 0.3, 0.17, 0.03]))
    case: Case = {
        "input_a": integers(rng, (batch * rows * depth,), dtype),
        "input_b": integers(rng, (batch * depth * columns,), dtype),
        **requantization(rng, profile, 1, 2.0 ** (14 if dtype == "int8" else 30), 100.0),
        **{"rows": rows, "depth": depth, "columns": columns, "rounding": int(profile.rounding)},
        **{"adjoint_a": int(rng.integers(2)), "adjoint_b": int(rng.integers(2))},
        "output_shape": (batch * rows * columns,),
    }
    if dtype == "int16":
        low, high = clamp_bounds(rng, 16).values()
        return {**case, "clamp_low": min(low, -500), "clamp_high": max(high, 500)}
    return {**case, **zero_points(rng, "input_a", "input_b", "output"), **clamp_bounds(rng)}
