"""Dense layers: output[b, o] = requantize(sum_i (x[b, i] - zero point) * w[o, i] + bias[o]).

The arithmetic is in `contract.md`, the product itself in `gemm`.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.fully_connected.fully_connected_ref import (
    fully_connected_accumulate_ref,
    fully_connected_ref,
)
from fxpgrad_kernels.gemm.epilogue import load_channels, store_accumulators, store_requantized
from fxpgrad_kernels.gemm.gemm import SPLIT, compute_tile, prepare_panel
from fxpgrad_kernels.gemm.tile import COLUMNS, ROWS
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter


@device
def _widen_rows(input, first, rows, row_length):
    """Copy up to ROWS input rows as int16; return how many there were. Missing rows repeat the last."""
    count = min(ROWS, input.shape[0] - first)
    for r in range(ROWS):
        source = input[first + min(r, count - 1)]
        target = rows[r * row_length : r * row_length + source.size]
        for k in range(source.size):
            target[k] = np.int16(source[k])
    return count


@device
def _start(scratch, row_length):
    """Split the scratch into (wide, folded, channel_scales, row_offset, segment_offset)."""
    wide = scratch[: ROWS * COLUMNS]
    folded = scratch[ROWS * COLUMNS : (ROWS + 1) * COLUMNS]
    channel_scales = scratch[(ROWS + 1) * COLUMNS : (ROWS + 3) * COLUMNS]
    row_offset = scratch[(ROWS + 3) * COLUMNS : (ROWS + 3) * COLUMNS + ROWS]
    segment_offset = scratch[(ROWS + 3) * COLUMNS + ROWS :]
    for r in range(ROWS):
        row_offset[r] = r * row_length
    segment_offset[0] = 0
    return wide, folded, channel_scales, row_offset, segment_offset


@device
def _fully_connected(
    input, weights, bias, multiplier, shift, rows, panel, tile, scratch, output,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, mode,
):  # fmt: skip
    batch, length = input.shape
    units = weights.shape[0]
    row_length = length + (length & 1)
    flat_weights = weights.reshape(-1)
    wide, folded, channel_scales, row_offset, segment_offset = _start(scratch, row_length)
    for first in range(0, units, COLUMNS):
        count = min(COLUMNS, units - first)
        prepare_panel(
            flat_weights, bias, first, count, np.int64(1), length, input_zero_point, mode, panel, folded
        )
        load_channels(multiplier, shift, first, count, channel_scales)
        for b in range(0, batch, ROWS):
            valid = _widen_rows(input, b, rows, row_length)
            compute_tile(
                rows, row_offset, segment_offset, np.int64(1), length, panel, folded, mode, tile, wide
            )
            for r in range(valid):
                store_requantized(
                    wide, r, channel_scales, output_zero_point, clamp_low, clamp_high, rounding,
                    output[b + r][first : first + count],
                )  # fmt: skip


@kernel
def fully_connected(
    input, weights, bias, multiplier, shift, rows, panel, tile, scratch, output,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Multiply with 8- or 16-bit weights. Arguments: `SPECS`; arithmetic: `contract.md`."""
    _fully_connected(
        input, weights, bias, multiplier, shift, rows, panel, tile, scratch, output,
        input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
    )  # fmt: skip


@kernel
def fully_connected_split(
    input, weights, bias, multiplier, shift, rows, panel, tile, scratch, output,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Multiply with 16-bit weights as two passes of 8-bit ones; equal in every bit."""
    _fully_connected(
        input, weights, bias, multiplier, shift, rows, panel, tile, scratch, output,
        input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, np.int64(SPLIT),
    )  # fmt: skip


@kernel
def fully_connected_accumulate(
    input, weights, bias, rows, panel, tile, scratch, output, input_zero_point, accumulator_bits
):
    """Write the int32 accumulators themselves (what an integer loss reads), saturated to int32."""
    batch, length = input.shape
    units = weights.shape[0]
    row_length = length + (length & 1)
    flat_weights = weights.reshape(-1)
    wide, folded, _, row_offset, segment_offset = _start(scratch, row_length)
    for first in range(0, units, COLUMNS):
        count = min(COLUMNS, units - first)
        prepare_panel(
            flat_weights, bias, first, count, np.int64(1), length, input_zero_point,
            accumulator_bits, panel, folded,
        )  # fmt: skip
        for b in range(0, batch, ROWS):
            valid = _widen_rows(input, b, rows, row_length)
            compute_tile(
                rows, row_offset, segment_offset, np.int64(1), length, panel, folded,
                accumulator_bits, tile, wide,
            )  # fmt: skip
            for r in range(valid):
                store_accumulators(wide, r, output[b + r][first : first + count])


def _workspace(shapes, parameters, panels=1):
    length = shapes["input"][1] + shapes["input"][1] % 2
    return {
        "rows": ROWS * length,
        "panel": panels * length * COLUMNS,
        "tile": ROWS * COLUMNS,
        "scratch": (ROWS + 3) * COLUMNS + ROWS + 1,
    }


def _workspace_split(shapes, parameters):
    return _workspace(shapes, parameters, panels=2)


_WORKSPACES = (
    array("rows", "workspace", "int16", "R"),
    array("panel", "workspace", "int16", "Q"),
    array("tile", "workspace", "int32", "T"),
    array("scratch", "workspace", "int64", "S"),
)


def _spec(name, function, weight_dtype, workspace):
    return KernelSpec(
        name=name,
        operator="fully_connected",
        function=function,
        reference=fully_connected_ref,
        workspace=workspace,
        arguments=(
            array("input", "input", "int8", "B I"),
            array("weights", "constant", weight_dtype, "O I"),
            array("bias", "constant", "int32", "O"),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            *_WORKSPACES,
            array("output", "output", "int8", "B O"),
            parameter("input_zero_point", -128, 127),
            parameter("output_zero_point", -128, 127),
            parameter("clamp_low", -128, 127),
            parameter("clamp_high", -128, 127),
            parameter("rounding", 0, 5),
            parameter("accumulator_bits", 32, 64),
        ),
    )


def _accumulate_spec(name, weight_dtype):
    return KernelSpec(
        name=name,
        operator="fully_connected",
        function=fully_connected_accumulate,
        reference=fully_connected_accumulate_ref,
        workspace=_workspace,
        arguments=(
            array("input", "input", "int8", "B I"),
            array("weights", "constant", weight_dtype, "O I"),
            array("bias", "constant", "int32", "O"),
            *_WORKSPACES,
            array("output", "output", "int32", "B O"),
            parameter("input_zero_point", -128, 127),
            parameter("accumulator_bits", 32, 64),
        ),
    )


SPECS = (
    _spec("fully_connected_a8w8", fully_connected, "int8", _workspace),
    _spec("fully_connected_a8w16", fully_connected, "int16", _workspace),
    _spec("fully_connected_a8w16_split", fully_connected_split, "int16", _workspace_split),
    _accumulate_spec("fully_connected_accumulate_a8w8", "int8"),
    _accumulate_spec("fully_connected_accumulate_a8w16", "int16"),
)
