"""The definition of the exact gradient of a linear layer and of a step along it, in Python integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.random.random_ref import rounding_bits_ref
from fxpgrad_kernels.training.perturb_ref import LIMITS, round_half_away_ref
from fxpgrad_kernels.training.update_ref import rounded_step_ref


def add_outer_products_ref(
    features: NDArray[np.int8],
    residuals: NDArray[np.int32],
    before: NDArray[np.int64],
    before_bias: NDArray[np.int64],
    input_zero_point: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (gradient [N, D], bias gradient [N]) with what these rows add to those before."""
    centred = features.astype(np.int64) - input_zero_point
    wide = residuals.astype(np.int64)
    return before + wide.T @ centred, before_bias + wide.sum(axis=0)


def descend_ref(
    weights: NDArray[Any],
    gradient: NDArray[np.int64],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    decay: NDArray[np.int32],
    seed: int,
    step: int,
    tensor: int,
    rounding_rule: int,
    coarse: int,
    first_index: int = 0,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return (new weights, [moved, saturated]) of one step against a gradient."""
    low, high = LIMITS[weights.dtype.name]
    per_channel = weights.size // multiplier.size
    updated = weights.copy()
    moved = saturated = 0
    for i, old in enumerate(int(weight) for weight in weights):
        channel = i // per_channel
        value = round_half_away_ref(int(gradient[i]), 1 << coarse) * int(multiplier[channel])
        value += old * int(decay[channel])
        bits = rounding_bits_ref(seed, step, tensor, first_index + i)
        wanted = old - rounded_step_ref(value, 31 - int(shift[channel]), rounding_rule, bits)
        new = max(low, min(high, wanted))
        updated[i] = new
        moved += new != old
        saturated += new != wanted
    return updated, np.array([moved, saturated], np.int64)
