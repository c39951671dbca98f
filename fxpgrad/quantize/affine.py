"""Between real numbers and integers: real = scale * (q - zero_point)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fxpgrad.errors import InputError
from fxpgrad.graph.graph import Quantization

Range = tuple[float, float]


def asymmetric_int8(low: float, high: float) -> Quantization:
    """Return the int8 quantization that covers [low, high] and 0, with 0 exactly representable.

    Parameters
    ----------
    low, high : float
        Finite, low <= high. The range is first extended to include 0.

    Returns
    -------
    Quantization
        Per tensor; scale = (high - low) / 255 > 0 and zero_point in [-128, 127]. Because the zero
        point is rounded to an integer, the covered range moves by up to scale / 2 at both ends.
        An empty range (a tensor that is always 0) gets scale 1 and zero_point 0.

    Raises
    ------
    InputError
        A bound is NaN or infinite, or low > high.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InputError(f"a range must be finite with low <= high; got [{low}, {high}]")
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = high / 255 - low / 255
    if scale < np.finfo(np.float64).tiny:
        return Quantization(np.array([1.0]), np.array([0], np.int64))
    zero_point = min(max(round(-128 - low / scale), -128), 127)
    return Quantization(np.array([scale]), np.array([zero_point], np.int64))


def quantize_array(values: ArrayLike, quantization: Quantization, dtype: str = "int8") -> NDArray[np.generic]:
    """Return the nearest representable integers, saturated to `dtype`; ties go away from zero.

    Parameters
    ----------
    values : array_like of real numbers
        With `quantization.axis` set, that axis counts the axes of this very array. A batch of
        activations needs no care: activations are quantized per tensor.
    quantization : Quantization
    dtype : str
        "int8", "int16" or "int32".

    Raises
    ------
    InputError
        A value is NaN or infinite.
    """
    real = np.asarray(values, np.float64)
    if not np.isfinite(real).all():
        raise InputError("values to quantize must be finite; found NaN or infinity: clean the data first")
    scale, zero_point = _broadcast(quantization, real.ndim)
    steps = real / scale
    limits = np.iinfo(dtype)
    integers = np.trunc(steps + np.copysign(0.5, steps)) + zero_point
    return np.clip(integers, limits.min, limits.max).astype(dtype)


def dequantize_array(integers: ArrayLike, quantization: Quantization) -> NDArray[np.float64]:
    """Return scale * (q - zero_point) in float64."""
    array = np.asarray(integers)
    scale, zero_point = _broadcast(quantization, array.ndim)
    real: NDArray[np.float64] = scale * (array.astype(np.float64) - zero_point)
    return real


def _broadcast(quantization: Quantization, rank: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if quantization.axis is None:
        return quantization.scale, quantization.zero_point
    shape = [1] * rank
    shape[quantization.axis] = -1
    return quantization.scale.reshape(shape), quantization.zero_point.reshape(shape)
