"""TFLite's fixed-point functions of real numbers, on Python integers: what its int8 kernels evaluate.

A Q-number with b integer bits is an int32 that stands for raw / 2**(31 - b). Products, divisions by powers of
two and the polynomials round as gemmlowp's fixed-point header does (Apache-2.0; the arithmetic is stated anew
here). Lowering evaluates them for each of the 256 inputs and stores the results as a table.
"""

from __future__ import annotations

ONE = 2**31 - 1  # the greatest Q0 number stands for 1
_LOW = -(2**31)
_QUARTER_POLYNOMIAL = (1895147668, 715827883)  # exp(-1/8), 1/3
# (exponent e, exp(-2**e)) as Q0
_BARREL = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
_NEWTON_START = (1515870810, -1010580540)  # 48/17 and -32/17 as Q2
_HALF_SQRT_2 = 1518500250  # Q0


def product(a: int, b: int) -> int:
    """Return a * b / 2**31, to nearest, ties up; saturated where both are -2**31."""
    return min((a * b + 2**30) >> 31, ONE)


def divide(value: int, power: int) -> int:
    """Return value / 2**power, to nearest, ties away from zero."""
    half = (1 << power) >> 1
    return (value + half) >> power if value >= 0 else -((-value + half) >> power)


def scaled_up(value: int, power: int) -> int:
    """Return value * 2**power, saturated to int32."""
    return max(_LOW, min(ONE, value << power))


def exp_of_negative(raw: int, integer_bits: int) -> int:
    """Return exp of a Q-number <= 0 as Q0."""
    if raw == 0:
        return ONE
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    within = (raw & (quarter - 1)) - quarter
    at_minus_eighth, third = _QUARTER_POLYNOMIAL
    x = scaled_up(within, integer_bits) + 2**28
    x2 = product(x, x)
    x3, x4 = product(x2, x), product(x2, x2)
    series = divide(product(divide(x4, 2) + x3, third) + x2, 1)
    result = at_minus_eighth + product(at_minus_eighth, x + series)
    for exponent, factor in _BARREL:
        if integer_bits > exponent and (within - raw) & (1 << (fraction + exponent)):
            result = product(result, factor)
    return result


def _reciprocal(raw: int) -> int:
    """Return 2 / (1 + x) as Q2 for x in (0, 1) as Q0, by Newton's method."""
    half = (raw + ONE + 1) >> 1
    constant, slope = _NEWTON_START
    x = constant + product(half, slope)
    for _ in range(3):
        x += scaled_up(product(x, 2**29 - product(half, x)), 2)
    return x


def logistic(raw: int, integer_bits: int) -> int:
    """Return 1 / (1 + exp(-x)) of a Q-number as Q0."""
    if raw == 0:
        return 2**30
    positive = scaled_up(_reciprocal(exp_of_negative(-abs(raw), integer_bits)), 1)
    return positive if raw > 0 else ONE - positive


def tanh(raw: int, integer_bits: int) -> int:
    """Return tanh of a Q-number as Q0."""
    if raw == 0:
        return 0
    magnitude = scaled_up(_reciprocal(exp_of_negative(-abs(raw), integer_bits + 1)) - 2**29, 2)
    return magnitude if raw > 0 else -magnitude


def inverse_square_root(value: int) -> tuple[int, int]:
    """Return (multiplier, shift) with 1 / sqrt(value) ~ multiplier * 2**(shift - 31), for value >= 1."""
    if value <= 1:
        return ONE, 0
    right = 11
    while value >= 2**29:
        value //= 4
        right += 1
    pairs = (32 - value.bit_length() - 1) // 2 - 1
    right -= pairs
    x = 2**28
    half = divide((value << (2 * pairs)) >> 1, 1)
    for _ in range(5):
        cube = scaled_up(product(product(x, x), x), 6)
        x = scaled_up(product(2**28 + 2**27, x) - product(half, cube), 3)
    x = product(x, _HALF_SQRT_2)
    return (x << -right, 0) if right < 0 else (x, -right)
