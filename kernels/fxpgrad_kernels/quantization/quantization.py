"""From one quantization to another: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.byte_table import ENTRIES, byte_table, read_table, table_elements
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.arithmetic.saturate import (
    INT8_MAX,
    INT8_MIN,
    INT16_MAX,
    INT16_MIN,
    saturate_int8,
    saturate_int16,
    saturate_int32,
)
from fxpgrad_kernels.arithmetic.uniform_requantize import store_requantized
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.quantization.quantization_ref import (
    quantize_ref,
    quantize_to_a16_ref,
    quantize_to_a32_ref,
)
from fxpgrad_kernels.spec import INT_RANGES, KernelSpec, Preparation, array, parameter

__all__ = ["SPECS", "quantize", "quantize_a8", "quantize_to_a16", "quantize_to_a32"]


@kernel
def prepare_quantize(multiplier, shift, table, input_zero_point, output_zero_point, rounding):
    """Write the results for all int8 values, ascending; parameters as of `quantize`."""
    for i in range(ENTRIES):
        value = requantize(np.int64(i - 128) - input_zero_point, multiplier[0], shift[0], rounding)
        table[i] = saturate_int8(value + output_zero_point)


@kernel
def quantize_a8(input, multiplier, shift, table, output, input_zero_point, output_zero_point, rounding):
    """Do as `quantize` for int8 by the prepared int8 table [256] of all results."""
    read_table(input, table, output)


@kernel
def quantize(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Express values in another scale and zero point, saturating to int8.

    Parameters
    ----------
    input : int16 or int32 [N]
        Activations, flat.
    multiplier, shift : int32 [1]
        Pair of input scale / output scale.
    output : int8 [N]
        Written.
    input_zero_point, output_zero_point : int
        Zero points, within the types.
    rounding : int
        A code of `profiles.Rounding`.
    """
    if input.itemsize < 4:
        offset, zero_point = np.int64(input_zero_point), np.int64(output_zero_point)
        store_requantized(
            input, offset, multiplier[0], shift[0], rounding, output, zero_point, INT8_MIN, INT8_MAX
        )
        return
    m, s = multiplier[0], shift[0]
    for i in range(output.size):
        value = requantize(np.int64(input[i]) - input_zero_point, m, s, rounding)
        output[i] = saturate_int8(value + output_zero_point)


@kernel
def quantize_to_a16(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Do as `quantize`, saturating to int16."""
    if input.itemsize < 4:
        offset, zero_point = np.int64(input_zero_point), np.int64(output_zero_point)
        store_requantized(
            input, offset, multiplier[0], shift[0], rounding, output, zero_point, INT16_MIN, INT16_MAX
        )
        return
    m, s = multiplier[0], shift[0]
    for i in range(output.size):
        value = requantize(np.int64(input[i]) - input_zero_point, m, s, rounding)
        output[i] = saturate_int16(value + output_zero_point)


@kernel
def quantize_to_a32(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Do as `quantize`, saturating to int32."""
    m, s = multiplier[0], shift[0]
    for i in range(output.size):
        value = requantize(np.int64(input[i]) - input_zero_point, m, s, rounding)
        output[i] = saturate_int32(value + output_zero_point)


_FUNCTIONS = {
    8: (quantize, quantize_ref),
    16: (quantize_to_a16, quantize_to_a16_ref),
    32: (quantize_to_a32, quantize_to_a32_ref),
}


def _spec(source: int, target: int) -> KernelSpec:
    function, reference = _FUNCTIONS[target]
    tabulated = source == target == 8
    return KernelSpec(
        name=f"quantize_a{source}" if source == target else f"quantize_a{source}_a{target}",
        operator="quantization",
        function=quantize_a8 if tabulated else function,
        reference=reference,
        preparation=Preparation(prepare_quantize, table_elements) if tabulated else None,
        arguments=(
            array("input", "input", f"int{source}", "N"),
            array("multiplier", "constant", "int32", "1", 0),
            array("shift", "constant", "int32", "1", -31, 30),
            *((byte_table(),) if tabulated else ()),
            array("output", "output", f"int{target}", "N"),
            parameter("input_zero_point", *INT_RANGES[f"int{source}"]),
            parameter("output_zero_point", *INT_RANGES[f"int{target}"]),
            parameter("rounding", 0, 5),
        ),
    )


_PAIRS = ((8, 8), (8, 16), (8, 32), (16, 8), (16, 16), (16, 32), (32, 8), (32, 16))
SPECS = tuple(_spec(source, target) for source, target in _PAIRS)
