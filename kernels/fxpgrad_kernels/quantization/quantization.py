"""From one int8 quantization to another: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.quantization.quantization_ref import quantize_ref
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "quantize"]


@kernel
def quantize(input, multiplier, shift, output, input_zero_point, output_zero_point, rounding):
    """Express int8 values in another scale and zero point, saturating to int8.

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
    m, s = multiplier[0], shift[0]
    for i in range(output.size):
        centred = np.int64(input[i]) - input_zero_point
        value = requantize(centred, m, s, rounding) + output_zero_point
        output[i] = np.int8(min(max(value, np.int64(-128)), np.int64(127)))


SPECS = (
    KernelSpec(
        name="quantize_a8",
        operator="quantization",
        function=quantize,
        reference=quantize_ref,
        arguments=(
            array("input", "input", "int8", "N"),
            array("multiplier", "constant", "int32", "1", 0),
            array("shift", "constant", "int32", "1", -31, 30),
            array("output", "output", "int8", "N"),
            parameter("input_zero_point", -128, 127),
            parameter("output_zero_point", -128, 127),
            parameter("rounding", 0, 4),
        ),
    ),
)
