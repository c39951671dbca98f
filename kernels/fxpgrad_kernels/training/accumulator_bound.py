"""The largest magnitude that an accumulator can reach, checked again after every update.

int32 accumulation is exact for a channel if its bound is below 2**31.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter
from fxpgrad_kernels.training.accumulator_bound_ref import channel_bounds_ref, channel_sums_ref

_SHORT = np.int64(64)  # a row of a depthwise filter, say: not worth two loops
_RUN = np.int64(1 << 15)  # so many magnitudes of at most 2**15 fit 32 bits


@device
def _row_sums(row):
    """Return (sum |w|, sum w) of int8 or int16 weights (int64): run by run in 32 bits, then in 64."""
    magnitudes, weights = np.int64(0), np.int64(0)
    size, start = np.int64(row.size), np.int64(0)
    if size < _SHORT:
        for k in range(size):
            weights += np.int64(row[k])
            magnitudes += abs(np.int64(row[k]))
        return magnitudes, weights
    while start < size:
        run = row[start : min(start + _RUN, size)]
        start += _RUN
        magnitude, total = np.int32(0), np.int32(0)
        for k in range(run.size):
            weight = np.int32(run[k])
            total = np.int32(total + weight)
            magnitude = np.int32(magnitude + np.int32(abs(weight)))
        magnitudes += np.int64(magnitude)
        weights += np.int64(total)
    return magnitudes, weights


@device
def _bound(sums, bias, input_zero_point):
    return np.int64(128) * sums[0] + abs(np.int64(bias) - np.int64(input_zero_point) * sums[1])


@kernel
def channel_sums(weights, magnitudes, totals):
    """Write sum|w| and sum w of every output channel, from which any bound follows."""
    for o in range(magnitudes.size):
        magnitudes[o], totals[o] = _row_sums(weights[o])


@kernel
def channel_bounds(weights, bias, output, input_zero_point):
    """Write 128 * sum|w| + |bias - input_zero_point * sum w| of every output channel."""
    for o in range(output.size):
        output[o] = _bound(_row_sums(weights[o]), bias[o], input_zero_point)


@kernel
def accumulator_bound(weights, bias, input_zero_point):
    """Return the largest of the channel bounds (int64): `channel_bounds` without an output, so no spec."""
    largest = np.int64(0)
    for o in range(bias.size):
        largest = max(largest, _bound(_row_sums(weights[o]), bias[o], input_zero_point))
    return largest


SPECS = tuple(
    KernelSpec(
        name=f"channel_bounds_{name}",
        operator="training",
        function=channel_bounds,
        reference=channel_bounds_ref,
        arguments=(
            array("weights", "input", dtype, "O K"),
            array("bias", "input", "int32", "O"),
            array("output", "output", "int64", "O", 0),
            parameter("input_zero_point", -128, 127),
        ),
    )
    for name, dtype in (("w8", "int8"), ("w16", "int16"))
) + tuple(
    KernelSpec(
        name=f"channel_sums_{name}",
        operator="training",
        function=channel_sums,
        reference=channel_sums_ref,
        arguments=(
            array("weights", "input", dtype, "O K"),
            array("magnitudes", "output", "int64", "O", 0),
            array("totals", "output", "int64", "O"),
        ),
    )
    for name, dtype in (("w8", "int8"), ("w16", "int16"))
)
