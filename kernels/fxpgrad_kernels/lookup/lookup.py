"""Any function of an int8 value as a table: see `contract.md`."""

from __future__ import annotations

from fxpgrad_kernels.arithmetic.byte_table import read_table
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.lookup.lookup_ref import lookup_ref
from fxpgrad_kernels.spec import KernelSpec, array

__all__ = ["SPECS", "lookup"]


@kernel
def lookup(input, table, output):
    """Read every result off a table.

    Parameters
    ----------
    input : int8 [N]
        Activations, flat.
    table : int8 [256]
        The result of q stands at q + 128.
    output : int8 [N]
        Written.
    """
    read_table(input, table, output)


SPECS = (
    KernelSpec(
        name="lookup_a8",
        operator="lookup",
        function=lookup,
        reference=lookup_ref,
        arguments=(
            array("input", "input", "int8", "N"),
            array("table", "constant", "int8", "256"),
            array("output", "output", "int8", "N"),
        ),
    ),
)
