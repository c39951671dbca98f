"""The definitions of the parts of a direction, in Python integers: slow and obvious."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.random.random_ref import direction_ref, stream_bits_ref
from fxpgrad_kernels.training.perturb_ref import round_half_away_ref

WEIGHT_ONE = 2**12  # the weight 1 of a direction within a guided one


def fill_direction_ref(
    table: NDArray[np.int16],
    seed: int,
    step: int,
    direction: int,
    tensor: int,
    first_index: int,
    distribution: int,
    *,
    output_size: int = 1,
) -> NDArray[np.int8]:
    """Return z at the indices from `first_index` on; the table is not used."""
    indices = range(first_index, first_index + output_size)
    return np.array([direction_ref(seed, step, direction, tensor, i, distribution) for i in indices], np.int8)


def guide_direction_ref(
    z: NDArray[np.int8],
    weights: NDArray[np.int32],
    table: NDArray[np.int16],
    seed: int,
    step: int,
    tensor: int,
    first_index: int,
    own: int,
    distribution: int,
) -> NDArray[np.int8]:
    """Return the guided direction: the rows of `weights` are the steps before, the newest first."""
    guided = []
    for i, value in enumerate(int(v) for v in z):
        total = own * value
        for k, row in enumerate(weights.tolist()):
            for direction, weight in enumerate(row):
                if step - 1 - k >= 0:
                    stream = (seed, step - 1 - k, direction, tensor, first_index + i)
                    total += weight * direction_ref(*stream, distribution)
        guided.append(max(-127, min(127, round_half_away_ref(total, WEIGHT_ONE))))
    return np.array(guided, np.int8)


def thin_direction_ref(
    z: NDArray[np.int8], density: int, seed: int, step: int, direction: int, tensor: int, first_index: int
) -> NDArray[np.int8]:
    """Return z with all but a share density / 2**16 of it set to zero, by the 16-bit words of purpose 2."""
    thinned = z.copy()
    for i in range(z.size):
        index = first_index + i
        bits = stream_bits_ref(index // 8, 2, seed, step, direction, tensor)
        if not (bits >> (16 * (index % 8)) & 0xFFFF) < density:
            thinned[i] = 0
    return thinned


def mask_direction_ref(
    z: NDArray[np.int8], weights: NDArray[Any], low: NDArray[np.int32], high: NDArray[np.int32]
) -> NDArray[np.int8]:
    """Return z with zeros where a weight's magnitude lies outside its channel's bounds."""
    size = np.abs(weights.astype(np.int64)).reshape(low.size, -1)
    inside = (size >= low[:, None]) & (size <= high[:, None])
    return np.where(inside.reshape(-1), z, 0).astype(np.int8)


def add_direction_ref(
    z: NDArray[np.int8], scalars: NDArray[np.int32], before: NDArray[np.int64], index: int
) -> NDArray[np.int64]:
    """Return scalars[index] * z, added to `before` unless it is the first."""
    return (before if index else np.zeros_like(before)) + int(scalars[index]) * z.astype(np.int64)
