"""The definition of the fixed-point exponential and logarithm, in Python integers: see `contract.md`."""

from __future__ import annotations

from fxpgrad_kernels.arithmetic.fixed_point_ref import (
    ONE,
    half_sum,
    leading_zeros,
    one_over_one_plus,
    product,
    saturate,
    times_power_of_two,
)

# exp(-2**k) for k = -2 to 4, no integer bits
_FACTORS = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}
_EXP_MINUS_EIGHTH = 1895147668
_THIRD = 715827883


def exp_near_zero_ref(x: int) -> int:
    """Return exp(x) for x in [-1/4, 0): the Taylor polynomial of degree 4 around -1/8."""
    t = x + 2**28
    t2 = product(t, t)
    t3, t4 = product(t2, t), product(t2, t2)
    inner = product(times_power_of_two(t4, -2) + t3, _THIRD) + t2
    tail = times_power_of_two(inner, -1)
    return _EXP_MINUS_EIGHTH + product(_EXP_MINUS_EIGHTH, t + tail)


def exp_on_negative_ref(x: int) -> int:
    """Return exp(x) with no integer bits for x <= 0 with five; exp(0) is the nearest below 1."""
    if x == 0:
        return ONE
    remainder = x % 2**24 - 2**24  # in [-1/4, 0)
    whole = remainder - x  # a multiple of a quarter, to be taken off again
    result = exp_near_zero_ref(times_power_of_two(remainder, 5))
    for k, factor in _FACTORS.items():
        if whole & 2 ** (26 + k):
            result = product(result, factor)
    return result


def log_from_one_ref(x: int) -> int:
    """Return ln(x) with five integer bits for x >= 1 with twelve."""
    half_root, fourth_root = 1518500250, 1805811301  # sqrt(1/2) and its square root
    a_zeros = leading_zeros(x)
    a = times_power_of_two(product(times_power_of_two(x, a_zeros - 1), half_root), 1)
    a_power = saturate(times_power_of_two(12 - a_zeros, 25) + 2**23)
    b_headroom = leading_zeros(product(x, half_root)) - 1
    b = times_power_of_two(x, b_headroom)
    b_power = saturate(times_power_of_two(12 - b_headroom, 25) - 2**23)
    r, power = min(a, b), max(a_power, b_power)
    p, q = half_sum(r, fourth_root), 2 * (r - fourth_root)
    q2 = product(q, q)
    numerator = product(q, r) + product(product(q, q2), 117049297)
    denominator = product(p, 1057819769 + q + product(127690142, q2)) + product(638450708, q)
    quotient = product(times_power_of_two(numerator, -6), one_over_one_plus(denominator))
    return times_power_of_two(product(power, 1488522236) + quotient, 1)
