"""From accumulators, one for each channel, to int8 outputs."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.jit import device


@device
def _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, rounding):
    a, o = np.uint64(source), np.uint64(to)
    for i in range(np.uint64(size)):
        value = requantize(np.int64(accumulator[a + i]), multiplier[i], shift[i], rounding) + zero_point
        output[o + i] = np.int8(min(max(value, low), high))


@device
def store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, rounding):
    """Requantize `size` sums, from accumulator[source] on, into int8 output[to] and the following.

    accumulator: int64; multiplier, shift: int32 [size]. The formula is chosen once a call for the rounding
    that only this way takes: with a constant the loop vectorizes. Each such loop costs compile time.
    """
    if rounding == 5:
        _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, np.int64(5))
    else:
        _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, rounding)
