"""The definition of batch_matmul in NumPy int64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref


def batch_matmul_sums_ref(
    input_a: NDArray[np.int8 | np.int16],
    input_b: NDArray[np.int8 | np.int16],
    rows: int,
    depth: int,
    columns: int,
    adjoint_a: int,
    adjoint_b: int,
    input_a_zero_point: int = 0,
    input_b_zero_point: int = 0,
) -> NDArray[np.int64]:
    """Return the exact products [batch, rows, columns] of the centred matrices."""
    a = input_a.astype(np.int64) - input_a_zero_point
    b = input_b.astype(np.int64) - input_b_zero_point
    a = a.reshape(-1, depth, rows).swapaxes(1, 2) if adjoint_a else a.reshape(-1, rows, depth)
    b = b.reshape(-1, columns, depth).swapaxes(1, 2) if adjoint_b else b.reshape(-1, depth, columns)
    return a @ b


def batch_matmul_ref(
    input_a: NDArray[np.int8],
    input_b: NDArray[np.int8],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    rows: int,
    depth: int,
    columns: int,
    adjoint_a: int,
    adjoint_b: int,
    input_a_zero_point: int,
    input_b_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> NDArray[np.int8]:
    """Define `batch_matmul_a8`; the result is flat."""
    total = batch_matmul_sums_ref(
        input_a, input_b, rows, depth, columns, adjoint_a, adjoint_b, input_a_zero_point, input_b_zero_point
    )
    value = requantize_ref(total, multiplier[0], shift[0], rounding) + output_zero_point
    return np.clip(value, clamp_low, clamp_high).astype(np.int8).ravel()


def batch_matmul_16_ref(
    input_a: NDArray[np.int16],
    input_b: NDArray[np.int16],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    rows: int,
    depth: int,
    columns: int,
    adjoint_a: int,
    adjoint_b: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
) -> NDArray[np.int16]:
    """Define `batch_matmul_a16`; the result is flat."""
    total = batch_matmul_sums_ref(input_a, input_b, rows, depth, columns, adjoint_a, adjoint_b)
    value = requantize_ref(total, multiplier[0], shift[0], rounding)
    return np.clip(value, clamp_low, clamp_high).astype(np.int16).ravel()
