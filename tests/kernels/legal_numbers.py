"""Draws legal numbers for int8 kernels, with the nasty ones far more often than chance would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile, Rounding

ZERO_POINTS = (-128, -127, -1, 0, 1, 2, 127)

profiles = st.sampled_from(tuple(PROFILES.values()))
every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=tuple(PROFILES))
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def any_profile(rng: np.random.Generator) -> Profile:
    """Return one of the profiles."""
    return tuple(PROFILES.values())[rng.integers(len(PROFILES))]


def zero_point(rng: np.random.Generator) -> int:
    """Return a zero point: the extremes, odd and even small ones, or any."""
    return int(rng.choice(ZERO_POINTS) if rng.random() < 0.7 else rng.integers(-128, 128))


def clamp_bounds(rng: np.random.Generator) -> dict[str, int]:
    """Return clamp_low <= clamp_high; usually the whole range."""
    if rng.random() < 0.6:
        return {"clamp_low": -128, "clamp_high": 127}
    low, high = sorted(int(bound) for bound in rng.integers(-128, 128, 2))
    return {"clamp_low": low, "clamp_high": high}


def integers(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> NDArray[np.signedinteger]:
    """Return uniform, tiny, extreme or mixed values of the whole range of `dtype`."""
    info = np.iinfo(dtype)
    kind = rng.integers(4)
    if kind == 0:
        values = rng.integers(info.min, info.max + 1, shape)
    elif kind == 1:
        values = rng.integers(-2, 3, shape)
    elif kind == 2:
        values = rng.choice([info.min, info.max], shape)
    else:
        values = np.where(
            rng.random(shape) < 0.5, rng.integers(info.min, info.max + 1, shape), rng.integers(-1, 2)
        )
    return values.astype(dtype)


def requantization(
    rng: np.random.Generator, profile: Profile, channels: int, size: float, target: float = 100.0
) -> dict[str, NDArray[np.int32]]:
    """Return a legal multiplier and shift for each channel.

    Half of the pairs bring accumulators of about `size` to about `target`, so that outputs do not
    all saturate; the others take any legal shift. Powers of two make exact ties. Under FLOAT32_EVEN
    the multipliers are those of float32 scales: their low 7 bits are 0.
    """
    uniform = rng.integers(2**30, 2**31, channels)
    special = rng.choice([2**30, 2**30, 2**30 + 1, 2**31 - 1, 0x7FFF0000, 0x7FFEFFFF, 0], channels)
    multiplier = np.where(rng.random(channels) < 0.5, uniform, special)
    if profile.rounding == Rounding.FLOAT32_EVEN:
        multiplier &= ~0x7F
    sensible = np.round(np.log2(target / max(size, 1.0))) + rng.integers(-2, 4, channels)
    anything = rng.integers(profile.shift_low, profile.shift_high + 1, channels)
    edges = rng.choice([profile.shift_low, 0, -1, profile.shift_high], channels)
    kind = rng.random(channels)
    shift = np.where(kind < 0.7, sensible, np.where(kind < 0.9, anything, edges))
    shift = np.clip(shift, profile.shift_low, profile.shift_high)
    return {"multiplier": multiplier.astype(np.int32), "shift": shift.astype(np.int32)}
