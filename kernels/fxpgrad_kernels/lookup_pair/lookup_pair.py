"""A function of two int8 values as one table: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.lookup_pair.lookup_pair_ref import lookup_pair_ref
from fxpgrad_kernels.spec import KernelSpec, array

__all__ = ["SPECS", "lookup_pair"]


@kernel
def lookup_pair(input_a, input_b, table, output):
    """Write table[256 * (a + 128) + (b + 128)] for each pair of values.

    Parameters
    ----------
    input_a, input_b : int8 [N]
        Operands, flat.
    table : int8 [65536]
        The results: a row for each value of a, ascending; in it one for each value of b, ascending.
    output : int8 [N]
        Written.
    """
    for i in range(output.size):
        row = (np.int64(input_a[i]) + 128) << 8
        output[i] = table[row + np.int64(input_b[i]) + 128]


SPECS = (
    KernelSpec(
        name="lookup_pair_a8",
        operator="lookup_pair",
        function=lookup_pair,
        reference=lookup_pair_ref,
        arguments=(
            array("input_a", "input", "int8", "N"),
            array("input_b", "input", "int8", "N"),
            array("table", "constant", "int8", "65536"),
            array("output", "output", "int8", "N"),
        ),
    ),
)
