"""Perturb: w + sign * epsilon * z, with z replayed from the generator and never stored.

A tensor is seen as [channels, per_channel], C-contiguous, with one epsilon a channel in units of
the weight's own step. See `contract.md` for the two forms and `perturb_ref.py` for the definition.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.random.philox import DIRECTION, DISTRIBUTION, SEED, STEP, TABLE, TENSOR, fill_directions
from fxpgrad_kernels.spec import INT_RANGES, Argument, KernelSpec, Parameters, Shapes, array, parameter
from fxpgrad_kernels.training.perturb_ref import perturb_ref

BLOCK = 384  # workspace bytes: z of 128 weights and its random words; 128 bytes work too, slower


class Form(IntEnum):
    """Which perturbation arithmetic; the integers are what kernels receive.

    EXACT: w + sign * round(epsilon * z / 32). PAPER: the requantization of arXiv 2411.04036.
    """

    EXACT = 0
    PAPER = 1


@device
def _exact_narrow(weights, z, output, epsilon, sign, low, high):
    # sign * round_half_away(x) == round_half_away(sign * x): the two signs mirror each other.
    factor = np.int32(epsilon * sign)
    lowest, highest = np.int32(low), np.int32(high)
    saturated = np.int32(0)
    for j in range(z.size):
        product = np.int32(factor * np.int32(z[j]))
        biased = np.int32(np.int32(product + np.int32(16)) + np.int32(product >> np.int32(31)))
        value = np.int32(np.int32(weights[j]) + np.int32(biased >> np.int32(5)))
        kept = min(max(value, lowest), highest)
        saturated += np.int32(kept != value)
        output[j] = kept
    return np.int64(saturated)


@device
def _exact_wide(weights, z, output, epsilon, sign, low, high):
    factor = np.int64(epsilon * sign)
    saturated = np.int64(0)
    for j in range(z.size):
        product = np.int64(factor * np.int64(z[j]))
        value = np.int64(weights[j]) + ((product + np.int64(16) + (product >> np.int64(63))) >> np.int64(5))
        kept = min(max(value, low), high)
        saturated += np.int64(kept != value)
        output[j] = kept
    return saturated


@device
def _paper(weights, z, output, epsilon, sign, low, high):
    factor = np.int64(epsilon * sign)
    saturated = np.int64(0)
    for j in range(z.size):
        accumulator = np.int64(weights[j]) * np.int64(36) + factor * np.int64(z[j])
        value = (accumulator * np.int64(28898)) >> np.int64(20)
        kept = min(max(value, low), high)
        saturated += np.int64(kept != value)
        output[j] = kept
    return saturated


@device
def _perturb_segment(weights, z, output, epsilon, sign, form, low, high):
    """Perturb weights that share one epsilon; return how many saturated."""
    if form == np.int64(1):
        return _paper(weights, z, output, epsilon, sign, low, high)
    if high <= np.int64(32767):
        return _exact_narrow(weights, z, output, epsilon, sign, low, high)
    return _exact_wide(weights, z, output, epsilon, sign, low, high)


@device
def _perturb(
    weights, epsilon, table, block, output, seed, step, direction, tensor, sign, form, distribution, low, high
):
    count = np.int64(weights.size)
    per_channel = np.int64(count // np.int64(epsilon.size))
    saturated = np.int64(0)
    channel = np.int64(0)
    channel_end = per_channel
    start = np.int64(0)
    # A third of the workspace holds z, the rest the random words; the result does not depend on it.
    chunk = (np.int64(block.size) // np.int64(3)) & np.int64(-8)
    scratch = block[chunk : 3 * chunk].view(np.uint32)
    while start < count:
        end = min(np.int64(start + chunk), count)
        z = block[: end - start]
        fill_directions(table, z, scratch, start, seed, step, direction, tensor, distribution)
        position = start
        while position < end:
            stop = min(channel_end, end)
            saturated += _perturb_segment(
                weights[position:stop],
                z[position - start : stop - start],
                output[position:stop],
                np.int64(epsilon[channel]),
                sign,
                form,
                low,
                high,
            )
            position = stop
            if position == channel_end:
                channel += np.int64(1)
                channel_end += per_channel
        start = end
    return saturated


@kernel
def perturb_w8(
    weights, epsilon, table, block, output, seed, step, direction, tensor, sign, form, distribution
):
    """Perturb int8 weights, saturating to [-127, 127]; return how many saturated."""
    return _perturb(
        weights,
        epsilon,
        table,
        block,
        output,
        seed,
        step,
        direction,
        tensor,
        sign,
        form,
        distribution,
        np.int64(-127),
        np.int64(127),
    )


@kernel
def perturb_w16(
    weights, epsilon, table, block, output, seed, step, direction, tensor, sign, form, distribution
):
    """Perturb int16 weights, saturating to [-32767, 32767]; return how many saturated."""
    return _perturb(
        weights,
        epsilon,
        table,
        block,
        output,
        seed,
        step,
        direction,
        tensor,
        sign,
        form,
        distribution,
        np.int64(-32767),
        np.int64(32767),
    )


@kernel
def perturb_b32(
    weights, epsilon, table, block, output, seed, step, direction, tensor, sign, form, distribution
):
    """Perturb int32 biases, saturating to int32; return how many saturated."""
    return _perturb(
        weights,
        epsilon,
        table,
        block,
        output,
        seed,
        step,
        direction,
        tensor,
        sign,
        form,
        distribution,
        np.int64(-(2**31)),
        np.int64(2**31 - 1),
    )


def _arguments(dtype: str, limit: int, epsilon_high: int) -> tuple[Argument, ...]:
    low = INT_RANGES[dtype][0] if dtype == "int32" else -limit
    return (
        array("weights", "input", dtype, "N", low, limit),
        array("epsilon", "constant", "int32", "C", 0, epsilon_high),
        TABLE,
        array("block", "workspace", "int8", "Z"),
        array("output", "output", dtype, "N", low, limit),
        SEED,
        STEP,
        DIRECTION,
        TENSOR,
        parameter("sign", -1, 1),
        parameter("form", 0, 1),
        DISTRIBUTION,
    )


def _block(shapes: Shapes, parameters: Parameters) -> dict[str, int]:
    return {"block": BLOCK}


_NARROW, _WIDE = 2**24, 2**31 - 1

SPECS = (
    KernelSpec("perturb_w8", "training", perturb_w8, perturb_ref, _arguments("int8", 127, _NARROW), _block),
    KernelSpec(
        "perturb_w16", "training", perturb_w16, perturb_ref, _arguments("int16", 32767, _NARROW), _block
    ),
    KernelSpec(
        "perturb_b32", "training", perturb_b32, perturb_ref, _arguments("int32", _WIDE, _WIDE), _block
    ),
)
