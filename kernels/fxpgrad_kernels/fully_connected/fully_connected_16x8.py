"""Dense layers of int16 activations and int8 weights, sums in int64: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.dot_product import dot_in_blocks
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.fully_connected.fully_connected_ref import fully_connected_16x8_ref
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter

_BLOCK = 511  # products of int16 and int8 that fit int32


@device
def _sum(values):
    """Return the sum of int8 values (int64)."""
    total = np.int64(0)
    for k in range(values.size):
        total += np.int64(values[k])
    return total


@kernel
def fully_connected_16x8(
    input, weights, bias, multiplier, shift, output, input_zero_point, output_zero_point, clamp_low,
    clamp_high, rounding,
):  # fmt: skip
    """Multiply int16 activations with int8 weights. Arguments: `SPECS`; arithmetic: `contract.md`."""
    for b in range(output.shape[0]):
        row = input[b]
        result = output[b]
        for o in range(result.size):
            total = bias[o] + dot_in_blocks(row, weights[o], np.int64(_BLOCK))
            if input_zero_point != 0:
                total -= input_zero_point * _sum(weights[o])
            value = requantize(total, multiplier[o], shift[o], rounding) + output_zero_point
            result[o] = np.int16(min(max(value, clamp_low), clamp_high))


SPECS = (
    KernelSpec(
        name="fully_connected_a16w8",
        operator="fully_connected",
        function=fully_connected_16x8,
        reference=fully_connected_16x8_ref,
        arguments=(
            array("input", "input", "int16", "B I"),
            array("weights", "constant", "int8", "O I"),
            array("bias", "constant", "int64", "O", -(2**46), 2**46),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            array("output", "output", "int16", "B O"),
            parameter("input_zero_point", -(2**15), 2**15 - 1),
            parameter("output_zero_point", -(2**15), 2**15 - 1),
            parameter("clamp_low", -(2**15), 2**15 - 1),
            parameter("clamp_high", -(2**15), 2**15 - 1),
            parameter("rounding", 0, 5),
        ),
    ),
)
