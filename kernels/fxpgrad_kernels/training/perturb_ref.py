"""The definition of the perturbation, in Python integers: slow and obvious."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.random.random_ref import direction_ref

LIMITS: dict[str, tuple[int, int]] = {
    "int8": (-127, 127),
    "int16": (-32767, 32767),
    "int32": (-(2**31), 2**31 - 1),
}


def round_half_away_ref(numerator: int, denominator: int) -> int:
    """Return numerator / denominator rounded to the nearest integer, ties away from zero."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


def perturbed_ref(weight: int, epsilon: int, z: int, sign: int, form: int) -> int:
    """Return the perturbed weight before saturation.

    Form 0: the delta is drawn once and added or subtracted. Form 1: w_q * one_q +- eps_q * z_q,
    then floor(a * 28898 / 2**20), where 28898 / 2**20 stands for dz = 3.5 / 127.
    """
    if form == 0:
        return weight + sign * round_half_away_ref(epsilon * z, 32)
    return (weight * 36 + sign * epsilon * z) * 28898 // 2**20


def perturb_with_count_ref(
    weights: NDArray[Any],
    epsilon: NDArray[np.int32],
    seed: int,
    step: int,
    direction: int,
    tensor: int,
    sign: int,
    form: int,
    distribution: int,
    first_index: int = 0,
) -> tuple[NDArray[Any], int]:
    """Return the saturated perturbed weights, the tensor's from `first_index` on, and how many saturated."""
    low, high = LIMITS[weights.dtype.name]
    per_channel = weights.size // epsilon.size
    values = [
        perturbed_ref(
            int(weight),
            int(epsilon[i // per_channel]),
            direction_ref(seed, step, direction, tensor, first_index + i, distribution),
            sign,
            form,
        )
        for i, weight in enumerate(weights)
    ]
    output = np.array([max(low, min(high, value)) for value in values], weights.dtype)
    return output, sum(not low <= value <= high for value in values)


def perturb_ref(
    weights: NDArray[Any],
    epsilon: NDArray[np.int32],
    table: NDArray[np.int16],
    seed: int,
    step: int,
    direction: int,
    tensor: int,
    sign: int,
    form: int,
    distribution: int,
    first_index: int = 0,
) -> NDArray[Any]:
    """Return the saturated perturbed weights; their dtype sets the limits. The table is not used."""
    stream = (seed, step, direction, tensor)
    return perturb_with_count_ref(weights, epsilon, *stream, sign, form, distribution, first_index)[0]


def perturb_pair_ref(
    weights: NDArray[Any],
    epsilon: NDArray[np.int32],
    table: NDArray[np.int16],
    seed: int,
    step: int,
    direction: int,
    tensor: int,
    form: int,
    distribution: int,
    first_index: int = 0,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what `perturb_ref` returns for the signs +1 and -1."""
    name = (seed, step, direction, tensor)
    plus = perturb_ref(weights, epsilon, table, *name, 1, form, distribution, first_index)
    return plus, perturb_ref(weights, epsilon, table, *name, -1, form, distribution, first_index)


def perturb_along_ref(
    weights: NDArray[Any], epsilon: NDArray[np.int32], z: NDArray[np.int8], sign: int
) -> NDArray[Any]:
    """Return the saturated weights perturbed along z, in the exact form."""
    low, high = LIMITS[weights.dtype.name]
    return np.clip(_moved(weights.astype(np.int64), epsilon, z, sign), low, high).astype(weights.dtype)


def perturb_split_ref(
    weights: NDArray[np.int16], epsilon: NDArray[np.int32], z: NDArray[np.int8], sign: int
) -> NDArray[np.int8]:
    """Return the upper bytes of int16 weights, rounded to the nearest, perturbed along z and saturated."""
    upper = np.clip((weights.astype(np.int64) + 128) // 256, -127, 127)
    return np.clip(_moved(upper, epsilon, z, sign), -127, 127).astype(np.int8)


def _moved(
    values: NDArray[np.int64], epsilon: NDArray[np.int32], z: NDArray[np.int8], sign: int
) -> NDArray[np.int64]:
    sizes = np.repeat(epsilon, values.size // epsilon.size)
    deltas = [round_half_away_ref(int(e) * int(v), 32) for e, v in zip(sizes, z, strict=True)]
    return values + sign * np.array(deltas, np.int64)
