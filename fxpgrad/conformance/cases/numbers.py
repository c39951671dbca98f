"""Draws legal numbers for int8 kernels, with the nasty ones far more often than chance would."""

from __future__ import annotations

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
    return int(rng.integers(-128, 128) if rng.random() < 0.3 else rng.choice(ZERO_POINTS))


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
    uniform = rng.integers(2**30, 2**31, channels)
    special = rng.choice([2**30, 2**30, 2**30 + 1, 2**31 - 1, 0x7FFF0000, 0x7FFEFFFF, 0], channels)
    multiplier = np.where(rng.random(channels) < 0.5, special, uniform)
    if profile.rounding == Rounding.FLOAT32_EVEN:
        multiplier &= ~0x7F
    sensible = np.round(np.log2(target / max(size, 1.0))) + rng.integers(-2, 4, channels)
    anything = rng.integers(profile.shift_low, profile.shift_high + 1, channels)
    edges = rng.choice([0, -1, profile.shift_low, profile.shift_high], channels)
    kind = rng.random(channels)
    shift = np.where(kind < 0.1, edges, np.where(kind < 0.3, anything, sensible))
    shift = np.clip(shift, profile.shift_low, profile.shift_high)
    return {"multiplier": multiplier.astype(np.int32), "shift": shift.astype(np.int32)}


def joined(*pairs: dict[str, NDArray[np.int32]]) -> dict[str, NDArray[np.int32]]:
    """Return multipliers and shifts of several steps, one behind the other."""
    return {key: np.concatenate([pair[key] for pair in pairs]) for key in pairs[0]}
