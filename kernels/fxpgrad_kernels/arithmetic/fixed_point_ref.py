"""The definition of gemmlowp's 32-bit fixed-point arithmetic, in Python integers: see `contract.md`.

A number with n integer bits stands for raw / 2**(31 - n); raw is an int32.
"""

from __future__ import annotations

from fractions import Fraction

ONE = 2**31 - 1  # the nearest to 1 with no integer bits
_HALF = Fraction(1, 2)
LOWEST, GREATEST = -(2**31), 2**31 - 1


def saturate(value: int) -> int:
    """Return `value` clamped to int32."""
    return max(LOWEST, min(GREATEST, value))


def product(a: int, b: int) -> int:
    """Return a * b / 2**31 to nearest, ties up, saturated: the integer bits of the factors add up."""
    return saturate((Fraction(a * b, 2**31) + _HALF) // 1)


def times_power_of_two(value: int, exponent: int) -> int:
    """Return value * 2**exponent, saturated; a negative exponent rounds to nearest, ties away from zero."""
    if exponent >= 0:
        return saturate(value * 2**exponent)
    size = (abs(value) + (1 << (-exponent - 1))) >> -exponent
    return size if value >= 0 else -size


def half_sum(a: int, b: int) -> int:
    """Return (a + b) / 2, ties away from zero."""
    return times_power_of_two(a + b, -1)


def leading_zeros(value: int) -> int:
    """Return how many of 32 bits stand before the first 1 of `value`, 32 for 0."""
    return 32 - value.bit_length()


def one_over_one_plus(x: int) -> int:
    """Return 1 / (1 + x) by three Newton steps; x and the result have no integer bits."""
    half_denominator = half_sum(x, ONE)
    guess = 1515870810 + product(half_denominator, -1010580540)  # 48/17 - 32/17 d, two integer bits
    for _ in range(3):
        error = 2**29 - product(half_denominator, guess)
        guess += times_power_of_two(product(guess, error), 2)
    return times_power_of_two(guess, 1)
