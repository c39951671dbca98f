"""gemmlowp's 32-bit fixed-point arithmetic, for softmax and its like: see `contract.md`.

A number with n integer bits stands for raw / 2**(31 - n). Values travel as int64 and lie in int32.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.rounding_shift import shift_right_nearest_away
from fxpgrad_kernels.arithmetic.saturate import saturate_int32
from fxpgrad_kernels.jit import device

__all__ = ["half_sum", "leading_zeros", "one_over_one_plus", "product", "shift_left_saturated"]


@device
def product(a, b):
    """Return a * b / 2**31 to nearest, ties up, saturated to int32 (int64)."""
    value = (np.int64(a) * np.int64(b) + np.int64(1 << 30)) >> np.int64(31)
    return min(value, np.int64(2**31 - 1))


@device
def shift_left_saturated(value, amount):
    """Return value * 2**amount saturated to int32 (int64); amount in [0, 31]."""
    return saturate_int32(np.int64(value) << np.int64(amount))


@device
def half_sum(a, b):
    """Return (a + b) / 2, ties away from zero (int64)."""
    return shift_right_nearest_away(np.int64(a) + np.int64(b), np.int64(1))


@device
def leading_zeros(value):
    """Return how many of 32 bits stand before the first 1 of `value` in [0, 2**32), 32 for 0 (int64)."""
    rest, count = np.int64(value), np.int64(32)
    for step in (16, 8, 4, 2, 1):
        if rest >> np.int64(step) > np.int64(0):
            rest >>= np.int64(step)
            count -= np.int64(step)
    return count - min(rest, np.int64(1))


@device
def one_over_one_plus(x):
    """Return 1 / (1 + x) by three Newton steps; x in [0, 1) and the result have no integer bits."""
    half_denominator = half_sum(x, np.int64(2**31 - 1))
    guess = np.int64(1515870810) + product(half_denominator, np.int64(-1010580540))
    for _ in range(3):
        error = np.int64(1 << 29) - product(half_denominator, guess)
        guess += shift_left_saturated(product(guess, error), np.int64(2))
    return shift_left_saturated(guess, np.int64(1))
