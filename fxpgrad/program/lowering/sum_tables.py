"""Means and sums that a runtime computes in floats: what each possible sum of int8 values gives.

The formulas, and on how many values they were found exact, are in `docs/dialects.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering import optimized, xnnpack
from fxpgrad.program.multiplier import derive_multiplier
from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref

Table = NDArray[np.int8]
# (elements of a sum, input scale, input zero point, output scale, output zero point) -> table
_LANES = 16  # channels that LiteRT's vector code takes at a time
TableMaker = Callable[[int, float, int, float, int], Table]


def _sums(count: int) -> NDArray[np.int64]:
    """Return every possible sum of `count` int8 values, ascending."""
    return np.arange(-128 * count, 127 * count + 1, dtype=np.int64)


def _saturated(values: NDArray[np.float64] | NDArray[np.int64]) -> Table:
    return np.clip(values, -128, 127).astype(np.int8)


def xnnpack_reduction(
    weight: np.float32,
    count: int,
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> Table:
    """Return XNNPACK's mean (weight 1 / count) or sum (weight 1).

    The zero points are added in float32, before the rounding to even.
    """
    float32 = np.float32
    with np.errstate(over="ignore"):
        ratio = weight * float32(float32(input_scale) / float32(output_scale))
        offset = float32(output_zero_point) - float32(float32(count * input_zero_point) * ratio)
        values = _sums(count).astype(np.float32) * ratio + offset
    return _saturated(np.rint(values).astype(np.float64))


def _xnnpack_mean(count: int, *quantizations: Any) -> Table:
    return xnnpack_reduction(np.float32(1) / np.float32(count), count, *quantizations)


def _xnnpack_sum(count: int, *quantizations: Any) -> Table:
    return xnnpack_reduction(np.float32(1), count, *quantizations)


def optimized_mean(
    rounding: Rounding,
    count: int,
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> Table:
    """Return LiteRT's optimized mean over height and width of an image, dimensions kept.

    rounding: DOUBLE_UP in its vector code, DOUBLE_AWAY in what is left over.
    """
    offset = np.float32(input_zero_point) * np.float32(input_scale) / np.float32(output_scale)
    shift = output_zero_point - int(np.copysign(np.floor(np.abs(offset) + np.float32(0.5)), offset))
    multiplier, exponent = derive_multiplier(input_scale / (count * output_scale))
    values = requantize_ref(_sums(count), multiplier[0], exponent[0], int(rounding))
    return _saturated(values + shift)


def optimized_sum(
    count: int, input_scale: float, input_zero_point: int, output_scale: float, output_zero_point: int
) -> Table:
    """Return LiteRT's optimized sum: a product in double, rounded half away from zero."""
    real = (_sums(count) - count * input_zero_point) * (input_scale / output_scale)
    return _saturated(np.copysign(np.floor(np.abs(real) + 0.5), real) + output_zero_point)


def table_maker(profile: str, node: Node, shape: tuple[int, ...]) -> TableMaker | None:
    """Return how the runtime computes this mean or sum, or None if by the integers of `mean` and `sum`.

    shape: of the input, without the batch.

    Raises
    ------
    LoweringError
        The runtime computes some channels in one way and some in another.
    """
    if profile == xnnpack.PROFILE:
        return _xnnpack_sum if node.op == "sum" else _xnnpack_mean
    if profile != optimized.PROFILE:
        return None
    if node.op == "sum":
        return optimized_sum
    image = node.op == "mean" and len(shape) == 3 and node.attributes["axes"] == (0, 1)
    if not image or not node.attributes["keep_dims"]:
        return None
    if shape[-1] % _LANES and shape[-1] > _LANES:
        raise LoweringError(
            f"node {node.name} (mean): {profile} rounds {shape[-1] % _LANES} of the {shape[-1]} channels in "
            f"another way than the rest; only multiples of {_LANES} channels are reproduced"
        )
    return partial(optimized_mean, Rounding.DOUBLE_AWAY if shape[-1] % _LANES else Rounding.DOUBLE_UP)
