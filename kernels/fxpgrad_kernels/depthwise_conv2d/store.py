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

    accumulator: int32 or int64; multiplier, shift: int32 [size]. The formula is chosen once a call:
    with a constant in each branch the loop vectorizes.
    """
    if rounding == 0:
        _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, np.int64(0))
    elif rounding == 1:
        _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, np.int64(1))
    elif rounding == 2:
        _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, np.int64(2))
    elif rounding == 3:
        _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, np.int64(3))
    elif rounding == 4:
        _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, np.int64(4))
    else:
        _store(accumulator, source, multiplier, shift, output, to, size, zero_point, low, high, np.int64(5))
