"""Singular value decomposition filter, a layer that remembers: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter
from fxpgrad_kernels.svdf.svdf_ref import svdf_ref


@device
def _feature(features, row, zero_point):
    """Return one filter's sum of feature weights times centred inputs, modulo 2**32."""
    total = np.int32(0)
    for i in range(min(features.size, row.size)):
        total = np.int32(total + np.int32(np.int32(features[i]) * np.int32(row[i] - zero_point)))
    return total


@device
def _time(weights, memory, zero_point):
    """Return one filter's sum of time weights times centred memory, modulo 2**32."""
    total = np.int32(0)
    for t in range(min(weights.size, memory.size)):
        total = np.int32(total + np.int32(np.int32(weights[t]) * np.int32(memory[t] - zero_point)))
    return total


@kernel
def svdf(
    input, feature_weights, time_weights, bias, multiplier, shift, state, output,
    rank, input_zero_point, state_zero_point, output_zero_point, clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Move each filter's memory on by one step, and read it. Arguments: `SPECS`.

    state [B, F * T] is read and written: it holds, for each filter, its last T feature values.
    """
    steps = time_weights.shape[1]
    units = output.shape[1]
    limit = np.int64(1) << np.int64(8 * state.itemsize - 1)
    for b in range(output.shape[0]):
        for unit in range(units):
            total = np.int32(bias[unit])
            for f in range(unit * rank, (unit + 1) * rank):
                memory = state[b][f * steps : (f + 1) * steps]
                for t in range(steps - 1):
                    memory[t] = memory[t + 1]
                feature = _feature(feature_weights[f], input[b], input_zero_point)
                value = requantize(feature, multiplier[0], shift[0], rounding)
                value = min(max(value, -limit), limit - 1) + state_zero_point
                memory[steps - 1] = ((value + limit) & (2 * limit - 1)) - limit  # wraps, as the store does
                total = np.int32(total + _time(time_weights[f], memory, state_zero_point))
            value = requantize(total, multiplier[1], shift[1], rounding) + output_zero_point
            output[b, unit] = np.int8(min(max(value, clamp_low), clamp_high))


def _spec(name, dtype):
    limit = 2**7 if dtype == "int8" else 2**15
    return KernelSpec(
        name=name,
        operator="svdf",
        function=svdf,
        reference=svdf_ref,
        arguments=(
            array("input", "input", "int8", "B I"),
            array("feature_weights", "constant", "int8", "F I"),
            array("time_weights", "constant", dtype, "F T"),
            array("bias", "constant", "int32", "O"),
            array("multiplier", "constant", "int32", "2", 0),
            array("shift", "constant", "int32", "2", -31, 30),
            array("state", "state", dtype, "B S"),
            array("output", "output", "int8", "B O"),
            parameter("rank", 1, 2**15),
            parameter("input_zero_point", -128, 127),
            parameter("state_zero_point", -limit, limit - 1),
            parameter("output_zero_point", -128, 127),
            parameter("clamp_low", -128, 127),
            parameter("clamp_high", -128, 127),
            parameter("rounding", 0, 5),
        ),
    )


SPECS = (_spec("svdf_a8", "int16"), _spec("svdf_a8_s8", "int8"))
