"""Perturb: w + sign * epsilon * z, with z replayed from the generator and never stored.

A tensor is seen as [channels, per_channel], C-contiguous, with one epsilon a channel in units of
the weight's own step. See `contract.md` for the two forms and `perturb_ref.py` for the definition.
`perturb_pair` writes both signs from one z.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.random.philox import (
    DIRECTION,
    DISTRIBUTION,
    SCRATCH_BYTES,
    SEED,
    STEP,
    TABLE,
    TENSOR,
    chunk_of,
    fill_directions,
)
from fxpgrad_kernels.spec import INT_RANGES, Argument, KernelSpec, Parameters, Shapes, array, parameter
from fxpgrad_kernels.training.perturb_ref import (
    perturb_along_ref,
    perturb_pair_ref,
    perturb_ref,
    perturb_split_ref,
)
from fxpgrad_kernels.training.steps import high_product, is_narrow, saturate, take_step

BLOCK = 5 * 2048 + SCRATCH_BYTES  # workspace bytes: 2048 weights at a time; 320 + SCRATCH_BYTES work, slower
_COUNTED = np.int64(2**14)  # weights at a time: those of one channel that saturate are counted in 16 bits
_NARROW_EPSILON = np.int64(8191)  # 127 * epsilon / 32 and what leads to it fit 16 bits


class Form(IntEnum):
    """Which perturbation arithmetic; the integers are what kernels receive.

    EXACT: w + sign * round(epsilon * z / 32). PAPER: the requantization of arXiv 2411.04036.
    """

    EXACT = 0
    PAPER = 1


@device
def _delta(z, epsilon):
    """Return round_half_away(epsilon * z / 32) in 16 bits: z int16, epsilon <= 8191 times 8 as uint16."""
    negative = np.int16(z >> np.int16(15))
    magnitude = np.uint16(np.uint16(np.int16(z ^ negative) - negative) << np.uint16(9))
    doubled = high_product(magnitude, epsilon)
    rounded = np.int16(np.uint16(np.uint16(doubled + np.uint16(1)) >> np.uint16(1)))
    return np.int16(np.int16(rounded ^ negative) - negative)


@device
def _wide(weight, z, epsilon, form):
    """Return the perturbed weight before saturation in 64 bits; `epsilon` carries the sign.

    EXACT: floor((32 w + product + 16) / 32), a tie of a negative product one lower. PAPER: as printed.
    """
    exact = np.int64(form == np.int64(0))
    product = np.int64(epsilon * np.int64(z))
    total = np.int64(weight) * (np.int64(36) - (exact << np.int64(2))) + product
    rounding = (np.int64(16) + (product >> np.int64(63))) * exact
    return (total * (np.int64(28898) - np.int64(28897) * exact) + rounding) >> (
        np.int64(20) - np.int64(15) * exact
    )


@device
def _one(weights, z, output, epsilon, sign, form):
    """Perturb weights that share one epsilon; return how many saturated."""
    if is_narrow(weights) and form == np.int64(0) and epsilon <= _NARROW_EPSILON:
        saturated = np.int16(0)
        factor, direction = np.uint16(epsilon << np.int64(3)), np.int16(sign)
        for j in range(z.size):
            delta = np.int16(_delta(np.int16(z[j]), factor) * direction)
            kept, clipped = take_step(np.int16(weights[j]), delta, weights)
            output[j] = kept
            saturated = np.int16(saturated + clipped)
        return np.int64(saturated)
    count = np.int64(0)
    for j in range(z.size):
        kept, clipped = saturate(_wide(weights[j], z[j], epsilon * sign, form), weights)
        output[j] = kept
        count += clipped
    return count


@device
def _both(weights, z, plus, minus, epsilon, form):
    """Perturb weights that share one epsilon both ways; return how many values saturated."""
    if is_narrow(weights) and form == np.int64(0) and epsilon <= _NARROW_EPSILON:
        saturated = np.int16(0)
        factor = np.uint16(epsilon << np.int64(3))
        for j in range(z.size):
            weight, delta = np.int16(weights[j]), _delta(np.int16(z[j]), factor)
            above, clipped_above = take_step(weight, delta, weights)
            below, clipped_below = take_step(weight, np.int16(-delta), weights)
            plus[j] = above
            minus[j] = below
            saturated = np.int16(saturated + np.int16(clipped_above + clipped_below))
        return np.int64(saturated)
    count = np.int64(0)
    for j in range(z.size):
        above, clipped_above = saturate(_wide(weights[j], z[j], epsilon, form), weights)
        below, clipped_below = saturate(_wide(weights[j], z[j], -epsilon, form), weights)
        plus[j] = above
        minus[j] = below
        count += clipped_above + clipped_below
    return count


@device
def _each(weights, z, output, epsilon, sign, form):
    """Perturb weights that have an epsilon each; return how many saturated."""
    count = np.int64(0)
    for j in range(z.size):
        kept, clipped = saturate(_wide(weights[j], z[j], np.int64(epsilon[j]) * sign, form), weights)
        output[j] = kept
        count += clipped
    return count


@device
def _run(weights, epsilon, z, output, start, per_channel, sign, form):
    """Perturb the weights from `start` on, as many as there are z; return how many saturated."""
    end, saturated, position = np.int64(start + z.size), np.int64(0), start
    if per_channel == np.int64(1):
        saturated += _each(weights[start:end], z, output[start:end], epsilon[start:end], sign, form)
        position = end
    while position < end:
        channel = np.int64(position // per_channel)
        stop = min(np.int64((channel + np.int64(1)) * per_channel), end)
        values, drawn = weights[position:stop], z[position - start : stop - start]
        saturated += _one(values, drawn, output[position:stop], np.int64(epsilon[channel]), sign, form)
        position = stop
    return saturated


@kernel
def perturb(
    weights, epsilon, table, block, output, seed, step, direction, tensor, sign, form, distribution,
    first_index,
):  # fmt: skip
    """Perturb weights, saturating to the limits of their type; return how many saturated.

    The weights are those of the tensor from `first_index` on, a multiple of 8.
    """
    count, per_channel = np.int64(weights.size), np.int64(weights.size // epsilon.size)
    chunk = chunk_of(block, np.int64(5))
    scratch = block[chunk : 5 * chunk + SCRATCH_BYTES].view(np.int16)
    saturated, start = np.int64(0), np.int64(0)
    while start < count:
        end = min(np.int64(start + chunk), count)
        z = block[: end - start]
        fill_directions(table, z, scratch, first_index + start, seed, step, direction, tensor, distribution)
        saturated += _run(weights, epsilon, z, output, start, per_channel, sign, form)
        start = end
    return saturated


@kernel
def perturb_along(weights, epsilon, z, output, sign):
    """Perturb weights along a given z, in the exact form; return how many saturated."""
    per_channel = np.int64(weights.size // epsilon.size)
    saturated, start = np.int64(0), np.int64(0)
    while start < z.size:
        end = min(np.int64(start + _COUNTED), np.int64(z.size))
        drawn = z[start:end]
        saturated += _run(weights, epsilon, drawn, output, start, per_channel, sign, np.int64(0))
        start = end
    return saturated


@kernel
def perturb_split(weights, epsilon, z, output, sign):
    """Perturb the upper bytes of int16 weights along a given z, epsilon in their steps."""
    per_channel = np.int64(weights.size // epsilon.size)
    saturated = np.int64(0)
    for j in range(z.size):
        upper = min(max((np.int64(weights[j]) + np.int64(128)) >> np.int64(8), np.int64(-127)), np.int64(127))
        size = np.int64(epsilon[np.int64(j) // per_channel])
        kept, clipped = saturate(_wide(upper, z[j], size * sign, np.int64(0)), output)
        output[j] = kept
        saturated += clipped
    return saturated


@kernel
def perturb_pair(
    weights, epsilon, table, block, plus, minus, seed, step, direction, tensor, form, distribution,
    first_index,
):  # fmt: skip
    """Write what `perturb` writes for the signs +1 and -1; return how many values saturated in both.

    The same loop as in `perturb`: a shared one would be compiled, with all that it calls, once more.
    """
    count, per_channel = np.int64(weights.size), np.int64(weights.size // epsilon.size)
    chunk = chunk_of(block, np.int64(5))
    scratch = block[chunk : 5 * chunk + SCRATCH_BYTES].view(np.int16)
    saturated, start = np.int64(0), np.int64(0)
    while start < count:
        end = min(np.int64(start + chunk), count)
        z = block[: end - start]
        fill_directions(table, z, scratch, first_index + start, seed, step, direction, tensor, distribution)
        position = start
        if per_channel == np.int64(1):
            values, own = weights[start:end], epsilon[start:end]
            saturated += _each(values, z, plus[start:end], own, np.int64(1), form)
            saturated += _each(values, z, minus[start:end], own, np.int64(-1), form)
            position = end
        while position < end:
            channel = np.int64(position // per_channel)
            stop = min(np.int64((channel + np.int64(1)) * per_channel), end)
            values, drawn = weights[position:stop], z[position - start : stop - start]
            above, below = plus[position:stop], minus[position:stop]
            saturated += _both(values, drawn, above, below, np.int64(epsilon[channel]), form)
            position = stop
        start = end
    return saturated


def _arguments(dtype: str, outputs: tuple[str, ...]) -> tuple[Argument, ...]:
    lowest, limit = INT_RANGES[dtype]
    low = lowest if dtype == "int32" else -limit
    sign = (parameter("sign", -1, 1),) if len(outputs) == 1 else ()
    return (
        array("weights", "input", dtype, "N", low, limit),
        array("epsilon", "constant", "int32", "C", 0, 2**31 - 1 if dtype == "int32" else 2**24),
        TABLE,
        array("block", "workspace", "int8", "Z"),
        *(array(name, "output", dtype, "N", low, limit) for name in outputs),
        SEED,
        STEP,
        DIRECTION,
        TENSOR,
        *sign,
        parameter("form", 0, 1),
        DISTRIBUTION,
        parameter("first_index", 0, 2**35 - 8),
    )


def _arguments_along(dtype: str, made: str) -> tuple[Argument, ...]:
    lowest, limit = INT_RANGES[dtype]
    return (
        array("weights", "input", dtype, "N", lowest if dtype == "int32" else -limit, limit),
        array("epsilon", "constant", "int32", "C", 0, 2**31 - 1 if dtype == "int32" else 2**24),
        array("z", "constant", "int8", "N", -127),
        array(
            "output", "output", made, "N", INT_RANGES[made][0] if made == "int32" else -INT_RANGES[made][1]
        ),
        parameter("sign", -1, 1),
    )


def _block(shapes: Shapes, parameters: Parameters) -> dict[str, int]:
    return {"block": BLOCK}


_RETURNED = "how many perturbed values saturated"
_TYPES = {"w8": "int8", "w16": "int16", "b32": "int32"}
SPECS = (
    tuple(
        KernelSpec(
            f"perturb_{name}",
            "training",
            perturb,
            perturb_ref,
            _arguments(dtype, ("output",)),
            _block,
            returned=_RETURNED,
        )
        for name, dtype in _TYPES.items()
    )
    + tuple(
        KernelSpec(
            f"perturb_pair_{name}",
            "training",
            perturb_pair,
            perturb_pair_ref,
            _arguments(dtype, ("plus", "minus")),
            _block,
            returned=_RETURNED,
        )
        for name, dtype in _TYPES.items()
    )
    + tuple(
        KernelSpec(
            f"perturb_along_{name}",
            "training",
            perturb_along,
            perturb_along_ref,
            _arguments_along(dtype, dtype),
            returned=_RETURNED,
        )
        for name, dtype in _TYPES.items()
    )
)
SPECS += (
    KernelSpec(
        "perturb_split",
        "training",
        perturb_split,
        perturb_split_ref,
        _arguments_along("int16", "int8"),
        returned=_RETURNED,
    ),
)
