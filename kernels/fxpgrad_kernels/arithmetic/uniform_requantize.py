"""`requantize` with one (multiplier, shift) for many values, in one loop for all formulas in integers.

All formulas but FLOAT32_EVEN are one product, one of two biases, one shift:

    p = saturate(x * 2**left) * m;    (p + (below if p + threshold < 0 else above)) >> drop

The numbers that `plan_requantize` returns say which. So a loop is compiled once and not once a
formula, and vectorizes. The formulas themselves stand in `contract.md`.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.float32_rounding import requantize_float32_even
from fxpgrad_kernels.arithmetic.saturate import saturate_int32
from fxpgrad_kernels.jit import device

__all__ = ["EVEN", "plan_requantize", "requantize_planned", "store_requantized"]

EVEN = 5  # the code of FLOAT32_EVEN, which has no plan


@device
def plan_requantize(multiplier, shift, rounding):
    """Return (left, m, threshold, below, above, drop) of a pair under a formula other than FLOAT32_EVEN."""
    m, s = np.int64(multiplier), np.int64(shift)
    one, near = np.int64(1), np.int64(1 << 30)
    right = max(-s, np.int64(0))
    if rounding == 4:  # WIDE_16
        m = min((m + np.int64(1 << 15)) >> np.int64(16), np.int64(0x7FFF))
        bias = one << (np.int64(14) - s)
        return np.int64(0), np.int32(m), np.int64(0), bias, bias, np.int64(15) - s
    if rounding >= 2:  # SINGLE, TOSA_DOUBLE
        bias = one << (np.int64(30) - s)
        extra = near if rounding == 3 and s < 0 else np.int64(0)
        return np.int64(0), np.int32(m), np.int64(0), bias - extra, bias + extra, np.int64(31) - s
    # DOUBLE_AWAY, DOUBLE_UP: the second half is that of a number 2**31 times as large.
    bias = near + (((one << right) >> one) << np.int64(31))
    away = np.int64(1 << 31) if rounding == 0 and s < 0 else np.int64(0)
    return max(s, np.int64(0)), np.int32(m), near, bias - away, bias, np.int64(31) + right


@device
def requantize_planned(value, plan):
    """Return `requantize(value, ...)` for a value that fits int32, but not saturated to int32 (int64)."""
    left, m, threshold, below, above, drop = plan
    product = saturate_int32(np.int64(value) << left) * np.int64(m)
    total = product + (below if product + threshold < np.int64(0) else above)
    # An arithmetic shift, spelled for vectors that have only a logical one: moved up by 2**63 and back.
    moved = np.uint64(total) ^ np.uint64(1 << 63)
    return np.int64(moved >> np.uint64(drop)) - (np.int64(1) << (np.int64(63) - drop))


@device
def store_requantized(values, offset, multiplier, shift, rounding, output, zero_point, low, high):
    """Write clamp(requantize(values - offset) + zero_point) to an int8 or int16 `output`, element by element.

    The differences fit int32.
    """
    if rounding == EVEN:
        for i in range(output.size):
            value = requantize_float32_even(
                np.int64(values[i]) - offset, np.int64(multiplier), np.int64(shift)
            )
            output[i] = min(max(value + zero_point, low), high)
        return
    plan = plan_requantize(multiplier, shift, rounding)
    for i in range(output.size):
        value = requantize_planned(np.int64(values[i]) - offset, plan)
        output[i] = min(max(value + zero_point, low), high)
