"""The definition of the rounding right shifts, by exact rational arithmetic: slow and obvious."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF = Fraction(1, 2)


def saturate(value: int, bits: int) -> int:
    """Return `value` clamped to the range of a signed integer of `bits` bits."""
    top = 1 << (bits - 1)
    return max(-top, min(top - 1, value))


def shift_scalar(value: int, amount: int, mode: int) -> int:
    """Return value / 2**amount, rounded as `profiles.ShiftRounding` names it."""
    quotient = Fraction(value, 2**amount)
    if mode == 0:
        return quotient // 1
    if mode == 1:
        return int(quotient)
    if mode == 2 or quotient >= 0:
        return (quotient + _HALF) // 1
    return -((_HALF - quotient) // 1)


def rounding_shift_ref(value: Any, amount: Any, mode: int) -> NDArray[np.int32]:
    """Define the kernel `rounding_shift_a64`: elementwise with broadcasting, saturated to int32."""
    values, amounts = np.broadcast_arrays(np.asarray(value, np.int64), np.asarray(amount, np.int64))
    flat = [
        saturate(shift_scalar(int(v), int(n), int(mode)), 32)
        for v, n in zip(values.ravel(), amounts.ravel(), strict=True)
    ]
    return np.array(flat, np.int32).reshape(values.shape)
