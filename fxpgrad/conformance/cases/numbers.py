"""Draws legal numbers for int8 kernels, with the nasty ones far more often than chance would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile, Rounding

Case = dict[str, Any]
ZERO_POINTS = (0, 1, -1, 2, -127, 127, -128)


def any_profile(rng: Draws) -> Profile:
    """Return one of the profiles."""
    profiles = tuple(PROFILES.values())
    return profiles[int(rng.integers(len(profiles)))]


def zero_point(rng: Draws) -> int:
    """Return a zero point: the extremes, odd and even small ones, or any."""
    usual = rng.choice(ZERO_POINTS)
    return int(rng.integers(-128, 128) if rng.random() < 0.3 else usual)


def zero_points(rng: Draws, *names: str) -> dict[str, int]:
    """Return a zero point for each of the tensors."""
    return {f"{name}_zero_point": zero_point(rng) for name in names}


def clamp_bounds(rng: Draws, bits: int = 8) -> dict[str, int]:
    """Return clamp_low <= clamp_high; usually the whole range."""
    reach = 2 ** (bits - 1)
    low, high = -reach, reach - 1
    if rng.random() < 0.4:
        low, high = sorted(int(bound) for bound in rng.integers(-reach, reach, 2))
    return {"clamp_low": low, "clamp_high": high}


def integers(rng: Draws, shape: Sequence[int], dtype: str) -> NDArray[Any]:
    """Return uniform, tiny, extreme or mixed values of the whole range of `dtype`."""
    info = np.iinfo(dtype)
    kind = rng.integers(4)
    if kind == 1:
        values = rng.integers(-2, 3, shape)
    elif kind == 2:
        values = rng.choice([info.max, info.min], shape)
    else:
        values = rng.integers(info.min, info.max + 1, shape)
        if kind == 3:
            values = np.where(rng.random(shape) < 0.5, rng.integers(-1, 2), values)
    result: NDArray[Any] = values.astype(dtype)
    return result


def requantization(
    rng: Draws, profile: Profile, channels: int, size: float, target: float = 100.0
) -> dict[str, NDArray[np.int32]]:
    """Return a legal multiplier and shift for each channel.

    Most of the pairs bring accumulators of about `size` to about `target`, so that outputs do not
    all saturate; the others take any legal shift. Powers of two make exact ties. Under FLOAT32_EVEN
    the multipliers are those of float32 scales: their low 7 bits are 0.
    """
    low, high = profile.shift_low, profile.shift_high
    if rng.random() < 0.8:
        middle = min(max(round(math.log2(target / max(size, 1.0))), low + 2), high - 3)
        low, high = middle - 2, middle + 3
    multiplier, shift = rng.integers(2**30, 2**31, channels), rng.integers(low, high + 1, channels)
    if rng.random() < 0.7:
        special = rng.choice([2**30, 2**30, 2**30 + 1, 2**31 - 1, 0x7FFF0000, 0x7FFEFFFF, 0], channels)
        multiplier = np.where(rng.random(channels) < 0.7, special, multiplier)
    if rng.random() < 0.3:
        edges = rng.choice([0, -1, profile.shift_low, profile.shift_high], channels)
        shift = np.where(rng.random(channels) < 0.4, edges, shift)
    if profile.rounding == Rounding.FLOAT32_EVEN:
        multiplier &= ~0x7F
    return {"multiplier": multiplier.astype(np.int32), "shift": shift.astype(np.int32)}


def joined(*pairs: dict[str, NDArray[np.int32]]) -> dict[str, NDArray[np.int32]]:
    """Return multipliers and shifts of several steps, one behind the other."""
    return {key: np.concatenate([pair[key] for pair in pairs]) for key in pairs[0]}
