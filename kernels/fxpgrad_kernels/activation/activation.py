"""Clamping activations (relu, relu6 and their like): see `contract.md`."""

from __future__ import annotations

from fxpgrad_kernels.activation.activation_ref import clamp_ref
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "clamp"]


@kernel
def clamp(input, output, clamp_low, clamp_high):
    """Bound every value; input and output have one scale and zero point.

    Parameters
    ----------
    input : int8 or int16 [N]
        Activations, flat.
    output : same type [N]
        Written; may be the input itself.
    clamp_low, clamp_high : int
        Bounds within the type, low <= high.
    """
    # In the type of the values: SIMD lanes stay narrow.
    low, high = input.dtype.type(clamp_low), input.dtype.type(clamp_high)
    for i in range(output.size):
        output[i] = min(max(input[i], low), high)


def _spec(bits: int) -> KernelSpec:
    dtype, low, high = f"int{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return KernelSpec(
        name=f"clamp_a{bits}",
        operator="activation",
        function=clamp,
        reference=clamp_ref,
        arguments=(
            array("input", "input", dtype, "N"),
            array("output", "output", dtype, "N"),
            parameter("clamp_low", low, high),
            parameter("clamp_high", low, high),
        ),
    )


SPECS = (_spec(8), _spec(16))
