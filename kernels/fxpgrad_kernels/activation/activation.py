"""Clamping activations (relu, relu6 and their like) of int8 values: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.activation.activation_ref import clamp_ref
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "clamp"]


@kernel
def clamp(input, output, clamp_low, clamp_high):
    """Bound every value; input and output have one scale and zero point.

    Parameters
    ----------
    input : int8 [N]
        Activations, flat.
    output : int8 [N]
        Written; may be the input itself.
    clamp_low, clamp_high : int in [-128, 127]
        Bounds, low <= high.
    """
    low, high = np.int8(clamp_low), np.int8(clamp_high)
    for i in range(output.size):
        output[i] = min(max(input[i], low), high)


SPECS = (
    KernelSpec(
        name="clamp_a8",
        operator="activation",
        function=clamp,
        reference=clamp_ref,
        arguments=(
            array("input", "input", "int8", "N"),
            array("output", "output", "int8", "N"),
            parameter("clamp_low", -128, 127),
            parameter("clamp_high", -128, 127),
        ),
    ),
)
