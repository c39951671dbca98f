"""Leaky relu and the absolute value, from one quantization to another: see `contract.md`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fxpgrad_kernels.activation.activation_ref import absolute_ref, leaky_relu_ref
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.arithmetic.saturate import saturate_int8, saturate_int16
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "absolute_a8", "absolute_a16", "leaky_relu_a8", "leaky_relu_a16"]


@device
def _leaky(x, multiplier, shift, rounding):
    if x >= np.int64(0):
        return requantize(x, multiplier[0], shift[0], rounding)
    return requantize(x, multiplier[1], shift[1], rounding)


@kernel
def leaky_relu_a8(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Multiply the values below zero by one slope.

    Parameters
    ----------
    input : int8 [N]
        Activations, flat.
    multiplier, shift : int32 [2]
        Pairs of input scale / output scale and input scale * alpha / output scale.
    output : int8 [N]
        Written.
    input_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    rounding : int
        A code of `profiles.Rounding`.
    """
    for i in range(output.size):
        value = _leaky(np.int64(input[i]) - input_zero_point, multiplier, shift, rounding)
        output[i] = saturate_int8(value + output_zero_point)


@kernel
def leaky_relu_a16(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Do as `leaky_relu_a8` for int16."""
    for i in range(output.size):
        value = _leaky(np.int64(input[i]) - input_zero_point, multiplier, shift, rounding)
        output[i] = saturate_int16(value + output_zero_point)


@kernel
def absolute_a8(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Take the distance from the zero point.

    Parameters
    ----------
    input : int8 [N]
        Activations, flat.
    multiplier, shift : int32 [1]
        Pair of input scale / output scale.
    output : int8 [N]
        Written.
    input_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    rounding : int
        A code of `profiles.Rounding`.
    """
    for i in range(output.size):
        distance = abs(np.int64(input[i]) - input_zero_point)
        value = requantize(distance, multiplier[0], shift[0], rounding)
        output[i] = saturate_int8(value + output_zero_point)


@kernel
def absolute_a16(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Do as `absolute_a8` for int16 and zero points 0."""
    for i in range(output.size):
        distance = abs(np.int64(input[i]) - input_zero_point)
        value = requantize(distance, multiplier[0], shift[0], rounding)
        output[i] = saturate_int16(value + output_zero_point)


def _spec(
    name: str, bits: int, function: Any, reference: Callable[..., Any], pairs: str, zero: int
) -> KernelSpec:
    """Return a spec; `zero` bounds the magnitude of the zero points."""
    low, high = max(-zero, -(2 ** (bits - 1))), min(zero, 2 ** (bits - 1) - 1)
    return KernelSpec(
        name=f"{name}_a{bits}",
        operator="activation",
        function=function,
        reference=reference,
        arguments=(
            array("input", "input", f"int{bits}", "N"),
            array("multiplier", "constant", "int32", pairs, 0),
            array("shift", "constant", "int32", pairs, -31, 30),
            array("output", "output", f"int{bits}", "N"),
            parameter("input_zero_point", low, high),
            parameter("output_zero_point", low, high),
            parameter("rounding", 0, 5),
        ),
    )


SPECS = (
    _spec("leaky_relu", 8, leaky_relu_a8, leaky_relu_ref, "2", 2**7),
    _spec("leaky_relu", 16, leaky_relu_a16, leaky_relu_ref, "2", 2**15),
    _spec("abs", 8, absolute_a8, absolute_ref, "1", 2**7),
    _spec("abs", 16, absolute_a16, absolute_ref, "1", 0),
)
