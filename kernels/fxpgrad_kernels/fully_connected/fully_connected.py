"""Dense layers: output[b, o] = requantize(sum_i (x[b, i] - zero point) * w[o, i] + bias[o]).

The arithmetic is in `contract.md`, the product itself in `gemm`.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.flat_view import flat
from fxpgrad_kernels.fully_connected.fully_connected_ref import (
    fully_connected_accumulate_ref,
    fully_connected_ref,
)
from fxpgrad_kernels.gemm.ends import COLUMNS
from fxpgrad_kernels.gemm.gemm import BLOCK, SCRATCH, SPLIT, multiply_rows, rows_near, start_rows, widen_rows
from fxpgrad_kernels.gemm.prepare import NO_ROUNDING, panel_elements, prepare_layer, prepare_records
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.spec import KernelSpec, Preparation, Records, array, parameter


@kernel
def fully_connected(
    input, weights, bias, multiplier, shift, panels, channels, rows, scratch, output,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Multiply with 8- or 16-bit weights. Arguments: `SPECS`; arithmetic: `contract.md`.

    Panels narrower than the weights hold their bytes: the split form.
    """
    batch, length = input.shape
    units = output.shape[1]
    mode = np.int64(SPLIT) if panels.itemsize < weights.itemsize else accumulator_bits
    matrix, result = flat(input), flat(output)
    block = start_rows(length, batch, rows, scratch)
    for first in range(0, batch, block):
        count = min(block, batch - first)
        widen_rows(matrix, first, count, length, rows)
        multiply_rows(
            rows, scratch[SCRATCH - BLOCK :], count, scratch[SCRATCH:], np.int64(1), length, np.int64(1),
            np.int64(0), panels, channels, multiplier, shift, mode, rounding, output_zero_point, clamp_low,
            clamp_high, scratch, result[first * units :], None, units,
        )  # fmt: skip


@kernel
def fully_connected_accumulate(
    input, weights, bias, panels, channels, rows, scratch, output, input_zero_point, accumulator_bits
):
    """Write the int32 accumulators themselves (what an integer loss reads), saturated to int32."""
    batch, length = input.shape
    units = output.shape[1]
    none = np.int64(0)
    matrix, result = flat(input), flat(output)
    block = start_rows(length, batch, rows, scratch)
    for first in range(0, batch, block):
        count = min(block, batch - first)
        widen_rows(matrix, first, count, length, rows)
        multiply_rows(
            rows, scratch[SCRATCH - BLOCK :], count, scratch[SCRATCH:], np.int64(1), length, np.int64(1),
            none, panels, channels, bias, bias, accumulator_bits, none, none, none, none, scratch,
            scratch[:1].view(np.int8), result[first * units :], units,
        )  # fmt: skip


@kernel
def prepare_fully_connected(
    weights, bias, multiplier, shift, panels, channels, input_zero_point, output_zero_point, clamp_low,
    clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Write the panels and the records of `fully_connected`."""
    prepare_layer(
        flat(weights), bias, multiplier, shift, np.int64(1), np.int64(1), weights.shape[1],
        input_zero_point, rounding, panels, channels,
    )  # fmt: skip


@kernel
def prepare_fully_connected_accumulate(weights, bias, panels, channels, input_zero_point, accumulator_bits):
    """Write the panels and the records of `fully_connected_accumulate`."""
    prepare_layer(
        flat(weights), bias, bias, bias, np.int64(1), np.int64(1), weights.shape[1], input_zero_point,
        np.int64(NO_ROUNDING), panels, channels,
    )  # fmt: skip


@kernel
def prepare_fully_connected_records(
    weights, bias, multiplier, shift, panels, channels, new_channels, input_zero_point, output_zero_point,
    clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Write the records of `fully_connected` alone: the weights are those of `panels` and `channels`."""
    prepare_records(
        flat(weights), bias, multiplier, shift, np.int64(1), input_zero_point, rounding,
        panels.itemsize < weights.itemsize, channels, new_channels,
    )  # fmt: skip


@kernel
def prepare_fully_connected_accumulate_records(
    weights, bias, panels, channels, new_channels, input_zero_point, accumulator_bits
):
    """Write the records of `fully_connected_accumulate` alone."""
    prepare_records(
        flat(weights), bias, bias, bias, np.int64(1), input_zero_point, np.int64(NO_ROUNDING), False,
        channels, new_channels,
    )  # fmt: skip


def _workspace(shapes, parameters):
    length = shapes["input"][1] + shapes["input"][1] % 2
    return {"rows": rows_near(length) * length, "scratch": SCRATCH + 1}


def _elements(shapes, parameters):
    units, length = shapes["weights"]
    return panel_elements(units, 1, length)


def _elements_split(shapes, parameters):
    elements = _elements(shapes, parameters)
    return {**elements, "panels": 2 * elements["panels"]}


_WORKSPACES = (
    array("rows", "workspace", "int16", "R"),
    array("scratch", "workspace", "int64", "S"),
)


def _prepared(panel_dtype):
    return array("panels", "prepared", panel_dtype, "Q"), array("channels", "prepared", "int32", "C")


def _spec(name, function, weight_dtype, panel_dtype, preparation):
    return KernelSpec(
        name=name,
        operator="fully_connected",
        function=function,
        reference=fully_connected_ref,
        workspace=_workspace,
        preparation=preparation,
        arguments=(
            array("input", "input", "int8", "B I"),
            array("weights", "constant", weight_dtype, "O I"),
            array("bias", "constant", "int32", "O"),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            *_prepared(panel_dtype),
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
        preparation=_SUMS,
        arguments=(
            array("input", "input", "int8", "B I"),
            array("weights", "constant", weight_dtype, "O I"),
            array("bias", "constant", "int32", "O"),
            *_prepared(weight_dtype),
            *_WORKSPACES,
            array("output", "output", "int32", "B O"),
            parameter("input_zero_point", -128, 127),
            parameter("accumulator_bits", 32, 64),
        ),
    )


_RECORDS = Records(prepare_fully_connected_records, "channels")
_WHOLE = Preparation(prepare_fully_connected, _elements, COLUMNS, _RECORDS)
_SPLIT = Preparation(prepare_fully_connected, _elements_split, COLUMNS, _RECORDS)
_SUMS = Preparation(
    prepare_fully_connected_accumulate,
    _elements,
    COLUMNS,
    Records(prepare_fully_connected_accumulate_records, "channels"),
)

SPECS = (
    _spec("fully_connected_a8w8", fully_connected, "int8", "int8", _WHOLE),
    _spec("fully_connected_a8w16", fully_connected, "int16", "int16", _WHOLE),
    _spec("fully_connected_a8w16_split", fully_connected, "int16", "int8", _SPLIT),
    _accumulate_spec("fully_connected_accumulate_a8w8", "int8"),
    _accumulate_spec("fully_connected_accumulate_a8w16", "int16"),
)
