"""The definitions of functions that are read off a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.rounding_shift_ref import shift_scalar


def lookup_ref(input: NDArray[np.int8], table: NDArray[np.int8]) -> NDArray[np.int8]:
    """Define `lookup_a8`."""
    return np.array([table[value + 128] for value in input.tolist()], np.int8)


def _interpolated(steps: int, table: NDArray[Any], fraction_bits: int) -> int | None:
    """Return the table at steps / 2**fraction_bits, times 2**fraction_bits; None from entry 255 on."""
    entry, part = divmod(steps, 2**fraction_bits)
    if entry >= 255:
        return None
    low, high = int(table[entry]), int(table[entry + 1])
    height: int = low * 2**fraction_bits + part * (high - low)
    return height


def logistic_a16_ref(
    input: NDArray[np.int16], table: NDArray[np.int32], input_multiplier: int, input_shift: int
) -> NDArray[np.int16]:
    """Define `logistic_a16`."""
    results = []
    for value in input.tolist():
        x = shift_scalar(value * input_multiplier, input_shift, 2)
        height = _interpolated(abs(x), table, 9)
        if height is None:
            height = 0x7FFF * 2**10
        # Rounded to 15 bits; for x < 0 the complement, its ties down.
        rounded = (height + 512) // 1024 if x >= 0 else (2**25 - height + 511) // 1024
        results.append(min(rounded, 2**15 - 1))
    return np.array(results, np.int16)


def tanh_a16_ref(
    input: NDArray[np.int16], table: NDArray[np.int32], input_multiplier: int, input_shift: int
) -> NDArray[np.int16]:
    """Define `tanh_a16`."""
    results = []
    for value in input.tolist():
        x = shift_scalar(value * input_multiplier, input_shift, 2)
        height = _interpolated(abs(x), table, 8)
        if height is None:
            height = 0xFFFF * 2**8
        height -= 2**23
        results.append((height + 128) // 256 if x >= 0 else (127 - height) // 256)
    return np.array(results, np.int16)
