"""Cases of the depthwise convolution."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.conv2d import weights_dtype
from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, clamp_bounds, integers, requantization, zero_points
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def _sizes(rng: Draws, vectors: bool) -> tuple[tuple[int, ...], int, tuple[int, ...], tuple[int, ...]]:
    """Return the image's shape without its batch, the outputs, the taps and the output's size."""
    image = [int(n) for n in rng.integers(1, (6, 6, 5))]
    multiplicity, taps = int(rng.choice([1, 1, 1, 2, 3])), rng.choice([1, 2, 3, 3, 4], 2)
    size = tuple(int(n) for n in rng.integers(1, (4, 6)))
    if rng.random() < 0.1:
        image[2] = int(rng.choice([17, 50]))
    if vectors:
        image = [int(n) for n in rng.integers(1, (8, 20))]
        image.append(int(rng.choice([3, 6, 8, 12, 15, 16, 24, 31, 32, 40, 48, 64])))
        multiplicity, taps = int(rng.choice([1, 1, 1, 1, 2])), rng.choice([1, 3, 3, 3, 5, 7], 2)
        size = tuple(int(n) for n in rng.integers(1, (6, 16)))
    outputs = image[2] * multiplicity
    return tuple(image), outputs, tuple(int(n) for n in taps), size


def depthwise_case(rng: Draws, profile: Profile, dtype: str, *, vectors: bool = False) -> Case:
    """Return legal arguments: padding up to twice the kernel, any output size, any multiplicity.

    With `vectors`, sizes at which vectors, tiles of pixels and blocks of taps are whole, or just not.
    """
    image, outputs, taps, output_size = _sizes(rng, vectors)
    batch = int(rng.integers(1, 3))
    geometry = {
        **{key: int(rng.integers(1, 4)) for key in ("stride_h", "stride_w")},
        **{key: int(rng.integers(0, 5)) for key in ("pad_top", "pad_left")},
        **{key: int(rng.choice([1, 1, 2, 3])) for key in ("dilation_h", "dilation_w")},
    }
    weights = integers(rng, (1, *taps, outputs), dtype)
    accumulator_bits = 64 if rng.random() < 0.3 or profile.accumulator_bits == 64 else 32
    # What the products may add; an int32 sum is legal only if it fits with the bias.
    reach = 255 * int(np.abs(weights.astype(np.int64)).max()) * taps[0] * taps[1]
    room = 2**31 - 1 - (reach if accumulator_bits == 32 else 0)
    scale = int(rng.choice([room, 1, 300, max(reach // 2, 1)]))
    bias = rng.integers(-scale, scale + 1, outputs)
    if rng.random() < 0.2:
        bias = rng.choice([-room, room], outputs)
    return {
        "input": integers(rng, (batch, *image), "int8"),
        "weights": weights,
        "bias": bias.astype(np.int32),
        **requantization(rng, profile, outputs, float(max(np.abs(bias).max(), reach // 4))),
        **geometry,
        **zero_points(rng, "input", "output"),
        **clamp_bounds(rng),
        "rounding": int(profile.rounding),
        "accumulator_bits": accumulator_bits,
        "output_size": output_size,
        "output_shape": (batch, *output_size, outputs),
    }


def depthwise_conv2d_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a depthwise convolution, often at the ends of vectors."""
    vectors = bool(rng.random() < 0.6)
    return depthwise_case(rng, profile, weights_dtype(spec), vectors=vectors)
