"""XNNPACK's own integers for int8 add, sub, quantize and leaky_relu: real multipliers of few bits.

XNNPACK brings ratios of scales to integers of 21 bits (add, sub) or to 8 fraction bits (quantize, leaky_relu)
and rounds once, ties up. Written as real multipliers, exact in 31 bits, that is the kernels' SINGLE. What it
does not take (ratios outside its ranges) runs in LiteRT's own kernels; the functions here then return None.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PROFILE = "xnnpack_float32"
_SUM_BITS = 20
_SUM_RATIOS = 2.0**-10, 2.0**8  # the upper end excluded
_PRODUCT_RATIOS = 2.0**-16, 2.0**8  # the upper end excluded
_RATIOS = 2.0**-8, 2.0**7  # both ends included


def _ratio(numerator: float, denominator: float) -> float:
    """Return a quotient of scales as float32 has it."""
    with np.errstate(over="ignore"):
        return float(np.float32(numerator) / np.float32(denominator))


def sum_reals(first: float, second: float, output: float) -> NDArray[np.float64] | None:
    """Return the three real multipliers of add and sub (left shift 20), or None where XNNPACK does not add.

    first, second, output : scales of the operands and of the output.
    """
    ratios = _ratio(first, output), _ratio(second, output)
    low, high = _SUM_RATIOS
    if not all(low <= ratio < high for ratio in ratios):
        return None
    shift = _SUM_BITS + 1 - math.frexp(max(ratios))[1]
    units = [round(math.ldexp(ratio, shift)) for ratio in ratios]  # half to even
    return np.array([*(unit * 2.0**-_SUM_BITS for unit in units), 2.0**-shift])


def multiplies(first: float, second: float, output: float) -> bool:
    """Return whether XNNPACK takes a mul of these scales (by FLOAT32_EVEN, formed in float32)."""
    with np.errstate(over="ignore"):
        ratio = float(np.float32(first) * np.float32(second) / np.float32(output))
    return _PRODUCT_RATIOS[0] <= ratio < _PRODUCT_RATIOS[1]


def rescaling_reals(source: float, output: float, alpha: float | None = None) -> NDArray[np.float64] | None:
    """Return the real multipliers of quantize, or of leaky_relu (at and above, and below the zero point).

    None where XNNPACK does not take the operator.
    """
    ratio = _ratio(source, output)
    ratios = [ratio] if alpha is None else [ratio, float(np.float32(ratio) * np.float32(alpha))]
    low, high = _RATIOS
    if not all(low <= value <= high for value in ratios):
        return None
    return np.array([round(256 * value) / 256 for value in ratios])
