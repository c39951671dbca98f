"""Moving whole stretches - concatenate, reshape, constant: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.shape.shape_ref import (
    concatenate_block_ref,
    constant_ref,
    reshape_ref,
)
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "concatenate_block", "constant", "reshape"]

_GREATEST = 2**31 - 1


@kernel
def concatenate_block(input, output, input_row, output_row, column):
    """Copy rows into the columns of wider rows; concatenation of k tensors is k calls.

    Parameters
    ----------
    input : int8, int16 or int32 [N]
        Rows of `input_row` elements: the axis and everything after it. The axes before it, and the
        batch, are the rows.
    output : the input's dtype [M]
        As many rows, of `output_row` elements; columns [column, column + input_row) are written, the
        others kept.
    input_row, output_row : int, at least 1
        Elements of a row.
    column : int in [0, output_row - input_row]
        Where the block starts.
    """
    rows = np.int64(input.size) // input_row
    for row in range(rows):
        source, target = row * input_row, row * output_row + column
        for i in range(input_row):
            output[np.uint64(target + i)] = input[np.uint64(source + i)]


@kernel
def reshape(input, output):
    """Copy int8, int16 or int32 [N] to [N] in the same order; also what sets a state."""
    for i in range(output.size):
        output[i] = input[i]


@kernel
def constant(value, output):
    """Write one constant tensor for every sample.

    Parameters
    ----------
    value : int8, int16 or int32 [M]
        One sample.
    output : the value's dtype [N], N a multiple of M
        Written: output[i] = value[i mod M].
    """
    samples = np.int64(output.size) // np.int64(value.size)
    target = np.int64(0)
    for _ in range(samples):
        for i in range(value.size):
            output[np.uint64(target + i)] = value[i]
        target += value.size


def _specs(bits: int) -> tuple[KernelSpec, ...]:
    dtype = f"int{bits}"
    return (
        KernelSpec(
            name=f"concatenate_block_a{bits}",
            operator="shape",
            function=concatenate_block,
            reference=concatenate_block_ref,
            arguments=(
                array("input", "input", dtype, "N"),
                array("output", "output", dtype, "M"),
                parameter("input_row", 1, _GREATEST),
                parameter("output_row", 1, _GREATEST),
                parameter("column", 0, _GREATEST),
            ),
        ),
        KernelSpec(
            name=f"reshape_a{bits}",
            operator="shape",
            function=reshape,
            reference=reshape_ref,
            arguments=(array("input", "input", dtype, "N"), array("output", "output", dtype, "N")),
        ),
        KernelSpec(
            name=f"constant_a{bits}",
            operator="shape",
            function=constant,
            reference=constant_ref,
            arguments=(array("value", "constant", dtype, "M"), array("output", "output", dtype, "N")),
        ),
    )


SPECS = (*_specs(8), *_specs(16), *_specs(32))
