"""Logistic and tanh of int16 values by interpolation in one table: see `contract.md`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fxpgrad_kernels.arithmetic.rounding_shift import shift_right_nearest_up
from fxpgrad_kernels.arithmetic.saturate import saturate_int16
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.lookup.lookup_ref import logistic_a16_ref, tanh_a16_ref
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "logistic_a16", "tanh_a16"]


@device
def _interpolated(steps, table, fraction_bits, beyond):
    """Return the table at steps / 2**fraction_bits, times 2**fraction_bits; `beyond` from entry 255 on."""
    entry = steps >> fraction_bits
    if entry >= np.int64(255):
        return beyond
    part = steps & ((np.int64(1) << fraction_bits) - np.int64(1))
    low, high = np.int64(table[entry]), np.int64(table[entry + 1])
    return (low << fraction_bits) + part * (high - low)


@kernel
def logistic_a16(input, table, output, input_multiplier, input_shift):
    """Compute 1 / (1 + exp(-x)).

    Parameters
    ----------
    input : int16 [N]
        Activations, flat, zero point 0.
    table : int32 [256]
        The function at 0, 1/24, 2/24 and so on, times 2**16.
    output : int16 [N]
        Written; scale 2**-15, zero point 0.
    input_multiplier : int in [0, 32767], input_shift : int in [0, 31]
        Input scale * 12288 = input_multiplier / 2**input_shift.
    """
    for i in range(output.size):
        x = shift_right_nearest_up(np.int64(input[i]) * input_multiplier, input_shift)
        height = _interpolated(abs(x), table, np.int64(9), np.int64(0x7FFF << 10))
        if x < np.int64(0):
            height = np.int64((1 << 25) - 1) - height
        output[i] = saturate_int16((height + np.int64(512)) >> np.int64(10))


@kernel
def tanh_a16(input, table, output, input_multiplier, input_shift):
    """Compute tanh(x) = 2 / (1 + exp(-2 * x)) - 1; parameters as of `logistic_a16`."""
    for i in range(output.size):
        x = shift_right_nearest_up(np.int64(input[i]) * input_multiplier, input_shift)
        height = _interpolated(abs(x), table, np.int64(8), np.int64(0xFFFF << 8)) - np.int64(1 << 23)
        if x < np.int64(0):
            height = np.int64(-1) - height
        output[i] = (height + np.int64(128)) >> np.int64(8)


def _spec(name: str, function: Any, reference: Callable[..., Any]) -> KernelSpec:
    return KernelSpec(
        name=name,
        operator="lookup",
        function=function,
        reference=reference,
        arguments=(
            array("input", "input", "int16", "N"),
            array("table", "constant", "int32", "256", 2**15, 2**16 - 1),
            array("output", "output", "int16", "N"),
            parameter("input_multiplier", 0, 2**15 - 1),
            parameter("input_shift", 0, 31),
        ),
    )


SPECS = (
    _spec("logistic_a16", logistic_a16, logistic_a16_ref),
    _spec("tanh_a16", tanh_a16, tanh_a16_ref),
)
