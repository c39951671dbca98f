"""Right shifts that round in a named direction: floor, truncate, nearest with ties up or away.

Each takes an int64 value over its whole range and an amount in [0, 62], and cannot overflow: the
remainder is compared with half of the divisor instead of adding half to the value. See `contract.md`.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.rounding_shift_ref import rounding_shift_ref
from fxpgrad_kernels.arithmetic.saturate import saturate_int32
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter


@device
def shift_right_floor(value, amount):
    """Return ``value / 2**amount`` rounded towards minus infinity (int64)."""
    return np.int64(value) >> np.int64(amount)


@device
def shift_right_truncate(value, amount):
    """Return ``value / 2**amount`` rounded towards zero (int64): what C's division does."""
    v = np.int64(value)
    remainder = v & ((np.int64(1) << np.int64(amount)) - np.int64(1))
    return (v >> np.int64(amount)) + np.int64(v < np.int64(0) and remainder != np.int64(0))


@device
def shift_right_nearest_up(value, amount):
    """Return ``value / 2**amount`` rounded to nearest, ties towards plus infinity (int64)."""
    v = np.int64(value)
    mask = (np.int64(1) << np.int64(amount)) - np.int64(1)
    return (v >> np.int64(amount)) + np.int64((v & mask) > (mask >> np.int64(1)))


@device
def shift_right_nearest_away(value, amount):
    """Return ``value / 2**amount`` rounded to nearest, ties away from zero (int64)."""
    v = np.int64(value)
    mask = (np.int64(1) << np.int64(amount)) - np.int64(1)
    threshold = (mask >> np.int64(1)) + np.int64(v < np.int64(0))
    return (v >> np.int64(amount)) + np.int64((v & mask) > threshold)


@device
def rounding_shift(value, amount, mode):
    """Return ``value / 2**amount`` rounded as `mode` says, a code of `profiles.ShiftRounding` (int64)."""
    if mode == np.int64(0):
        return shift_right_floor(value, amount)
    if mode == np.int64(1):
        return shift_right_truncate(value, amount)
    if mode == np.int64(2):
        return shift_right_nearest_up(value, amount)
    return shift_right_nearest_away(value, amount)


@kernel
def rounding_shift_array(value, amount, output, mode):
    """Apply `rounding_shift` elementwise, one amount for each element, and saturate to int32."""
    for i in range(value.size):
        output[i] = saturate_int32(rounding_shift(value[i], amount[i], mode))


SPECS = (
    KernelSpec(
        name="rounding_shift_a64",
        operator="arithmetic",
        function=rounding_shift_array,
        reference=rounding_shift_ref,
        arguments=(
            array("value", "input", "int64", "N"),
            array("amount", "constant", "int32", "N", 0, 62),
            array("output", "output", "int32", "N"),
            parameter("mode", 0, 3),
        ),
    ),
)
