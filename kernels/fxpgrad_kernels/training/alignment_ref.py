"""The definition of the alignment of channels, in Python integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.training.gain_ref import ONE

LEAST_GAIN, GREATEST_GAIN = ONE // 4, ONE + ONE * 9 // 10
LEAST_DEVIATION = 128  # in 1/256 steps: a channel that varies by less says nothing about its scale
LEAST_ACTIVE = 26  # in 1/256: a tenth


def channel_moments_ref(values: NDArray[np.int8], zero_point: int, clamp_low: int) -> NDArray[np.int64]:
    """Return [sum of q - zero_point, sum of its square, how many q > clamp_low] by channel."""
    wide = values.astype(np.int64)
    centred = wide - zero_point
    return np.stack([centred.sum(axis=0), (centred**2).sum(axis=0), (wide > clamp_low).sum(axis=0)])


def _mean_and_deviation(moments: NDArray[np.int64], c: int, count: int) -> tuple[int, int]:
    """Return both in 1/256 steps."""
    mean = int(moments[0, c]) * 256 // count
    return mean, _whole_root(max(int(moments[1, c]) * 65536 // count - mean * mean, 0))


def _whole_root(value: int) -> int:
    """Return the whole square root, by Newton's method from above."""
    root = value
    while root * root > value:
        root = (root + value // root) // 2
    return root


def align_channels_ref(
    moments: NDArray[np.int64],
    target: NDArray[np.int64],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    count: int,
    target_count: int,
    *,
    gains: int = 0,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return (gains [1 or C], new biases [C]); gains: how many, by default one a channel."""
    gain = np.full(gains or bias.size, ONE, np.int32)
    new_bias = bias.copy()
    for c in range(bias.size):
        factor, left = int(multiplier[c]), int(shift[c])
        if factor // 2 ** max(1 - left, 0) < 255 or left > 29:
            continue
        (m0, s0), (m1, s1) = (
            _mean_and_deviation(target, c, target_count),
            _mean_and_deviation(moments, c, count),
        )
        g = ONE
        if gain.size > 1 and s0 >= LEAST_DEVIATION and s1 >= LEAST_DEVIATION:
            g = min(max(s0 * 2**30 // s1, LEAST_GAIN), GREATEST_GAIN)
            gain[c] = g
        active = max(int(moments[2, c]) * 256 // count, LEAST_ACTIVE)
        off = (m0 - (m1 * g >> 30)) * 256 // active
        moved = (off * 2**31 // factor) * 2**30 // g * 2**8
        right = left + 16
        moved = moved >> right if right >= 0 else moved << -right
        new_bias[c] = min(max(int(bias[c]) + moved, -(2**31) + 1), 2**31 - 1)
    return gain, new_bias
