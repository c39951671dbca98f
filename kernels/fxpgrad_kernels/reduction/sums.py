"""Sums and means: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.arithmetic.uniform_requantize import store_requantized
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.reduction.columns import sums_of_columns
from fxpgrad_kernels.reduction.reduction_ref import mean_ref, sum_ref
from fxpgrad_kernels.spec import INT_RANGES, KernelSpec, Parameters, Shapes, array, parameter

__all__ = ["GREATEST_REDUCED", "SPECS", "mean", "sum_"]

GREATEST_REDUCED = {"int8": 2**23, "int16": 2**16 - 1}  # elements whose centred sum fits int32


@device
def _fold_count(multiplier, shift, count):
    """Return the pair of (multiplier, shift) / count: floor(multiplier * 2**k / count), shift - k.

    k = floor(log2(count)), kept at 32 or less and such that the shift stays at -31 or more.
    """
    k = np.int64(0)
    while count >> (k + np.int64(1)) > np.int64(0):
        k += np.int64(1)
    k = min(k, np.int64(32), np.int64(31) + shift)
    return (multiplier << k) // count, shift - k


@device
def _rescale(
    input, multiplier, shift, accumulator, output, reduced, inner, input_zero_point, output_zero_point,
    rounding,
):  # fmt: skip
    """Sum, take the zero point off and move to the output's scale."""
    high = (np.int64(1) << np.int64(8 * output.itemsize - 1)) - np.int64(1)
    low = -high - np.int64(1)
    offset = np.int64(reduced) * np.int64(input_zero_point)
    zero_point, area = np.int64(output_zero_point), np.int64(reduced) * np.int64(inner)
    start = np.int64(0)
    for first in range(0, output.size, inner):
        sums_of_columns(input, start, reduced, inner, accumulator)
        result = output[first : first + inner]
        store_requantized(accumulator, offset, multiplier, shift, rounding, result, zero_point, low, high)
        start += area


@kernel
def sum_(
    input, multiplier, shift, accumulator, output, reduced, inner, input_zero_point, output_zero_point,
    rounding,
):  # fmt: skip
    """Sum over the middle axis of [outer, reduced, inner], into another scale.

    Parameters
    ----------
    input : int8 or int16 [N]
        Activations, N = outer * reduced * inner.
    multiplier, shift : int32 [1]
        Pair of input scale / output scale.
    accumulator : int32 [inner]
        Workspace.
    output : as the input [M]
        Written, M = outer * inner.
    reduced, inner : int, at least 1
        Elements of one sum, and the step from one of them to the next.
    input_zero_point, output_zero_point : int
        Zero points, within the type.
    rounding : int
        A code of `profiles.Rounding`.
    """
    _rescale(
        input, multiplier[0], shift[0], accumulator, output, reduced, inner, input_zero_point,
        output_zero_point, rounding,
    )  # fmt: skip


@kernel
def mean(
    input, multiplier, shift, accumulator, output, reduced, inner, input_zero_point, output_zero_point,
    rounding,
):  # fmt: skip
    """Average over the middle axis: as `sum_`, with the division by `reduced` folded into the pair."""
    folded, folded_shift = _fold_count(np.int64(multiplier[0]), np.int64(shift[0]), np.int64(reduced))
    _rescale(
        input, folded, folded_shift, accumulator, output, reduced, inner, input_zero_point, output_zero_point,
        rounding,
    )  # fmt: skip


def _workspace(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del shapes
    return {"accumulator": parameters["inner"]}


def _specs(dtype: str) -> tuple[KernelSpec, ...]:
    bits = dtype.removeprefix("int")
    source, target = array("input", "input", dtype, "N"), array("output", "output", dtype, "M")
    accumulator = array("accumulator", "workspace", "int32", "I")
    extents = (parameter("reduced", 1, GREATEST_REDUCED[dtype]), parameter("inner", 1, 2**31 - 1))
    rescaled = (
        source,
        array("multiplier", "constant", "int32", "1", 0),
        array("shift", "constant", "int32", "1", -31, 30),
        accumulator,
        target,
        *extents,
        parameter("input_zero_point", *INT_RANGES[dtype]),
        parameter("output_zero_point", *INT_RANGES[dtype]),
        parameter("rounding", 0, 5),
    )
    return (
        KernelSpec(f"sum_a{bits}", "reduction", sum_, sum_ref, rescaled, _workspace),
        KernelSpec(f"mean_a{bits}", "reduction", mean, mean_ref, rescaled, _workspace),
    )


SPECS = (*_specs("int8"), *_specs("int16"))
