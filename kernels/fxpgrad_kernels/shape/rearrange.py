"""Moving elements by index - rearrange, gather: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.shape.rearrange_ref import gather_ref, rearrange_ref
from fxpgrad_kernels.spec import INT_RANGES, KernelSpec, array, parameter

__all__ = ["GREATEST_RANK", "SPECS", "gather", "rearrange"]

GREATEST_RANK = 8
_GREATEST = 2**31 - 1


@device
def _move(
    input, source, input_row, input_column, output, target, output_row, output_column, rows, columns
):  # fmt: skip
    """Copy a matrix; rows that are contiguous on both sides are a loop of their own.

    Positions are not negative. Unsigned ones keep Numba from asking whether they count from the end,
    and so let LLVM vectorize the loop.
    """
    if input_column == 1 and output_column == 1:
        for _ in range(rows):
            for i in range(columns):
                output[np.uint64(target + i)] = input[np.uint64(source + i)]
            source += input_row
            target += output_row
    else:
        for _ in range(rows):
            for i in range(columns):
                output[np.uint64(target + i * output_column)] = input[np.uint64(source + i * input_column)]
            source += input_row
            target += output_row


@kernel
def rearrange(
    input, extents, input_strides, output_strides, output, input_elements, output_elements, input_offset,
    output_offset, fill,
):  # fmt: skip
    """Move a box of elements from anywhere to anywhere; fill the rest of the output.

    Parameters
    ----------
    input : int8, int16 or int32 [N]
        Samples of `input_elements` elements.
    extents : int32 [R], R in [1, 8], each at least 1
        Axes of the box, the outermost first.
    input_strides : int32 [R]
        Step in the input along each axis; 0 repeats an element, below 0 runs backwards.
    output_strides : int32 [R], each at least 1
        Step in the output along each axis; no two indices may meet in one element.
    output : the input's dtype [M]
        Written completely: as many samples, of `output_elements` elements.
    input_elements, output_elements : int, at least 1
        Elements of one sample.
    input_offset, output_offset : int, at least 0
        Where index (0, ..., 0) lies in a sample.
    fill : int in the range of the dtype
        The value of the elements that no index reaches.
    """
    rank = extents.size
    columns = np.int64(extents[rank - 1])
    input_column, output_column = np.int64(input_strides[rank - 1]), np.int64(output_strides[rank - 1])
    rows, input_row, output_row = np.int64(1), np.int64(0), np.int64(0)
    if rank > 1:
        rows = np.int64(extents[rank - 2])
        input_row, output_row = np.int64(input_strides[rank - 2]), np.int64(output_strides[rank - 2])
    blocks = np.int64(1)
    for axis in range(rank - 2):
        blocks *= np.int64(extents[axis])
    samples = np.int64(input.size) // input_elements
    for sample in range(samples):
        first_target = sample * output_elements
        if blocks * rows * columns < output_elements:
            for i in range(output_elements):
                output[np.uint64(first_target + i)] = fill
        for block in range(blocks):
            # The index of the outer axes, from one number: only the two innermost axes are loops.
            source = sample * input_elements + input_offset
            target = first_target + output_offset
            rest = np.int64(block)
            for k in range(rank - 2):
                axis = rank - 3 - k
                extent = np.int64(extents[axis])
                above = rest // extent
                source += (rest - above * extent) * np.int64(input_strides[axis])
                target += (rest - above * extent) * np.int64(output_strides[axis])
                rest = above
            _move(
                input, source, input_row, input_column,
                output, target, output_row, output_column, rows, columns,
            )  # fmt: skip


@kernel
def gather(input, indices, output, extent, inner):
    """Pick entries of one axis by a constant list: (outer, extent, inner) to (outer, J, inner).

    Parameters
    ----------
    input : int8, int16 or int32 [N]
        Seen as [outer, extent, inner]; outer is N / (extent * inner) and holds the batch.
    indices : int32 [J], each in [0, extent)
        Which entry each entry of the output is.
    output : the input's dtype [M], M = outer * J * inner
        Written.
    extent : int, at least 1
        Entries of the input's axis.
    inner : int, at least 1
        Elements of one entry.
    """
    outer = np.int64(input.size) // (extent * inner)
    target = np.int64(0)
    for block in range(outer):
        first = block * extent
        if inner == 1:
            for j in range(indices.size):
                output[np.uint64(target + j)] = input[np.uint64(first + np.int64(indices[j]))]
            target += indices.size
        else:
            for j in range(indices.size):
                source = (first + np.int64(indices[j])) * inner
                for i in range(inner):
                    output[np.uint64(target + i)] = input[np.uint64(source + i)]
                target += inner


def _specs(bits: int) -> tuple[KernelSpec, ...]:
    dtype = f"int{bits}"
    return (
        KernelSpec(
            name=f"rearrange_a{bits}",
            operator="shape",
            function=rearrange,
            reference=rearrange_ref,
            arguments=(
                array("input", "input", dtype, "N"),
                array("extents", "constant", "int32", "R", 1),
                array("input_strides", "constant", "int32", "R"),
                array("output_strides", "constant", "int32", "R", 1),
                array("output", "output", dtype, "M"),
                parameter("input_elements", 1, _GREATEST),
                parameter("output_elements", 1, _GREATEST),
                parameter("input_offset", 0, _GREATEST),
                parameter("output_offset", 0, _GREATEST),
                parameter("fill", *INT_RANGES[dtype]),
            ),
        ),
        KernelSpec(
            name=f"gather_a{bits}",
            operator="shape",
            function=gather,
            reference=gather_ref,
            arguments=(
                array("input", "input", dtype, "N"),
                array("indices", "constant", "int32", "J", 0),
                array("output", "output", dtype, "M"),
                parameter("extent", 1, _GREATEST),
                parameter("inner", 1, _GREATEST),
            ),
        ),
    )


SPECS = (*_specs(8), *_specs(16), *_specs(32))
