"""The fixed-point exponential and logarithm of softmax: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.fixed_point import (
    half_sum,
    leading_zeros,
    one_over_one_plus,
    product,
    shift_left_saturated,
)
from fxpgrad_kernels.arithmetic.rounding_shift import shift_right_nearest_away
from fxpgrad_kernels.arithmetic.saturate import saturate_int32
from fxpgrad_kernels.jit import device

__all__ = ["exp_on_negative", "log_from_one"]

# exp(-1/4), exp(-1/2), exp(-1), ... exp(-16) with no integer bits
_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_MINUS_EIGHTH = 1895147668
_THIRD = 715827883


@device
def _exp_near_zero(x):
    """Return exp(x) for x in [-1/4, 0), no integer bits: Taylor's polynomial around -1/8."""
    t = np.int64(x) + np.int64(1 << 28)
    t2 = product(t, t)
    t3 = product(t2, t)
    t4 = product(t2, t2)
    inner = product(shift_right_nearest_away(t4, np.int64(2)) + t3, np.int64(_THIRD)) + t2
    tail = shift_right_nearest_away(inner, np.int64(1))
    return np.int64(_EXP_MINUS_EIGHTH) + product(np.int64(_EXP_MINUS_EIGHTH), t + tail)


@device
def exp_on_negative(x):
    """Return exp(x), no integer bits (int64), for x in [-2**31, 0] with five integer bits."""
    if x == np.int64(0):
        return np.int64(2**31 - 1)
    remainder = (np.int64(x) & np.int64((1 << 24) - 1)) - np.int64(1 << 24)
    whole = remainder - np.int64(x)
    result = _exp_near_zero(remainder << np.int64(5))
    for k in range(7):
        if (whole >> np.int64(24 + k)) & np.int64(1):
            result = product(result, np.int64(_FACTORS[k]))
    return result


@device
def log_from_one(x):
    """Return ln(x), five integer bits (int64), for x in [1, 4096) with twelve integer bits."""
    half_root = np.int64(1518500250)
    fourth_root = np.int64(1805811301)
    a_zeros = leading_zeros(x)
    a = shift_left_saturated(product(np.int64(x) << (a_zeros - np.int64(1)), half_root), np.int64(1))
    a_power = ((np.int64(12) - a_zeros) << np.int64(25)) + np.int64(1 << 23)
    b_headroom = leading_zeros(product(x, half_root)) - np.int64(1)
    b = shift_left_saturated(x, b_headroom)
    b_power = ((np.int64(12) - b_headroom) << np.int64(25)) - np.int64(1 << 23)
    r = min(a, b)
    power = saturate_int32(max(a_power, b_power))
    p = half_sum(r, fourth_root)
    q = (r - fourth_root) << np.int64(1)
    q2 = product(q, q)
    numerator = product(q, r) + product(product(q, q2), np.int64(117049297))
    slope = np.int64(1057819769) + q + product(np.int64(127690142), q2)
    denominator = product(p, slope) + product(np.int64(638450708), q)
    quotient = product(shift_right_nearest_away(numerator, np.int64(6)), one_over_one_plus(denominator))
    return shift_left_saturated(product(power, np.int64(1488522236)) + quotient, np.int64(1))
