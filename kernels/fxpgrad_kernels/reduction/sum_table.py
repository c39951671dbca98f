"""Any function of the sum of int8 values, as a table: see `contract.md`.

Runtimes that compute means in floats of their own order have integers in and integers out, and only
255 n + 1 different sums between: the host writes down what each sum gives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.reduction.columns import sums_of_columns
from fxpgrad_kernels.reduction.sum_table_ref import sum_table_ref
from fxpgrad_kernels.spec import KernelSpec, Parameters, Shapes, array, parameter

__all__ = ["GREATEST_TABULATED", "SPECS", "sum_table"]

GREATEST_TABULATED = 2**14  # elements of one sum: a table of 4 MB


@kernel
def sum_table(input, table, accumulator, output, reduced, inner):
    """Write table[sum + 128 * reduced] for each sum over the middle axis of [outer, reduced, inner].

    Parameters
    ----------
    input : int8 [N]
        Activations, N = outer * reduced * inner.
    table : int8 [255 * reduced + 1]
        The result for each possible sum of raw values, ascending from -128 * reduced.
    accumulator : int32 [inner]
        Workspace.
    output : int8 [M]
        Written, M = outer * inner.
    reduced, inner : int, at least 1
        Elements of one sum, and the step from one of them to the next.
    """
    start = np.int64(0)
    for first in range(0, output.size, inner):
        sums_of_columns(input, start, reduced, inner, accumulator)
        result = output[first : first + inner]
        for i in range(inner):
            result[i] = table[np.uint64(np.int64(accumulator[i]) + np.int64(128) * reduced)]
        start += reduced * inner


def _workspace(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del shapes
    return {"accumulator": parameters["inner"]}


SPECS = (
    KernelSpec(
        name="sum_table_a8",
        operator="reduction",
        function=sum_table,
        reference=sum_table_ref,
        workspace=_workspace,
        arguments=(
            array("input", "input", "int8", "N"),
            array("table", "constant", "int8", "T"),
            array("accumulator", "workspace", "int32", "I"),
            array("output", "output", "int8", "M"),
            parameter("reduced", 1, GREATEST_TABULATED),
            parameter("inner", 1, 2**31 - 1),
        ),
    ),
)
