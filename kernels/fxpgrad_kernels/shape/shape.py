"""Moving int8 values without arithmetic - pad, concatenate, reshape: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.shape.shape_ref import copy_block_ref, pad_ref, reshape_ref
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "copy_block", "pad", "reshape"]


@kernel
def pad(input, output, pad_top, pad_bottom, pad_left, pad_right, input_zero_point):
    """Surround images with the zero point, which stands for the real number 0.

    Parameters
    ----------
    input : int8 [B, H, W, C]
        Activations.
    output : int8 [B, pad_top + H + pad_bottom, pad_left + W + pad_right, C]
        Written.
    pad_top, pad_bottom, pad_left, pad_right : int, at least 0
        Pixels added on each side.
    input_zero_point : int in [-128, 127]
        The value added.
    """
    fill = np.int8(input_zero_point)
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    for b in range(output.shape[0]):
        for oh in range(output.shape[1]):
            y = oh - pad_top
            for ow in range(output.shape[2]):
                x = ow - pad_left
                if 0 <= y < height and 0 <= x < width:
                    for c in range(channels):
                        output[b, oh, ow, c] = input[b, y, x, c]
                else:
                    for c in range(channels):
                        output[b, oh, ow, c] = fill


@kernel
def copy_block(input, output, column):
    """Copy a block into the columns of a wider array; concatenation of k tensors is k calls.

    Parameters
    ----------
    input : int8 [R, I]
        One tensor, seen as (everything before the axis) x (the axis and everything after it).
    output : int8 [R, O]
        Columns [column, column + I) are written, the others kept.
    column : int in [0, O - I]
        Where the block starts.
    """
    for r in range(input.shape[0]):
        for i in range(input.shape[1]):
            output[r, column + i] = input[r, i]


@kernel
def reshape(input, output):
    """Copy int8 [N] to int8 [N] in the same order."""
    for i in range(output.size):
        output[i] = input[i]


SPECS = (
    KernelSpec(
        name="pad_a8",
        operator="shape",
        function=pad,
        reference=pad_ref,
        arguments=(
            array("input", "input", "int8", "B H W C"),
            array("output", "output", "int8", "B OH OW C"),
            parameter("pad_top", 0, 2**15),
            parameter("pad_bottom", 0, 2**15),
            parameter("pad_left", 0, 2**15),
            parameter("pad_right", 0, 2**15),
            parameter("input_zero_point", -128, 127),
        ),
    ),
    KernelSpec(
        name="copy_block_a8",
        operator="shape",
        function=copy_block,
        reference=copy_block_ref,
        arguments=(
            array("input", "input", "int8", "R I"),
            array("output", "output", "int8", "R O"),
            parameter("column", 0, 2**31 - 1),
        ),
    ),
    KernelSpec(
        name="reshape_a8",
        operator="shape",
        function=reshape,
        reference=reshape_ref,
        arguments=(array("input", "input", "int8", "N"), array("output", "output", "int8", "N")),
    ),
)
