"""L2 normalization of rows in fixed point: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.fixed_point import product, shift_left_saturated
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.arithmetic.rounding_shift import shift_right_nearest_away
from fxpgrad_kernels.arithmetic.saturate import saturate_int8
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.normalization.normalization_ref import l2_normalization_ref
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["GREATEST_DEPTH", "SPECS", "l2_normalization"]

GREATEST_DEPTH = 33025  # 255**2 times it is below 2**31


@device
def _inverse_root(total):
    """Return (multiplier, shift) of 1 / sqrt(total), total in [0, 2**31); positive shift is left."""
    if total <= np.int64(1):
        return np.int64(2**31 - 1), np.int64(0)
    rest, right = np.int64(total), np.int64(11)
    while rest >= np.int64(1 << 29):
        rest >>= np.int64(2)
        right += np.int64(1)
    while rest < np.int64(1 << 27):
        rest <<= np.int64(2)
        right -= np.int64(1)
    number = rest >> np.int64(1)
    half = shift_right_nearest_away(number, np.int64(1))
    root = np.int64(1 << 28)
    for _ in range(5):
        cube = shift_left_saturated(product(product(root, root), root), np.int64(6))
        step = product(np.int64((1 << 28) + (1 << 27)), root) - product(half, cube)
        root = shift_left_saturated(step, np.int64(3))
    root = product(root, np.int64(1518500250))
    return root << max(-right, np.int64(0)), -max(right, np.int64(0))


@kernel
def l2_normalization(input, output, depth, input_zero_point, rounding):
    """Divide each row of `depth` elements by its Euclidean length.

    Parameters
    ----------
    input : int8 [N]
        Rows one after another; the scale cancels.
    output : int8 [N]
        Written; scale 1/128, zero point 0.
    depth : int in [1, 33025]
        Elements of a row; N is a multiple of it.
    input_zero_point : int in [-128, 127]
        Zero point.
    rounding : int
        A code of `profiles.Rounding`.
    """
    for start in range(0, input.size, depth):
        row = input[start : start + depth]
        target = output[start : start + depth]
        total = np.int64(0)
        for i in range(row.size):
            centred = np.int64(row[i]) - np.int64(input_zero_point)
            total += centred * centred
        multiplier, shift = _inverse_root(total)
        for i in range(row.size):
            centred = np.int64(row[i]) - np.int64(input_zero_point)
            target[i] = saturate_int8(requantize(centred, multiplier, shift + np.int64(7), rounding))


SPECS = (
    KernelSpec(
        "l2_normalization_a8", "normalization", l2_normalization, l2_normalization_ref,
        (
            array("input", "input", "int8", "N"),
            array("output", "output", "int8", "N"),
            parameter("depth", 1, GREATEST_DEPTH),
            parameter("input_zero_point", -128, 127),
            parameter("rounding", 0, 3),
        ),
    ),
)  # fmt: skip
