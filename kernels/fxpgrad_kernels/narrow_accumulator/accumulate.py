"""One addition in an accumulator of n bits, on all output channels at once, with what it did written down.

The int32 form serves accumulators of at most 31 bits: |sum| < 2**30 and |product| < 2**23 before the
addition. The int64 form serves 32 bits.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.jit import device


@device
def add_products(value, taps, sums, overflows, largest, bits, saturate):
    """Add value * taps[o] to each int32 sums[o] of `bits` <= 31 bits.

    overflows[o] counts the additions that left the range, largest[o] is the largest magnitude that one
    of them gave before it was brought back.
    """
    high = np.int32((np.int64(1) << (bits - 1)) - 1)
    low = np.int32(-high - 1)
    mask = np.int32((np.int64(1) << bits) - 1)
    factor = np.int32(value)
    if saturate:
        for o in range(taps.size):
            exact = np.int32(sums[o] + np.int32(factor * np.int32(taps[o])))
            kept = np.int32(min(max(exact, low), high))
            overflows[o] = np.int32(overflows[o] + np.int32(kept != exact))
            largest[o] = max(largest[o], np.int32(abs(exact)))
            sums[o] = kept
        return
    for o in range(taps.size):
        exact = np.int32(sums[o] + np.int32(factor * np.int32(taps[o])))
        kept = np.int32(np.int32(np.int32(exact - low) & mask) + low)
        overflows[o] = np.int32(overflows[o] + np.int32(kept != exact))
        largest[o] = max(largest[o], np.int32(abs(exact)))
        sums[o] = kept


@device
def narrowed(exact, bits, saturate):
    """Return int64 `exact` brought into `bits` bits, by saturation or modulo 2**bits (int64)."""
    half = np.int64(1) << (bits - 1)
    if saturate:
        return min(max(exact, -half), half - 1)
    return ((exact + half) & (2 * half - 1)) - half


@device
def add_products_32(value, taps, sums, overflows, largest, saturate):
    """Add value * taps[o] to each int64 sums[o] of 32 bits; counts as `add_products` does."""
    factor = np.int32(value)
    for o in range(taps.size):
        exact = np.int64(sums[o] + np.int64(np.int32(factor * np.int32(taps[o]))))
        kept = narrowed(exact, np.int64(32), saturate)
        overflows[o] += np.int64(kept != exact)
        largest[o] = max(largest[o], abs(exact))
        sums[o] = kept


@device
def add_depthwise(row, taps, zero_point, multiplicity, sums, overflows, largest, bits, saturate):
    """Add (row[o // multiplicity] - zero_point) * taps[o] to each int64 sums[o] of `bits` bits."""
    if multiplicity == 1:
        for o in range(taps.size):
            exact = sums[o] + np.int64(np.int32(np.int32(row[o] - zero_point) * np.int32(taps[o])))
            kept = narrowed(exact, bits, saturate)
            overflows[o] += np.int64(kept != exact)
            largest[o] = max(largest[o], abs(exact))
            sums[o] = kept
        return
    for c in range(row.size):
        factor = np.int32(row[c] - zero_point)
        for o in range(c * multiplicity, (c + 1) * multiplicity):
            exact = np.int64(sums[o] + np.int64(np.int32(factor * np.int32(taps[o]))))
            kept = narrowed(exact, bits, saturate)
            overflows[o] += np.int64(kept != exact)
            largest[o] = max(largest[o], abs(exact))
            sums[o] = kept


@device
def record(statistics, o, overflows, largest):
    """Take what one output element did into statistics [O, 4] of output channel `o`.

    The four are: additions that overflowed, output elements in which one did, most of them in one
    element, largest magnitude before it was brought back.
    """
    at = statistics[4 * o : 4 * o + 4]
    at[0] += overflows
    at[1] += np.int64(overflows > 0)
    at[2] = max(at[2], overflows)
    at[3] = max(at[3], largest)


@device
def finish(
    total, overflows, largest, o, bias, multiplier, shift, statistics, bits, saturate, output_zero_point,
    clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Add the bias as the last addition, record the element, and return its int8 value."""
    exact = np.int64(total) + np.int64(bias[o])
    kept = narrowed(exact, bits, saturate)
    record(statistics, o, np.int64(overflows) + np.int64(kept != exact), max(np.int64(largest), abs(exact)))
    value = requantize(kept, multiplier[o], shift[o], rounding) + output_zero_point
    return np.int8(min(max(value, clamp_low), clamp_high))
