"""Hard swish by 16-bit fixed-point arithmetic: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.activation.activation_ref import hard_swish_ref
from fxpgrad_kernels.arithmetic.byte_table import ENTRIES, byte_table, read_table, table_elements
from fxpgrad_kernels.arithmetic.rounding_shift import shift_right_nearest_away, shift_right_truncate
from fxpgrad_kernels.arithmetic.saturate import saturate_int8, saturate_int16
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, Preparation, array, parameter

__all__ = ["SPECS", "hard_swish"]


@device
def _high(value, multiplier):
    """Return value * multiplier / 2**15, nearest, ties up."""
    return (np.int64(value) * np.int64(multiplier) + np.int64(1 << 14)) >> np.int64(15)


@device
def _gate(x, multiplier, exponent):
    """Return min(max(real / 3, -1), 1) with 15 fraction bits, for x in 1/128 steps of the input."""
    if exponent > np.int64(0):
        shifted = saturate_int16(x << (exponent - np.int64(1)))
        return saturate_int16(_high(shifted, multiplier) << np.int64(1))
    return shift_right_nearest_away(_high(x, multiplier), -exponent)


@kernel
def prepare_hard_swish(
    table, input_zero_point, output_zero_point, output_multiplier, output_exponent, gate_multiplier,
    gate_exponent,
):  # fmt: skip
    """Write the results for all int8 values, ascending; parameters as of `hard_swish`."""
    for i in range(ENTRIES):
        x = (np.int64(i - 128) - input_zero_point) << np.int64(7)
        gate = (_gate(x, gate_multiplier, gate_exponent) + np.int64(1 << 15)) >> np.int64(1)
        product = shift_right_truncate(gate * _high(x, output_multiplier), np.int64(15))
        value = shift_right_nearest_away(product, -output_exponent)
        table[i] = saturate_int8(value + output_zero_point)


@kernel
def hard_swish(
    input, table, output, input_zero_point, output_zero_point, output_multiplier, output_exponent,
    gate_multiplier, gate_exponent,
):  # fmt: skip
    """Compute x * min(max(x + 3, 0), 6) / 6.

    Parameters
    ----------
    input : int8 [N]
        Activations, flat.
    table : int8 [256]
        Prepared: the results for all values.
    output : int8 [N]
        Written.
    input_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    output_multiplier : int in [0, 32767], output_exponent : int in [-15, 0]
        Input scale / (128 * output scale) = output_multiplier * 2**(output_exponent - 15).
    gate_multiplier : int in [0, 32767], gate_exponent : int in [-15, 30]
        Input scale * 256 / 3 = gate_multiplier * 2**(gate_exponent - 15).
    """
    read_table(input, table, output)


SPECS = (
    KernelSpec(
        name="hard_swish_a8",
        operator="activation",
        function=hard_swish,
        reference=hard_swish_ref,
        preparation=Preparation(prepare_hard_swish, table_elements),
        arguments=(
            array("input", "input", "int8", "N"),
            byte_table(),
            array("output", "output", "int8", "N"),
            parameter("input_zero_point", -128, 127),
            parameter("output_zero_point", -128, 127),
            parameter("output_multiplier", 0, 2**15 - 1),
            parameter("output_exponent", -15, 0),
            parameter("gate_multiplier", 0, 2**15 - 1),
            parameter("gate_exponent", -15, 30),
        ),
    ),
)
