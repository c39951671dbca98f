"""The definition of the change of quantization."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def quantize_ref(
    input: NDArray[np.int8],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> NDArray[np.int8]:
    """Define `quantize_a8`."""
    centred = input.astype(np.int64) - input_zero_point
    value = requantize_ref(centred, multiplier[0], shift[0], rounding) + output_zero_point
    return np.clip(value, -128, 127).astype(np.int8)
