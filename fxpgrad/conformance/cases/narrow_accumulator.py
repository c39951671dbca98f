"""Cases of layers whose sums are kept in 8 to 32 bits."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, clamp_bounds, integers, requantization, zero_points
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def narrow_case(name: str, rng: Draws, profile: Profile) -> Case:
    """Return legal arguments; sums and biases of about the size of the accumulator, or far beyond it."""
    dtype = "int16" if name.endswith("w16") else "int8"
    batch, height, width, channels = (int(n) for n in rng.integers(1, (3, 5, 5, 5)))
    kh, kw, factor = (int(n) for n in rng.integers(1, 4, 3))
    size = tuple(int(n) for n in rng.integers(1, 4, 2))
    bits = int(rng.choice([8, 31, 32, int(rng.integers(8, 33)), int(rng.integers(12, 24))]))
    if name.startswith("fully_connected"):
        outputs, depth = factor, int(rng.integers(1, 40))
        case: Case = {"input": integers(rng, (batch, depth), "int8"), "output_shape": (batch, factor)}
        shape: tuple[int, ...] = (factor, depth)
    else:
        groups = 1 if name.startswith("depthwise") else int(rng.choice([1, 1, 2, 3]))
        outputs = factor * (channels if name.startswith("depthwise") else groups)
        shape = (1, kh, kw, outputs) if name.startswith("depthwise") else (outputs, kh, kw, channels)
        steps = ("stride_h", "stride_w", "dilation_h", "dilation_w")
        case = {
            "input": integers(rng, (batch, height, width, channels * groups), "int8"),
            **{key: int(rng.choice([1, 1, 2])) for key in steps},
            **{key: int(rng.choice([0, 1, 2])) for key in ("pad_top", "pad_left")},
            **({} if name.startswith("depthwise") else {"groups": groups}),
            "output_size": size,
            "output_shape": (batch, *size, outputs),
        }
    weights = integers(rng, shape, dtype)
    if rng.random() < 0.5:  # sums of about the accumulator's size
        weights = (weights >> int(np.clip(26 - bits, 0, 13 if dtype == "int16" else 5))).astype(dtype)
    reach = 2 ** int(rng.choice([31, bits - 2, 1]))
    return {
        **case,
        "weights": weights,
        "bias": rng.integers(-reach, reach, outputs).astype(np.int32),
        **requantization(rng, profile, outputs, 2.0 ** (bits - 1)),
        **zero_points(rng, "input", "output"),
        **clamp_bounds(rng),
        **{"rounding": int(profile.rounding), "accumulator_bits": bits, "saturate": int(rng.integers(2))},
    }


def narrow_accumulator_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of one of the layers."""
    return narrow_case(spec.name, rng, profile)
