"""Requantizations that no runtime is known to compute and that people write, and narrow integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_scalar

# accumulator, multiplier, shift, rounding -> result, as `requantize_scalar`
Requantize = Callable[[int, int, int, int], int]
Ints = NDArray[np.int64]


def _exact(x: int, m: int, s: int) -> Fraction:
    return Fraction(x * m) * Fraction(2) ** (s - 31)


def floored(x: int, m: int, s: int, rounding: int) -> int:
    """Return the exact product rounded down."""
    del rounding
    return _exact(x, m, s) // 1


def truncated(x: int, m: int, s: int, rounding: int) -> int:
    """Return the exact product rounded towards 0."""
    del rounding
    return int(_exact(x, m, s))


def once_away(x: int, m: int, s: int, rounding: int) -> int:
    """Return the exact product rounded once, ties away from zero."""
    del rounding
    value = _exact(x, m, s)
    size = (abs(value) + Fraction(1, 2)) // 1
    return size if value >= 0 else -size


def once_even(x: int, m: int, s: int, rounding: int) -> int:
    """Return the exact product rounded once, ties to even."""
    del rounding
    return round(_exact(x, m, s))


def unrounded_shift(x: int, m: int, s: int, rounding: int) -> int:
    """Return the product rounded as the first step of two, then shifted without rounding."""
    del rounding
    high = (x * (1 << max(s, 0)) * m + (1 << 30)) >> 31
    return high >> max(-s, 0)


def unrounded_product(x: int, m: int, s: int, rounding: int) -> int:
    """Return the high half of the product without rounding, then shifted to nearest, ties away from zero."""
    del rounding
    high, right = (x * (1 << max(s, 0)) * m) >> 31, max(-s, 0)
    size = (abs(high) + (1 << right >> 1)) >> right
    return size if high >= 0 else -size


OTHER_ROUNDINGS: Mapping[str, tuple[str, Requantize]] = {
    "floor": ("results are rounded down instead of to nearest", floored),
    "truncation": ("results are rounded towards 0 instead of to nearest", truncated),
    "one rounding, ties away": ("results are rounded once, ties away from zero", once_away),
    "one rounding, ties to even": ("results are rounded once, ties to even", once_even),
    "right shift not rounded": ("the right shift after the multiplication does not round", unrounded_shift),
    "product not rounded": ("the high half of the product is taken without rounding", unrounded_product),
}


def requantized(
    accumulators: Ints, multiplier: Ints, shift: Ints, rounding: int, scalar: Requantize = requantize_scalar
) -> Ints:
    """Apply a requantization elementwise with broadcasting."""
    x, m, s = np.broadcast_arrays(accumulators, multiplier, shift)
    flat = [
        scalar(int(a), int(b), int(c), rounding)
        for a, b, c in zip(x.ravel(), m.ravel(), s.ravel(), strict=True)
    ]
    return np.array(flat, dtype=object).reshape(x.shape)


def wrapped(values: Ints, bits: int) -> Ints:
    """Return values modulo 2**bits, in the signed range."""
    top = 1 << (bits - 1)
    result: Ints = (values + top) % (1 << bits) - top
    return result


def saturated(values: Ints, bits: int) -> Ints:
    """Return values clamped to a signed integer of `bits` bits."""
    top = 1 << (bits - 1)
    result: Ints = np.clip(values, -top, top - 1)
    return result
