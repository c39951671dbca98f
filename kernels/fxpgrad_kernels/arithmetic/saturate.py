"""Saturation: an integer clamped to the range of a narrower type."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device

INT8_MIN, INT8_MAX = np.int64(-(2**7)), np.int64(2**7 - 1)
INT16_MIN, INT16_MAX = np.int64(-(2**15)), np.int64(2**15 - 1)
INT32_MIN, INT32_MAX = np.int64(-(2**31)), np.int64(2**31 - 1)


@device
def saturate_int8(value):
    """Return the int64 `value` clamped to [-128, 127], as int64."""
    return min(max(np.int64(value), INT8_MIN), INT8_MAX)


@device
def saturate_int16(value):
    """Return the int64 `value` clamped to [-32768, 32767], as int64."""
    return min(max(np.int64(value), INT16_MIN), INT16_MAX)


@device
def saturate_int32(value):
    """Return the int64 `value` clamped to [-2**31, 2**31 - 1], as int64."""
    return min(max(np.int64(value), INT32_MIN), INT32_MAX)
