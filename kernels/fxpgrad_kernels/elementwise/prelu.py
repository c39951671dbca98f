"""A slope for each element below zero: see `contract.md`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad_kernels.arithmetic.float32_rounding import requantize_float32_even
from fxpgrad_kernels.arithmetic.saturate import INT8_MAX, INT8_MIN, INT16_MAX, INT16_MIN
from fxpgrad_kernels.arithmetic.uniform_requantize import EVEN, plan_requantize, requantize_planned
from fxpgrad_kernels.elementwise.elementwise_ref import prelu_ref
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "prelu_a8", "prelu_a16"]


@device
def _prelu(
    input, slope, multiplier, shift, output, input_zero_point, slope_zero_point, output_zero_point, low, high,
    rounding,
):  # fmt: skip
    """Write x, or x * slope for x below zero, in output units."""
    if rounding == EVEN:
        for i in range(output.size):
            x = np.int64(input[i]) - input_zero_point
            product = x if x >= np.int64(0) else x * (np.int64(slope[i]) - slope_zero_point)
            pair = np.int64(x < np.int64(0))
            value = requantize_float32_even(product, np.int64(multiplier[pair]), np.int64(shift[pair]))
            output[i] = min(max(value + output_zero_point, low), high)
        return
    above = plan_requantize(multiplier[0], shift[0], rounding)
    below = plan_requantize(multiplier[1], shift[1], rounding)
    for i in range(output.size):
        x = np.int64(input[i]) - input_zero_point
        kept = requantize_planned(x, above)
        scaled = requantize_planned(x * (np.int64(slope[i]) - slope_zero_point), below)
        value = (kept if x >= np.int64(0) else scaled) + output_zero_point
        output[i] = min(max(value, low), high)


@kernel
def prelu_a8(
    input, slope, multiplier, shift, output, input_zero_point, slope_zero_point, output_zero_point, rounding
):
    """Multiply the values below zero by a slope each.

    Parameters
    ----------
    input : int8 [N]
        Activations, flat.
    slope : int8 [N]
        One for each of them.
    multiplier, shift : int32 [2]
        Pairs of input scale / output scale and input scale * slope scale / output scale.
    output : int8 [N]
        Written.
    input_zero_point, slope_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    rounding : int
        A code of `profiles.Rounding`.
    """
    _prelu(
        input, slope, multiplier, shift, output, input_zero_point, slope_zero_point, output_zero_point,
        INT8_MIN, INT8_MAX, rounding,
    )  # fmt: skip


@kernel
def prelu_a16(
    input, slope, multiplier, shift, output, input_zero_point, slope_zero_point, output_zero_point, rounding
):
    """Do as `prelu_a8` for int16 activations; slopes stay int8."""
    _prelu(
        input, slope, multiplier, shift, output, input_zero_point, slope_zero_point, output_zero_point,
        INT16_MIN, INT16_MAX, rounding,
    )  # fmt: skip


def _spec(bits: int, function: Any) -> KernelSpec:
    dtype, low, high = f"int{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return KernelSpec(
        name=f"prelu_a{bits}",
        operator="elementwise",
        function=function,
        reference=prelu_ref,
        arguments=(
            array("input", "input", dtype, "N"),
            array("slope", "input", "int8", "N"),
            array("multiplier", "constant", "int32", "2", 0),
            array("shift", "constant", "int32", "2", -31, 30),
            array("output", "output", dtype, "N"),
            parameter("input_zero_point", low, high),
            parameter("slope_zero_point", -128, 127),
            parameter("output_zero_point", low, high),
            parameter("rounding", 0, 5),
        ),
    )


SPECS = (_spec(8, prelu_a8), _spec(16, prelu_a16))
