"""The definition of L2 normalization, in Python integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.fixed_point_ref import product, times_power_of_two
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_scalar


def inverse_root_ref(total: int) -> tuple[int, int]:
    """Return (multiplier, shift) of 1 / sqrt(total); positive shift is left."""
    if total <= 1:
        return 2**31 - 1, 0
    right = 11
    while total >= 2**29:
        total //= 4
        right += 1
    while total < 2**27:  # to [2**27, 2**29)
        total *= 4
        right -= 1
    number = total // 2  # three integer bits
    half = times_power_of_two(number, -1)
    root = 2**28
    for _ in range(5):  # Newton: root = 1.5 root - number / 2 root**3
        cube = times_power_of_two(product(product(root, root), root), 6)
        root = times_power_of_two(product(2**28 + 2**27, root) - product(half, cube), 3)
    root = product(root, 1518500250)  # sqrt(1/2)
    return root * 2 ** max(-right, 0), -max(right, 0)


def l2_normalization_ref(
    input: NDArray[np.int8], depth: int, input_zero_point: int, rounding: int
) -> NDArray[np.int8]:
    """Define `l2_normalization_a8`."""
    output = []
    for row in input.reshape(-1, depth):
        centred = [int(x) - input_zero_point for x in row]
        multiplier, shift = inverse_root_ref(sum(x * x for x in centred))
        output += [requantize_scalar(x, multiplier, shift + 7, rounding) for x in centred]
    return np.clip(output, -128, 127).astype(np.int8).reshape(input.shape)
