"""Leaky relu and the absolute value, from one quantization to another: see `contract.md`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fxpgrad_kernels.activation.activation_ref import absolute_ref, leaky_relu_ref
from fxpgrad_kernels.arithmetic.byte_table import ENTRIES, byte_table, read_table, table_elements
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.arithmetic.saturate import saturate_int8, saturate_int16
from fxpgrad_kernels.arithmetic.uniform_requantize import EVEN, plan_requantize, requantize_planned
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, Preparation, array, parameter

__all__ = ["SPECS", "absolute_a8", "absolute_a16", "leaky_relu_a8", "leaky_relu_a16"]


@device
def _leaky(x, multiplier, shift, rounding):
    if x >= np.int64(0):
        return requantize(x, multiplier[0], shift[0], rounding)
    return requantize(x, multiplier[1], shift[1], rounding)


@kernel
def prepare_leaky_relu(multiplier, shift, table, input_zero_point, output_zero_point, rounding):
    """Write the results for all int8 values, ascending; parameters as of `leaky_relu_a8`."""
    for i in range(ENTRIES):
        value = _leaky(np.int64(i - 128) - input_zero_point, multiplier, shift, rounding)
        table[i] = saturate_int8(value + output_zero_point)


@kernel
def leaky_relu_a8(input, multiplier, shift, table, output, input_zero_point, output_zero_point, rounding):
    """Multiply the values below zero by one slope.

    Parameters
    ----------
    input : int8 [N]
        Activations, flat.
    multiplier, shift : int32 [2]
        Pairs of input scale / output scale and input scale * alpha / output scale.
    table : int8 [256]
        Prepared: the results for all values.
    output : int8 [N]
        Written.
    input_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    rounding : int
        A code of `profiles.Rounding`.
    """
    read_table(input, table, output)


@kernel
def leaky_relu_a16(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Do as `leaky_relu_a8` for int16."""
    if rounding == EVEN:
        for i in range(output.size):
            value = _leaky(np.int64(input[i]) - input_zero_point, multiplier, shift, np.int64(EVEN))
            output[i] = saturate_int16(value + output_zero_point)
        return
    above = plan_requantize(multiplier[0], shift[0], rounding)
    below = plan_requantize(multiplier[1], shift[1], rounding)
    for i in range(output.size):
        x = np.int64(input[i]) - input_zero_point
        kept, scaled = requantize_planned(x, above), requantize_planned(x, below)
        output[i] = saturate_int16((kept if x >= np.int64(0) else scaled) + output_zero_point)


@kernel
def prepare_absolute(multiplier, shift, table, input_zero_point, output_zero_point, rounding):
    """Write the results for all int8 values, ascending; parameters as of `absolute_a8`."""
    for i in range(ENTRIES):
        distance = abs(np.int64(i - 128) - input_zero_point)
        value = requantize(distance, multiplier[0], shift[0], rounding)
        table[i] = saturate_int8(value + output_zero_point)


@kernel
def absolute_a8(input, multiplier, shift, table, output, input_zero_point, output_zero_point, rounding):
    """Take the distance from the zero point.

    Parameters
    ----------
    input : int8 [N]
        Activations, flat.
    multiplier, shift : int32 [1]
        Pair of input scale / output scale.
    table : int8 [256]
        Prepared: the results for all values.
    output : int8 [N]
        Written.
    input_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    rounding : int
        A code of `profiles.Rounding`.
    """
    read_table(input, table, output)


@kernel
def absolute_a16(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Do as `absolute_a8` for int16 and zero points 0."""
    for i in range(output.size):
        distance = abs(np.int64(input[i]) - input_zero_point)
        value = requantize(distance, multiplier[0], shift[0], rounding)
        output[i] = saturate_int16(value + output_zero_point)


def _spec(
    name: str,
    bits: int,
    function: Any,
    reference: Callable[..., Any],
    pairs: str,
    zero: int,
    prepare: Any = None,
) -> KernelSpec:
    """Return a spec; `zero` bounds the magnitude of the zero points, `prepare` fills a table of results."""
    low, high = max(-zero, -(2 ** (bits - 1))), min(zero, 2 ** (bits - 1) - 1)
    return KernelSpec(
        name=f"{name}_a{bits}",
        operator="activation",
        function=function,
        reference=reference,
        preparation=Preparation(prepare, table_elements) if prepare else None,
        arguments=(
            array("input", "input", f"int{bits}", "N"),
            array("multiplier", "constant", "int32", pairs, 0),
            array("shift", "constant", "int32", pairs, -31, 30),
            *((byte_table(),) if prepare else ()),
            array("output", "output", f"int{bits}", "N"),
            parameter("input_zero_point", low, high),
            parameter("output_zero_point", low, high),
            parameter("rounding", 0, 5),
        ),
    )


SPECS = (
    _spec("leaky_relu", 8, leaky_relu_a8, leaky_relu_ref, "2", 2**7, prepare_leaky_relu),
    _spec("leaky_relu", 16, leaky_relu_a16, leaky_relu_ref, "2", 2**15),
    _spec("abs", 8, absolute_a8, absolute_ref, "1", 2**7, prepare_absolute),
    _spec("abs", 16, absolute_a16, absolute_ref, "1", 0),
)
