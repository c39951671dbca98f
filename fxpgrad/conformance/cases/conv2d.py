"""Cases of the 2-D convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, clamp_bounds, integers, requantization, zero_point
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec

STEPS = ("stride_h", "stride_w", "dilation_h", "dilation_w")


def weights_dtype(spec: KernelSpec) -> str:
    """Return the type of the kernel's weights."""
    return next(a.dtype for a in spec.arguments if a.name == "weights")


def accumulator_bounds(case: Case) -> NDArray[np.int64]:
    """State the contract's bound again: 128 * sum|w| + |bias - zero point * sum w|, per filter."""
    w = case["weights"].astype(np.int64).reshape(len(case["weights"]), -1)
    folded = case["bias"].astype(np.int64) - case["input_zero_point"] * w.sum(axis=1)
    bounds: NDArray[np.int64] = 128 * abs(w).sum(axis=1) + abs(folded)
    return bounds


def legal_bias(rng: Draws, weights: NDArray[Any], length: int) -> NDArray[np.int32]:
    """Return small biases, biases of the size of the products, or the ends of int32."""
    reach = int(128 * abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1).max())
    size = min(int(rng.choice([1, 300, max(reach // 2, 1), 2**31 - 1], p=[0.3, 0.3, 0.3, 0.1])), 2**31 - 1)
    bias = rng.integers(-size, size + 1, length)
    if rng.random() < 0.05:
        bias = rng.choice([-(2**31), 2**31 - 1], length)
    result: NDArray[np.int32] = bias.astype(np.int32)
    return result


def with_requantization(rng: Draws, profile: Profile, case: Case) -> Case:
    """Add bits, pairs, zero point and clamps; 32 bits only where the bound proves them."""
    bounds = accumulator_bounds(case)
    pairs = requantization(rng, profile, len(bounds), float(bounds.max()) / 4)
    if rng.random() < 0.3:  # one pair for the whole tensor
        pairs = {name: np.full_like(values, values[0]) for name, values in pairs.items()}
    safe = bool(bounds.max() < 2**31)
    return {
        **case,
        **pairs,
        **clamp_bounds(rng),
        "output_zero_point": zero_point(rng),
        "rounding": int(profile.rounding),
        "accumulator_bits": 64 if not safe or rng.random() < 0.3 else 32,
    }


def small_conv2d_case(rng: Draws, profile: Profile, dtype: str, groups: int = 0) -> Case:
    """Return legal arguments: any padding, groups, odd channel counts, now and then more than 16 filters."""
    groups = groups or int(rng.choice([1, 1, 1, 2, 3]))
    group_channels, group_filters = int(rng.choice([1, 2, 3, 5])), int(rng.integers(1, 5))
    kernel = rng.choice([1, 1, 2, 3, 3], 2)
    output_size = tuple(int(n) for n in rng.integers(1, 5, 2))
    if rng.random() < 0.1:
        group_filters, output_size = int(rng.choice([15, 16, 17, 33])), (2, 1)
    batch, height, width = int(rng.integers(1, 3)), *(int(n) for n in rng.integers(1, 6, 2))
    weights = integers(rng, (groups * group_filters, *kernel, group_channels), dtype)
    case = {
        "input": integers(rng, (batch, height, width, groups * group_channels), "int8"),
        "weights": weights,
        "bias": legal_bias(rng, weights, groups * group_filters),
        **{name: int(rng.choice([1, 1, 2, 3])) for name in STEPS},
        "pad_top": int(rng.choice([0, 1, 2, 5, 9])),
        "pad_left": int(rng.choice([0, 1, 2, 5, 9])),
        "groups": groups,
        "input_zero_point": zero_point(rng),
        "output_size": output_size,
        "output_shape": (batch, *output_size, groups * group_filters),
    }
    return with_requantization(rng, profile, case)


def large_conv2d_case(rng: Draws, profile: Profile, dtype: str) -> Case:
    """Return an image with more rows than a block of the product holds."""
    height, width = int(rng.integers(7, 13)), int(rng.integers(9, 13))
    channels, filters = int(rng.integers(1, 20)), int(rng.choice([1, 7, 16, 19, 33]))
    taps = (int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2, 3])))
    weights = integers(rng, (filters, *taps, channels), dtype)
    case = {
        "input": integers(rng, (2, height, width, channels), "int8"),
        "weights": weights,
        "bias": legal_bias(rng, weights, filters),
        **dict.fromkeys(STEPS, 1),
        **{"pad_top": taps[0] - 1, "pad_left": taps[1] - 1, "groups": 1},
        "input_zero_point": zero_point(rng),
        **{"output_size": (height, width), "output_shape": (2, height, width, filters)},
    }
    return with_requantization(rng, profile, case)


def conv2d_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a convolution: any small one, or one with more rows than a block of the product holds."""
    if rng.random() < 0.3:
        return large_conv2d_case(rng, profile, weights_dtype(spec))
    return small_conv2d_case(rng, profile, weights_dtype(spec))
