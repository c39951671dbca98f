"""Cases of the 2-D convolution."""

from __future__ import annotations

from dataclasses import dataclass
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
    size = min(int(rng.choice([2**31 - 1, 1, 300, max(reach // 2, 1)], p=[0.1, 0.3, 0.3, 0.3])), 2**31 - 1)
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


@dataclass(frozen=True, slots=True)
class Sizes:
    """The lengths that say a convolution's shapes; channels and filters are those of one group."""

    batch: int
    image: tuple[int, int]
    output: tuple[int, int]
    kernel: tuple[int, int]
    channels: int
    filters: int
    groups: int


def small_sizes(rng: Draws, groups: int = 0) -> Sizes:
    """Return small sizes, odd channel counts, now and then more than 16 filters."""
    groups = groups or int(rng.choice([1, 1, 1, 2, 3]))
    channels, filters = int(rng.choice([1, 2, 3, 5])), int(rng.integers(1, 5))
    kh, kw = (int(n) for n in rng.choice([1, 1, 2, 3, 3], 2))
    oh, ow = (int(n) for n in rng.integers(1, 5, 2))
    batch, height, width = int(rng.integers(1, 3)), *(int(n) for n in rng.integers(1, 6, 2))
    if rng.random() < 0.1:
        filters, (oh, ow) = int(rng.choice([15, 16, 17, 33])), (2, 1)
    return Sizes(batch, (height, width), (oh, ow), (kh, kw), channels, filters, groups)


def large_sizes(rng: Draws) -> Sizes:
    """Return an image with more rows than a block of the product holds."""
    size = int(rng.integers(7, 13)), int(rng.integers(9, 13))
    channels, filters = int(rng.integers(1, 20)), int(rng.choice([1, 7, 16, 19, 33]))
    taps = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2, 3]))
    return Sizes(2, size, size, taps, channels, filters, 1)


def sized_case(rng: Draws, profile: Profile, dtype: str, sizes: Sizes, *, steps: bool) -> Case:
    """Return legal arguments of some sizes: any padding, strides and dilations, or with `steps` off all 1."""
    filters = sizes.groups * sizes.filters
    weights = integers(rng, (filters, *sizes.kernel, sizes.channels), dtype)
    geometry = {name: int(rng.choice([1, 1, 2, 3])) for name in STEPS}
    geometry |= {name: int(rng.choice([0, 1, 2, 5, 9])) for name in ("pad_top", "pad_left")}
    if not steps:
        geometry = dict.fromkeys(STEPS, 1)
        geometry |= {"pad_top": sizes.kernel[0] - 1, "pad_left": sizes.kernel[1] - 1}
    case = {
        "input": integers(rng, (sizes.batch, *sizes.image, sizes.groups * sizes.channels), "int8"),
        "weights": weights,
        "bias": legal_bias(rng, weights, filters),
        **geometry,
        "groups": sizes.groups,
        "input_zero_point": zero_point(rng),
        "output_size": sizes.output,
        "output_shape": (sizes.batch, *sizes.output, filters),
    }
    return with_requantization(rng, profile, case)


def small_conv2d_case(rng: Draws, profile: Profile, dtype: str, groups: int = 0) -> Case:
    """Return legal arguments of small sizes."""
    return sized_case(rng, profile, dtype, small_sizes(rng, groups), steps=True)


def conv2d_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a convolution: any small one, or one with more rows than a block of the product holds."""
    sizes, steps = small_sizes(rng), True
    if rng.random() < 0.3:
        sizes, steps = large_sizes(rng), False
    return sized_case(rng, profile, weights_dtype(spec), sizes, steps=steps)
