"""The definition of the change of quantization."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def _quantized(
    bits: int,
    input: NDArray[Any],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> NDArray[Any]:
    centred = input.astype(np.int64) - input_zero_point
    value = requantize_ref(centred, multiplier[0], shift[0], rounding).astype(np.int64) + output_zero_point
    return np.clip(value, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(f"int{bits}")


def quantize_ref(
    input: NDArray[Any],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> NDArray[np.int8]:
    """Define the kernels whose result is int8."""
    return _quantized(8, input, multiplier, shift, input_zero_point, output_zero_point, rounding)


def quantize_to_a16_ref(
    input: NDArray[Any],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> NDArray[np.int16]:
    """Define the kernels whose result is int16."""
    return _quantized(16, input, multiplier, shift, input_zero_point, output_zero_point, rounding)


def quantize_to_a32_ref(
    input: NDArray[Any],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    rounding: int,
) -> NDArray[np.int32]:
    """Define the kernels whose result is int32."""
    return _quantized(32, input, multiplier, shift, input_zero_point, output_zero_point, rounding)
