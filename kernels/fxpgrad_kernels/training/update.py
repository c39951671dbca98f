"""Update: w -= round(g * multiplier * 2**(shift - 31)), with g = sum_i signs[i] * z_i replayed.

See `contract.md` for the rounding rules and `update_ref.py` for the definition.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.random.philox import DISTRIBUTION, SEED, STEP, TABLE, TENSOR, fill_directions, fill_words
from fxpgrad_kernels.spec import INT_RANGES, Argument, KernelSpec, Parameters, Shapes, array, parameter
from fxpgrad_kernels.training.update_ref import update_ref

BLOCK = 640  # workspace bytes a direction: 128 weights at a time; 128 bytes work too, slower
MAX_DIRECTIONS = 64


class RoundingRule(IntEnum):
    """How an update is rounded to whole weight steps; the integers are what kernels receive."""

    NEAREST = 0
    STOCHASTIC = 1
    FLOOR = 2


@device
def _round_scaled(value, right, rule, word):
    """Return value / 2**right rounded by the rule; |value| < 2**44, right in [1, 93], word uint32."""
    if rule == np.int64(2):
        return value >> min(right, np.int64(63))
    magnitude = abs(value)
    if rule == np.int64(1):
        if right >= np.int64(32):
            rounded = ((magnitude >> (right - np.int64(32))) + np.int64(word)) >> np.int64(32)
        else:
            rounded = (magnitude + (np.int64(word) >> (np.int64(32) - right))) >> right
    else:
        bounded = min(right, np.int64(62))  # past 45 bits everything rounds to zero
        rounded = (magnitude + (np.int64(1) << (bounded - np.int64(1)))) >> bounded
    return -rounded if value < np.int64(0) else rounded


@device
def _fill_gradient(gradient, signs, table, block, chunk, start, seed, step, tensor, distribution):
    """Write g = sum_i signs[i] * z_i of a run of weights; return how many directions count.

    gradient: int16; |g| <= 64 * 127. Directions with sign 0 are not drawn.
    """
    size = gradient.size
    active = np.int64(0)
    for j in range(size):
        gradient[j] = 0
    for i in range(signs.size):
        if signs[i] != np.int32(0):
            row = block[i]
            z = row[:size]
            scratch = row[chunk : 3 * chunk].view(np.uint32)
            fill_directions(table, z, scratch, start, seed, step, np.int64(i), tensor, distribution)
            sign = np.int16(signs[i])
            for j in range(size):
                gradient[j] = np.int16(gradient[j] + np.int16(sign * np.int16(z[j])))
            active += np.int64(1)
    return active


@device
def _update_segment(weights, gradient, words, offset, factor, right, rule, low, high):
    """Update weights that share one multiplier; return (moved, saturated).

    words: uint32 [4 * B], lane by lane; `offset` is the place of the first weight in it.
    """
    moved, saturated = np.int64(0), np.int64(0)
    blocks = np.int64(words.size >> 2)
    for j in range(weights.size):
        value = np.int64(gradient[j]) * factor
        place = np.int64(offset + j)
        word = np.uint32(0)
        if rule == np.int64(1):
            word = words[(place & np.int64(3)) * blocks + (place >> np.int64(2))]
        old = np.int64(weights[j])
        wanted = old - _round_scaled(value, right, rule, word)
        new = min(max(wanted, low), high)
        weights[j] = new
        moved += np.int64(new != old)
        saturated += np.int64(new != wanted)
    return moved, saturated


@device
def _update_run(weights, gradient, words, first, multiplier, shift, per_channel, rule, low, high):
    """Update a run of weights that starts at index `first`, channel by channel."""
    moved, saturated = np.int64(0), np.int64(0)
    size = np.int64(weights.size)
    position = np.int64(0)
    channel = np.int64(first // per_channel)
    while position < size:
        stop = min(np.int64((channel + np.int64(1)) * per_channel - first), size)
        more_moved, more_saturated = _update_segment(
            weights[position:stop],
            gradient[position:stop],
            words,
            position,
            np.int64(multiplier[channel]),
            np.int64(31) - np.int64(shift[channel]),
            rule,
            low,
            high,
        )
        moved += more_moved
        saturated += more_saturated
        position = stop
        channel += np.int64(1)
    return moved, saturated


@device
def _update(
    weights, signs, multiplier, shift, table, block, counts, seed, step, tensor, rule, distribution, low, high
):
    count = np.int64(weights.size)
    per_channel = np.int64(count // np.int64(multiplier.size))
    # Of each row of the workspace a fifth is z, two fifths are random words, two fifths of row 0 are g.
    chunk = (np.int64(block.shape[1]) // np.int64(5)) & np.int64(-8)
    half = chunk >> np.int64(1)
    scratch = block[0][chunk : 3 * chunk].view(np.uint32)
    sums = block[0][3 * chunk : 5 * chunk].view(np.int16)
    counts[0] = 0
    counts[1] = 0
    start = np.int64(0)
    while start < count:
        size = min(chunk, np.int64(count - start))
        gradient = sums[:size]
        active = _fill_gradient(gradient, signs, table, block, chunk, start, seed, step, tensor, distribution)
        if active == np.int64(0):
            return
        begin = np.int64(0)
        while begin < size:
            end = min(np.int64(begin + half), size)
            words = scratch[: (end - begin + 3) & -4]
            first = np.int64(start + begin)
            if rule == np.int64(1):
                fill_words(words, first >> np.int64(2), np.int64(1), seed, step, np.int64(0), tensor)
            moved, saturated = _update_run(
                weights[first : start + end],
                gradient[begin:end],
                words,
                first,
                multiplier,
                shift,
                per_channel,
                rule,
                low,
                high,
            )
            counts[0] += moved
            counts[1] += saturated
            begin = end
        start += size


@kernel
def update_w8(
    weights, signs, multiplier, shift, table, block, counts, seed, step, tensor, rounding_rule, distribution
):
    """Update int8 weights in place, saturating to [-127, 127]; counts = [moved, saturated]."""
    _update(
        weights,
        signs,
        multiplier,
        shift,
        table,
        block,
        counts,
        seed,
        step,
        tensor,
        rounding_rule,
        distribution,
        np.int64(-127),
        np.int64(127),
    )


@kernel
def update_w16(
    weights, signs, multiplier, shift, table, block, counts, seed, step, tensor, rounding_rule, distribution
):
    """Update int16 weights in place, saturating to [-32767, 32767]; counts = [moved, saturated]."""
    _update(
        weights,
        signs,
        multiplier,
        shift,
        table,
        block,
        counts,
        seed,
        step,
        tensor,
        rounding_rule,
        distribution,
        np.int64(-32767),
        np.int64(32767),
    )


@kernel
def update_b32(
    weights, signs, multiplier, shift, table, block, counts, seed, step, tensor, rounding_rule, distribution
):
    """Update int32 biases in place, saturating to int32; counts = [moved, saturated]."""
    _update(
        weights,
        signs,
        multiplier,
        shift,
        table,
        block,
        counts,
        seed,
        step,
        tensor,
        rounding_rule,
        distribution,
        np.int64(-(2**31)),
        np.int64(2**31 - 1),
    )


def _arguments(dtype: str, limit: int) -> tuple[Argument, ...]:
    low = INT_RANGES[dtype][0] if dtype == "int32" else -limit
    return (
        array("weights", "input", dtype, "N", low, limit),  # updated in place
        array("signs", "input", "int32", "M", -1, 1),
        array("multiplier", "constant", "int32", "C", 0),
        array("shift", "constant", "int32", "C", -62, 30),
        TABLE,
        array("block", "workspace", "int8", "M Z"),
        array("counts", "output", "int64", "2"),
        SEED,
        STEP,
        TENSOR,
        parameter("rounding_rule", 0, 2),
        DISTRIBUTION,
    )


def _block(shapes: Shapes, parameters: Parameters) -> dict[str, int]:
    return {"block": BLOCK * shapes["signs"][0]}


SPECS = (
    KernelSpec("update_w8", "training", update_w8, update_ref, _arguments("int8", 127), _block),
    KernelSpec("update_w16", "training", update_w16, update_ref, _arguments("int16", 32767), _block),
    KernelSpec("update_b32", "training", update_b32, update_ref, _arguments("int32", 2**31 - 1), _block),
)
