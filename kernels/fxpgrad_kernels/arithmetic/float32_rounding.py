"""Float32 products in integers: what `float(accumulator) * scale`, rounded half to even, comes to.

A float32 holds 24 significant bits; its product is the exact product rounded to 24 significant bits,
half to even. Both are done here on integers, so that a device without floating point gets the bits
of a runtime that has it. See `contract.md`.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.saturate import saturate_int32
from fxpgrad_kernels.jit import device, intrinsic, ir, types


@intrinsic
def _leading_zeros(_context, _value):
    """Return the number of zero bits above the highest one of an int64; 64 for 0."""

    def codegen(_target, builder, _signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), codegen


@device
def round_to_24_bits(magnitude):
    """Return a non-negative int64 below 2**62 rounded to 24 significant bits, half to even."""
    value = np.int64(magnitude)
    dropped = max(np.int64(40) - _leading_zeros(value), np.int64(0))
    mask = (np.int64(1) << dropped) - np.int64(1)
    return (value + (mask >> np.int64(1)) + ((value >> dropped) & np.int64(1) & mask)) & ~mask


@device
def float32_mantissa(multiplier):
    """Return the 24-bit mantissa in the upper bits of `multiplier`, its low 7 bits rounded half to even."""
    m = np.int64(multiplier)
    return (m + np.int64(63) + ((m >> np.int64(7)) & np.int64(1))) >> np.int64(7)


@device
def requantize_float32_even(accumulator, multiplier, shift):
    """Return float32(accumulator) * float32(multiplier * 2**(shift - 31)) rounded half to even.

    accumulator: int64 inside int32; multiplier: int64 in [0, 2**31 - 1], normalized (at least 2**30)
    or 0; shift in [-31, 30]. The result is int64, saturated to int32. No intermediate passes 2**61.
    """
    x = np.int64(accumulator)
    product = round_to_24_bits(round_to_24_bits(abs(x)) * float32_mantissa(multiplier))
    power = np.int64(shift) - np.int64(24)  # the product stands for product * 2**power
    value = product << max(power, np.int64(0))
    right = max(-power, np.int64(0))
    mask = (np.int64(1) << right) - np.int64(1)
    nearest = (value + (mask >> np.int64(1)) + ((value >> right) & np.int64(1) & mask)) >> right
    return saturate_int32(-nearest if x < np.int64(0) else nearest)
