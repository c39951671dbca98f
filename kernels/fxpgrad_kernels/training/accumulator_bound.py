"""The largest magnitude that an accumulator can reach, checked again after every update.

int32 accumulation is exact for a channel if its bound is below 2**31.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter
from fxpgrad_kernels.training.accumulator_bound_ref import channel_bounds_ref


@device
def _channel_bound(row, bias, input_zero_point):
    total = np.int64(0)
    magnitude = np.int64(0)
    for k in range(row.size):
        weight = np.int64(row[k])
        total += weight
        magnitude += abs(weight)
    return np.int64(128) * magnitude + abs(np.int64(bias) - np.int64(input_zero_point) * total)


@kernel
def channel_bounds(weights, bias, output, input_zero_point):
    """Write 128 * sum|w| + |bias - input_zero_point * sum w| of every output channel."""
    for o in range(output.size):
        output[o] = _channel_bound(weights[o], bias[o], input_zero_point)


@kernel
def accumulator_bound(weights, bias, input_zero_point):
    """Return the largest of the channel bounds (int64): `channel_bounds` without an output, so no spec."""
    largest = np.int64(0)
    for o in range(bias.size):
        largest = max(largest, _channel_bound(weights[o], bias[o], input_zero_point))
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
)
