"""Products of two matrices of activations, one for each batch element: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.dot_product import dot_in_blocks, dot_wide
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.batch_matmul.batch_matmul_ref import batch_matmul_16_ref, batch_matmul_ref
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter

_BLOCK = 2**14  # products of two values in [-255, 255] that fit int32


@device
def _arrange(matrix, start, lines, depth, across, zero_point, arranged):
    """Copy one matrix as int16 [lines, depth], centred; `across` says that it is stored [depth, lines]."""
    if across:
        for k in range(depth):
            source = matrix[start + k * lines : start + (k + 1) * lines]
            for i in range(source.size):
                arranged[i * depth + k] = np.int16(source[i] - zero_point)
        return
    source = matrix[start : start + lines * depth]
    for i in range(source.size):
        arranged[i] = np.int16(source[i] - zero_point)


@kernel
def batch_matmul(
    input_a, input_b, multiplier, shift, left, right, output, rows, depth, columns, adjoint_a, adjoint_b,
    input_a_zero_point, input_b_zero_point, output_zero_point, clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Multiply int8 matrices. Arguments: `SPECS`; arithmetic: `contract.md`."""
    for n in range(output.size // (rows * columns)):
        _arrange(input_a, n * rows * depth, rows, depth, adjoint_a != 0, input_a_zero_point, left)
        _arrange(input_b, n * columns * depth, columns, depth, adjoint_b == 0, input_b_zero_point, right)
        result = output[n * rows * columns : (n + 1) * rows * columns]
        for i in range(rows):
            row = left[i * depth : (i + 1) * depth]
            for j in range(columns):
                total = dot_in_blocks(row, right[j * depth : (j + 1) * depth], np.int64(_BLOCK))
                value = requantize(total, multiplier[0], shift[0], rounding) + output_zero_point
                result[i * columns + j] = np.int8(min(max(value, clamp_low), clamp_high))


@kernel
def batch_matmul_16(
    input_a, input_b, multiplier, shift, left, right, output, rows, depth, columns, adjoint_a, adjoint_b,
    clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Multiply int16 matrices. Arguments: `SPECS`; arithmetic: `contract.md`."""
    for n in range(output.size // (rows * columns)):
        _arrange(input_a, n * rows * depth, rows, depth, adjoint_a != 0, np.int64(0), left)
        _arrange(input_b, n * columns * depth, columns, depth, adjoint_b == 0, np.int64(0), right)
        result = output[n * rows * columns : (n + 1) * rows * columns]
        for i in range(rows):
            row = left[i * depth : (i + 1) * depth]
            for j in range(columns):
                total = dot_wide(row, right[j * depth : (j + 1) * depth])
                value = requantize(total, multiplier[0], shift[0], rounding)
                result[i * columns + j] = np.int16(min(max(value, clamp_low), clamp_high))


def _workspace(shapes, parameters):
    del shapes
    depth = parameters["depth"]
    return {"left": parameters["rows"] * depth, "right": parameters["columns"] * depth}


_MATRICES = (
    parameter("rows", 1, 2**31 - 1),
    parameter("depth", 1, 2**16),
    parameter("columns", 1, 2**31 - 1),
    parameter("adjoint_a", 0, 1),
    parameter("adjoint_b", 0, 1),
)


def _spec(name, dtype, function, reference, *zero_points):
    limit = 2**7 if dtype == "int8" else 2**15
    return KernelSpec(
        name=name,
        operator="batch_matmul",
        function=function,
        reference=reference,
        workspace=_workspace,
        arguments=(
            array("input_a", "input", dtype, "N"),
            array("input_b", "input", dtype, "M"),
            array("multiplier", "constant", "int32", "1", 0),
            array("shift", "constant", "int32", "1", -31, 30),
            array("left", "workspace", "int16", "L"),
            array("right", "workspace", "int16", "R"),
            array("output", "output", dtype, "P"),
            *_MATRICES,
            *zero_points,
            parameter("clamp_low", -limit, limit - 1),
            parameter("clamp_high", -limit, limit - 1),
            parameter("rounding", 0, 5),
        ),
    )


SPECS = (
    _spec(
        "batch_matmul_a8",
        "int8",
        batch_matmul,
        batch_matmul_ref,
        parameter("input_a_zero_point", -128, 127),
        parameter("input_b_zero_point", -128, 127),
        parameter("output_zero_point", -128, 127),
    ),
    _spec("batch_matmul_a16", "int16", batch_matmul_16, batch_matmul_16_ref),
)
