"""The definition of the update, in Python integers: slow and obvious."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.random.random_ref import direction_ref, rounding_bits_ref
from fxpgrad_kernels.training.perturb_ref import LIMITS, round_half_away_ref


def rounded_step_ref(value: int, right: int, rule: int, bits: int) -> int:
    """Return value / 2**right rounded by rule 0 (nearest, ties away), 1 (stochastic) or 2 (floor).

    Rule 1 adds the 32 random bits as a fraction below the point to the magnitude, whose own
    fraction is cut to 32 bits, and drops the fraction.
    """
    if rule == 0:
        return round_half_away_ref(value, 1 << right)
    if rule == 2:
        return value >> right
    fixed = (abs(value) << 32) >> right
    # Bits of the uniform below the last bit of |value| can never carry.
    magnitude = (fixed + bits) // 2**32
    return magnitude if value >= 0 else -magnitude


def update_ref(
    weights: NDArray[Any],
    signs: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    table: NDArray[np.int16],
    seed: int,
    step: int,
    tensor: int,
    rounding_rule: int,
    distribution: int,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return (new weights, [moved, saturated])."""
    low, high = LIMITS[weights.dtype.name]
    per_channel = weights.size // multiplier.size
    updated = weights.copy()
    moved = saturated = 0
    for i, old in enumerate(int(weight) for weight in weights):
        channel = i // per_channel
        gradient = sum(
            int(sign) * direction_ref(seed, step, d, tensor, i, distribution) for d, sign in enumerate(signs)
        )
        bits = rounding_bits_ref(seed, step, tensor, i)
        value = gradient * int(multiplier[channel])
        wanted = old - rounded_step_ref(value, 31 - int(shift[channel]), rounding_rule, bits)
        new = max(low, min(high, wanted))
        updated[i] = new
        moved += new != old
        saturated += new != wanted
    return updated, np.array([moved, saturated], np.int64)
