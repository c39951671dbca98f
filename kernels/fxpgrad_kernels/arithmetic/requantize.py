"""Requantization: an accumulator times a real multiplier, rounded the way a named runtime does it.

See `contract.md` for the formulas and `requantize_ref.py` for the definition.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.float32_rounding import requantize_float32_even
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_array_ref
from fxpgrad_kernels.arithmetic.saturate import saturate_int32
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter


@device
def requantize(accumulator, multiplier, shift, rounding):
    """Return ``accumulator * multiplier * 2**(shift - 31)`` rounded to an integer, as int64.

    accumulator: saturated to int32, but for WIDE_16, which takes 48 bits; multiplier: in
    [0, 2**31 - 1]; shift: positive is left, in the range that `profiles.Profile` gives for the
    rounding (not checked here); rounding: a code of `profiles.Rounding`. The result fits int32.
    """
    m = np.int64(multiplier)
    s = np.int64(shift)
    if rounding == np.int64(4):  # WIDE_16: a 16-bit multiplier, one rounding, ties up
        reduced = min((m + np.int64(1 << 15)) >> np.int64(16), np.int64(0x7FFF))
        product = np.int64(accumulator) * reduced
        return saturate_int32((product + (np.int64(1) << (np.int64(14) - s))) >> (np.int64(15) - s))
    x = saturate_int32(accumulator)
    if rounding == np.int64(5):  # FLOAT32_EVEN: the product of two float32 numbers, ties to even
        return requantize_float32_even(x, m, s)
    if rounding == np.int64(2):  # SINGLE: one rounding, ties up
        return saturate_int32((x * m + (np.int64(1) << (np.int64(30) - s))) >> (np.int64(31) - s))
    if rounding == np.int64(3):  # TOSA_DOUBLE: as DOUBLE_AWAY, both roundings folded into one bias
        bias = np.int64(1) << (np.int64(30) - s)
        if s < np.int64(0):
            bias += np.int64(1 << 30) if x >= np.int64(0) else np.int64(-(1 << 30))
        return saturate_int32((x * m + bias) >> (np.int64(31) - s))
    right = max(-s, np.int64(0))
    x = saturate_int32(x << max(s, np.int64(0)))
    high = (x * m + np.int64(1 << 30)) >> np.int64(31)  # nearest, ties up
    half = (np.int64(1) << right) >> np.int64(1)
    if rounding == np.int64(0):  # DOUBLE_AWAY; DOUBLE_UP adds the plain half
        half -= np.int64(high < np.int64(0) and right > np.int64(0))
    return (high + half) >> right


@kernel
def requantize_array(accumulator, multiplier, shift, output, rounding):
    """Apply `requantize` elementwise, one multiplier and shift for each element."""
    for i in range(accumulator.size):
        output[i] = requantize(accumulator[i], multiplier[i], shift[i], rounding)


SPECS = (
    KernelSpec(
        name="requantize_a32",
        operator="arithmetic",
        function=requantize_array,
        reference=requantize_array_ref,
        arguments=(
            array("accumulator", "input", "int32", "N"),
            array("multiplier", "constant", "int32", "N", 0),
            array("shift", "constant", "int32", "N", -31, 30),
            array("output", "output", "int32", "N"),
            parameter("rounding", 0, 3),
        ),
    ),
    KernelSpec(
        name="requantize_a32_even",
        operator="arithmetic",
        function=requantize_array,
        reference=requantize_array_ref,
        arguments=(
            array("accumulator", "input", "int32", "N"),
            array("multiplier", "constant", "int32", "N", 0),
            array("shift", "constant", "int32", "N", -31, 30),
            array("output", "output", "int32", "N"),
            parameter("rounding", 5, 5),
        ),
    ),
    KernelSpec(
        name="requantize_a48",
        operator="arithmetic",
        function=requantize_array,
        reference=requantize_array_ref,
        arguments=(
            array("accumulator", "input", "int64", "N", -(2**47), 2**47 - 1),
            array("multiplier", "constant", "int32", "N", 0),
            array("shift", "constant", "int32", "N", -31, 7),
            array("output", "output", "int32", "N"),
            parameter("rounding", 4, 4),
        ),
    ),
)
