"""Integer exp(-x) and ln(x): tables of integer literals joined by short polynomials.

Formats, steps and error bounds: `contract.md`.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device
from fxpgrad_kernels.loss import exp_ln_tables as tables

_EXP_COARSE = np.array(tables.EXP_COARSE, np.int64)
_EXP_FINE = np.array(tables.EXP_FINE, np.int64)
_EXP_WHOLE = np.array(tables.EXP_WHOLE, np.int64)
_EXP_WHOLE_SHIFT = np.array(tables.EXP_WHOLE_SHIFT, np.int64)
_LN_RECIPROCAL = np.array(tables.LN_RECIPROCAL, np.int64)
_LN_OFFSET = np.array(tables.LN_OFFSET, np.int64)
_LN_2 = np.int64(tables.LN_2)
_HALF_31 = np.int64(1 << 30)


@device
def exp_negative_q40(x):
    """Return exp(-x) in Q40 for x >= 0 in Q24 (int64); exp(0) is exactly 2**40, from x = 29 on 0."""
    whole = x >> np.int64(24)
    if whole > np.int64(28):
        return np.int64(0)
    coarse = _EXP_COARSE[(x >> np.int64(18)) & np.int64(63)]
    fine = _EXP_FINE[(x >> np.int64(12)) & np.int64(63)]
    rest = x & np.int64(4095)
    # exp(-r) = 1 - r + r**2 / 2 for r < 2**-12; the next term is below 2**-38.
    tail = np.int64(1 << 31) - (rest << np.int64(7)) + ((rest * rest + np.int64(1 << 17)) >> np.int64(18))
    product = (coarse * fine + _HALF_31) >> np.int64(31)
    product = (product * tail + _HALF_31) >> np.int64(31)
    right = np.int64(22) + _EXP_WHOLE_SHIFT[whole]
    return (product * _EXP_WHOLE[whole] + (np.int64(1) << (right - np.int64(1)))) >> right


@device
def floor_log2(value):
    """Return the position of the highest set bit of a positive int64."""
    position = np.int64(0)
    step = np.int64(32)
    rest = value
    while step > np.int64(0):
        if rest >> step > np.int64(0):
            rest >>= step
            position += step
        step >>= np.int64(1)
    return position


@device
def ln_q32(value):
    """Return ln(value / 2**40) in Q32 for an int64 value in [2**40, 2**62); ln(1) is exactly 0."""
    exponent = floor_log2(value)
    # mantissa in Q31, [1, 2)
    mantissa = value >> (exponent - np.int64(31))
    segment = (mantissa >> np.int64(25)) - np.int64(64)
    # 1 + y = mantissa * reciprocal, 0 <= y < 1/64 + 2**-30
    y = (mantissa * _LN_RECIPROCAL[segment] - np.int64(1 << 62) + np.int64(1 << 29)) >> np.int64(30)
    # ln(1 + y) = y * (1 - y * (1/2 - y * (1/3 - y * (1/4 - y / 5)))); constants in Q32
    poly = np.int64(1073741824) - ((y * np.int64(858993459)) >> np.int64(32))
    poly = np.int64(1431655765) - ((y * poly) >> np.int64(32))
    poly = np.int64(2147483648) - ((y * poly) >> np.int64(32))
    poly = np.int64(4294967296) - ((y * poly) >> np.int64(32))
    series = (y * poly + np.int64(1 << 31)) >> np.int64(32)
    return (exponent - np.int64(40)) * _LN_2 + _LN_OFFSET[segment] + series
