"""The greater or the smaller of two activations of one quantization: see `contract.md`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fxpgrad_kernels.elementwise.elementwise_ref import maximum_ref, minimum_ref
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.spec import KernelSpec, array

__all__ = ["SPECS", "maximum", "minimum"]


@kernel
def maximum(input_a, input_b, output):
    """Take the greater of each two values.

    Parameters
    ----------
    input_a, input_b : int8, int16 or int32 [N]
        Operands, flat, of one scale and zero point.
    output : same type [N]
        Written.
    """
    for i in range(output.size):
        output[i] = max(input_a[i], input_b[i])


@kernel
def minimum(input_a, input_b, output):
    """Take the smaller of each two values; parameters as of `maximum`."""
    for i in range(output.size):
        output[i] = min(input_a[i], input_b[i])


def _specs(name: str, function: Any, reference: Callable[..., Any]) -> tuple[KernelSpec, ...]:
    return tuple(
        KernelSpec(
            name=f"{name}_a{bits}",
            operator="elementwise",
            function=function,
            reference=reference,
            arguments=(
                array("input_a", "input", f"int{bits}", "N"),
                array("input_b", "input", f"int{bits}", "N"),
                array("output", "output", f"int{bits}", "N"),
            ),
        )
        for bits in (8, 16, 32)
    )


SPECS = _specs("maximum", maximum, maximum_ref) + _specs("minimum", minimum, minimum_ref)
