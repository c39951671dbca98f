"""Cases of the dense layer."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.conv2d import legal_bias, weights_dtype, with_requantization
from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, integers, zero_point
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def sizes(rng: Draws) -> tuple[int, int, int]:
    """Return (batch, inputs, units): mostly tiny, now and then deep, or across panels and row tiles."""
    usual = int(rng.choice([1, 2, 5, 6, 7, 13])), int(rng.integers(1, 30)), int(rng.integers(1, 6))
    kind = rng.random()
    if kind < 0.03:
        depth = int(rng.choice([510, 511, 512, 1020, 1021, int(rng.integers(500, 1500))]))
        return int(rng.integers(1, 4)), depth, int(rng.integers(1, 4))
    if kind < 0.1:
        return int(rng.integers(1, 3)), int(rng.integers(1, 20)), int(rng.choice([15, 16, 17, 32, 33]))
    if kind < 0.3:  # one row: several panels side by side
        return 1, int(rng.integers(1, 20)), int(rng.choice([63, 64, 65, 80, 130]))
    return usual


def dense_case(rng: Draws, profile: Profile, dtype: str) -> Case:
    """Return legal arguments; 32-bit accumulators only where the bound proves them."""
    batch, depth, units = sizes(rng)
    weights = integers(rng, (units, depth), dtype)
    if depth > 500 and rng.random() < 0.5:  # all at the ends: far beyond int32 with 16-bit weights
        weights = np.full_like(weights, rng.choice([2**15 - 1, -(2**15)]) if dtype == "int16" else -128)
    case = {
        "input": integers(rng, (batch, depth), "int8"),
        "weights": weights,
        "bias": legal_bias(rng, weights, units),
        "input_zero_point": zero_point(rng),
        "output_shape": (batch, units),
    }
    return with_requantization(rng, profile, case)


def fully_connected_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a dense layer: any small one, or one of more rows than are multiplied or widened at a time."""
    case = dense_case(rng, profile, weights_dtype(spec))
    if rng.random() < 0.2:
        rows = int(rng.choice([24, 25, 47, 96, 97, 100]))
        case["input"] = integers(rng, (rows, case["input"].shape[1]), "int8")
        case["output_shape"] = (rows, *case["output_shape"][1:])
    return case
