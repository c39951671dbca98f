"""A function of one int8 value read off its 256 results."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.jit import device
from fxpgrad_kernels.spec import Argument, Parameters, Shapes, array

__all__ = ["ENTRIES", "byte_table", "read_table", "table_elements"]

ENTRIES = 256


def byte_table() -> Argument:
    """Describe the prepared argument of a kernel that works out all 256 results beforehand."""
    return array("table", "prepared", "int8", "T")


def table_elements(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    """Return the elements of `byte_table`."""
    del shapes, parameters
    return {"table": ENTRIES}


@device
def read_table(input, table, output):
    """Write table[q + 128] for each int8 q; the output is as long and has the table's type."""
    for i in range(output.size):
        output[i] = table[np.uint64(np.int64(input[i]) + np.int64(128))]
