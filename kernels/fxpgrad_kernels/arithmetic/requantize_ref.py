"""The definition of requantization, in Python integers (unbounded): slow and obvious.

Every formula is written for a word of `bits` bits: 32 is what kernels compute, 8 is small enough to
try every accumulator, multiplier and shift.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def _saturate(value: int, bits: int) -> int:
    top = 1 << (bits - 1)
    return max(-top, min(top - 1, value))


def _divide_to_nearest(value: int, power: int, *, ties_away: bool) -> int:
    """Return value / 2**power rounded to nearest; ties go away from zero, or up."""
    if power == 0:
        return value
    if ties_away and value < 0:
        return -((-value + (1 << (power - 1))) // (1 << power))
    return (value + (1 << (power - 1))) // (1 << power)


def reduce_multiplier(multiplier: int, bits: int = 32) -> int:
    """Return the multiplier of half the width that WIDE_16 uses: nearest, ties up, saturated."""
    half = bits // 2
    return min((multiplier + (1 << (half - 1))) // (1 << half), (1 << (half - 1)) - 1)


def significant_bits(bits: int = 32) -> int:
    """Return how many significant bits the floating-point numbers of FLOAT32_EVEN hold: 24 of 32."""
    return bits * 3 // 4


def _divide_half_even(value: int, power: int) -> int:
    """Return value / 2**power rounded to nearest, ties to the even integer; a negative power multiplies."""
    if power <= 0:
        return value << -power
    quotient, remainder = divmod(value, 1 << power)
    half = 1 << (power - 1)
    return quotient + (remainder > half or (remainder == half and quotient % 2 == 1))


def _round_significant(value: int, digits: int) -> int:
    """Return `value` rounded to `digits` significant bits, half to even, as a float of that precision."""
    dropped = max(abs(value).bit_length() - digits, 0)
    return _divide_half_even(value, dropped) << dropped


def _float_product(x: int, multiplier: int, shift: int, bits: int) -> int:
    """Return the product of two floats of `significant_bits(bits)`, rounded to an integer half to even."""
    digits = significant_bits(bits)
    dropped = bits - 1 - digits  # bits of the multiplier beyond the float's precision
    scale = _divide_half_even(multiplier, dropped) << dropped
    product = _round_significant(_round_significant(x, digits) * scale, digits)
    return _divide_half_even(product, bits - 1 - shift)


def requantize_scalar(accumulator: int, multiplier: int, shift: int, rounding: int, bits: int = 32) -> int:
    """Return accumulator * multiplier * 2**(shift - bits + 1), rounded as `profiles.Rounding` names it.

    Parameters
    ----------
    accumulator : int
        Saturated to `bits` bits first, but for WIDE_16.
    multiplier : int
        In [0, 2**(bits - 1) - 1].
    shift : int
        Positive is left; `profiles.Profile` gives the legal range at 32 bits.
    rounding : int
        A code of `profiles.Rounding`.
    bits : int
        Width of multiplier, result and (but for WIDE_16) accumulator.
    """
    point = bits - 1  # where the binary point of the multiplier stands
    if rounding == 4:
        product = accumulator * reduce_multiplier(multiplier, bits)
        return _saturate(_divide_to_nearest(product, bits // 2 - 1 - shift, ties_away=False), bits)
    x = _saturate(accumulator, bits)
    if rounding == 5:
        return _saturate(_float_product(x, multiplier, shift, bits), bits)
    if rounding == 2:
        return _saturate(_divide_to_nearest(x * multiplier, point - shift, ties_away=False), bits)
    if rounding == 3:
        total = point - shift
        bias = 1 << (total - 1)
        if total > point:
            bias += 1 << (point - 1) if x >= 0 else -(1 << (point - 1))
        return _saturate((x * multiplier + bias) // (1 << total), bits)
    if rounding not in (0, 1):
        raise ValueError(f"rounding must be a code of profiles.Rounding, 0 to 5; got {rounding}")
    left, right = max(shift, 0), max(-shift, 0)
    high = _divide_to_nearest(_saturate(x * (1 << left), bits) * multiplier, point, ties_away=False)
    return _divide_to_nearest(high, right, ties_away=rounding == 0)


def requantize_ref(accumulator: Any, multiplier: Any, shift: Any, rounding: int) -> NDArray[np.int64]:
    """Apply `requantize_scalar` elementwise with NumPy broadcasting; returns int64."""
    x, m, s = np.broadcast_arrays(
        np.asarray(accumulator, np.int64), np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    )
    flat = [
        requantize_scalar(int(a), int(b), int(c), int(rounding))
        for a, b, c in zip(x.ravel(), m.ravel(), s.ravel(), strict=True)
    ]
    return np.array(flat, np.int64).reshape(x.shape)


def requantize_array_ref(
    accumulator: NDArray[np.signedinteger[Any]],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    rounding: int,
) -> NDArray[np.int32]:
    """Define the kernels `requantize_a32`, `requantize_a32_even` and `requantize_a48`."""
    return requantize_ref(accumulator, multiplier, shift, rounding).astype(np.int32)
