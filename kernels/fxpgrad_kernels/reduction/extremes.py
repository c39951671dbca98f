"""The largest and the smallest, and where they stand: see `contract.md`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.reduction.reduction_ref import arg_max_ref, arg_min_ref, reduce_max_ref, reduce_min_ref
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "arg_max", "arg_min", "reduce_max", "reduce_min"]


@kernel
def reduce_max(input, output, reduced, inner):
    """Take the largest over the middle axis of [outer, reduced, inner].

    Parameters
    ----------
    input : int8 or int16 [N]
        Activations, N = outer * reduced * inner.
    output : as the input [M]
        Written, M = outer * inner; the input's quantization.
    reduced, inner : int, at least 1
        Elements that one result is taken of, and the step from one of them to the next.
    """
    for first in range(0, output.size, inner):
        start = np.int64(first) * np.int64(reduced)
        for i in range(inner):
            output[first + i] = input[start + i]
        for row in range(1, reduced):
            for i in range(inner):
                output[first + i] = max(output[first + i], input[start + row * inner + i])


@kernel
def reduce_min(input, output, reduced, inner):
    """Take the smallest over the middle axis: arguments as in `reduce_max`."""
    for first in range(0, output.size, inner):
        start = np.int64(first) * np.int64(reduced)
        for i in range(inner):
            output[first + i] = input[start + i]
        for row in range(1, reduced):
            for i in range(inner):
                output[first + i] = min(output[first + i], input[start + row * inner + i])


@kernel
def arg_max(input, output, reduced, inner):
    """Find the place of the largest over the middle axis; the first of equals.

    Arguments as in `reduce_max`, but output : int32 [M], in [0, reduced).
    """
    for first in range(0, output.size, inner):
        start = np.int64(first) * np.int64(reduced)
        for i in range(inner):
            best = np.int64(0)
            for row in range(1, reduced):
                if input[start + row * inner + i] > input[start + best * inner + i]:
                    best = np.int64(row)
            output[first + i] = best


@kernel
def arg_min(input, output, reduced, inner):
    """Find the place of the smallest over the middle axis; the first of equals. Arguments as in `arg_max`."""
    for first in range(0, output.size, inner):
        start = np.int64(first) * np.int64(reduced)
        for i in range(inner):
            best = np.int64(0)
            for row in range(1, reduced):
                if input[start + row * inner + i] < input[start + best * inner + i]:
                    best = np.int64(row)
            output[first + i] = best


def _spec(name: str, function: Any, reference: Any, dtype: str, result: str) -> KernelSpec:
    return KernelSpec(
        f"{name}_a{dtype.removeprefix('int')}",
        "reduction",
        function,
        reference,
        (
            array("input", "input", dtype, "N"),
            array("output", "output", result, "M"),
            parameter("reduced", 1, 2**31 - 1),
            parameter("inner", 1, 2**31 - 1),
        ),
    )


SPECS = tuple(
    spec
    for dtype in ("int8", "int16")
    for spec in (
        _spec("reduce_max", reduce_max, reduce_max_ref, dtype, dtype),
        _spec("reduce_min", reduce_min, reduce_min_ref, dtype, dtype),
        _spec("arg_max", arg_max, arg_max_ref, dtype, "int32"),
        _spec("arg_min", arg_min, arg_min_ref, dtype, "int32"),
    )
)
