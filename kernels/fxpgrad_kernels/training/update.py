"""Update: w -= round(g * multiplier * 2**(shift - 31)), with g = sum_i signs[i] * z_i replayed.

See `contract.md` for the rounding rules and `update_ref.py` for the definition.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.random.philox import (
    DISTRIBUTION,
    RADEMACHER,
    SCRATCH_BYTES,
    SEED,
    STEP,
    TABLE,
    TENSOR,
    chunk_of,
    fill_directions,
    fill_words,
)
from fxpgrad_kernels.spec import INT_RANGES, Argument, KernelSpec, Parameters, Shapes, array, parameter
from fxpgrad_kernels.training.steps import (
    NEAREST,
    STOCHASTIC,
    is_narrow,
    rounded,
    saturate,
    shifted_product,
    take_step,
)
from fxpgrad_kernels.training.update_ref import update_ref

BLOCK = 7 * 2048 + SCRATCH_BYTES  # workspace bytes: 2048 weights at a time; least 448 + SCRATCH_BYTES
MOST_SIGNS = 258  # of the sum of |signs|: 258 * 127 fits int16


class RoundingRule(IntEnum):
    """How an update is rounded to whole weight steps; the integers are what kernels receive."""

    NEAREST = 0
    STOCHASTIC = 1
    FLOOR = 2


@device
def _fill_gradient(gradient, signs, table, z, scratch, start, seed, step, tensor, distribution):
    """Write g = sum_i signs[i] * z_i of a run of weights (int16).

    z: int8, as long as the run. Directions with sign 0 are not drawn.
    """
    kept = np.int16(0)  # all bits set from the second direction on: the first one overwrites
    for i in range(signs.size):
        sign = np.int16(signs[i])
        if sign != np.int16(0):
            fill_directions(table, z, scratch, start, seed, step, np.int64(i), tensor, distribution)
            for j in range(z.size):
                gradient[j] = np.int16(np.int16(gradient[j] & kept) + np.int16(sign * np.int16(z[j])))
            kept = np.int16(-1)


@device
def _update_by_rule(weights, gradient, multiplier, right, rule):
    """Step by g * multiplier / 2**right to the nearest or floored, where right >= 17 and steps fit int16.

    In 32 bits: the product's low 16 bits can be dropped first, because half of 2**right is a multiple
    of 2**16. From right = 46 on all is zero to the nearest, and 0 or -1 floored.
    """
    low, high = np.int32(multiplier & np.int64(0xFFFF)), np.int32(multiplier >> np.int64(16))
    places = np.int32(min(right, np.int64(46)) - np.int64(16))
    half = np.int32(np.int64(rule == NEAREST) << np.int64(places - 1))
    mirrored = np.int16(-1) if rule == NEAREST else np.int16(0)  # negative g by its magnitude
    moved, saturated = np.int16(0), np.int16(0)
    for j in range(weights.size):
        old, g = np.int16(weights[j]), gradient[j]
        negative = np.int16(np.int16(g >> np.int16(15)) & mirrored)
        value = np.int16(np.int16(g ^ negative) - negative)
        whole = np.int16(shifted_product(np.int32(value), low, high, half, places))
        kept, clipped = take_step(old, np.int16(negative - np.int16(whole ^ negative)), weights)
        weights[j] = kept
        moved = np.int16(moved + np.int16(kept != old))
        saturated = np.int16(saturated + clipped)
    return np.int64(moved), np.int64(saturated)


@device
def _update_by_chance(weights, gradient, words, multiplier, right):
    """Step by g * multiplier / 2**right rounded by the random words, where the steps fit int16."""
    factor = np.uint64(np.uint32(multiplier))  # 32 bits, so that the products are of 32 bits by 32
    before = np.uint64(max(right - np.int64(32), np.int64(0)))
    of_word = np.uint64(max(np.int64(32) - right, np.int64(0)))
    after = np.uint64(min(right, np.int64(32)))
    moved, saturated = np.int16(0), np.int16(0)
    for j in range(weights.size):
        old, g = np.int16(weights[j]), gradient[j]
        negative = np.int16(g >> np.int16(15))
        magnitude = np.uint64(np.uint16(np.int16(g ^ negative) - negative))
        fixed = np.uint64(np.uint64(magnitude * factor) >> before)
        whole = np.int16(np.uint64(fixed + (np.uint64(words[j]) >> of_word)) >> after)
        kept, clipped = take_step(old, np.int16(negative - np.int16(whole ^ negative)), weights)
        weights[j] = kept
        moved = np.int16(moved + np.int16(kept != old))
        saturated = np.int16(saturated + clipped)
    return np.int64(moved), np.int64(saturated)


@device
def _update_signs(weights, gradient, words, multiplier, right, rule):
    """Step where every |g| is 32 (one direction of signs) and steps fit int16: two steps a channel."""
    value = np.int64(multiplier << np.int64(5))
    positive = np.int16(rounded(value, right, rule, np.uint32(0)))
    opposite = np.int16(-rounded(-value, right, rule, np.uint32(0)))
    moved, saturated = np.int16(0), np.int16(0)
    if rule == STOCHASTIC:
        fixed = (value << max(np.int64(32) - right, np.int64(0))) >> max(right - np.int64(32), np.int64(0))
        greatest = np.uint32(~fixed)  # a greater word carries into the whole part
        for j in range(weights.size):
            old, negative = np.int16(weights[j]), np.int16(gradient[j] >> np.int16(15))
            step = np.int16(positive + np.int16(words[j] > greatest))
            kept, clipped = take_step(old, np.int16(negative - np.int16(step ^ negative)), weights)
            weights[j] = kept
            moved = np.int16(moved + np.int16(kept != old))
            saturated = np.int16(saturated + clipped)
    else:
        for j in range(weights.size):
            old = np.int16(weights[j])
            step = opposite if gradient[j] < np.int16(0) else np.int16(-positive)
            kept, clipped = take_step(old, step, weights)
            weights[j] = kept
            moved = np.int16(moved + np.int16(kept != old))
            saturated = np.int16(saturated + clipped)
    return np.int64(moved), np.int64(saturated)


@device
def _update_wide(weights, gradient, words, multiplier, shift, stride, rule):
    """Update weight j by ``multiplier[j * stride]`` and shift, in 64 bits; return (moved, saturated)."""
    moved, saturated = np.int64(0), np.int64(0)
    for j in range(weights.size):
        old = np.int64(weights[j])
        channel = np.int64(j) * stride
        value, right = np.int64(gradient[j]) * multiplier[channel], np.int64(31) - np.int64(shift[channel])
        wanted = old - rounded(value, right, rule, words[j])
        kept, clipped = saturate(wanted, weights)
        weights[j] = kept
        moved += np.int64(kept != old)
        saturated += clipped
    return moved, saturated


@device
def _fits_narrow(weights, multiplier, right, reach):
    """Return whether steps of weights with |g| <= reach surely fit 16 bits, and their arithmetic 32."""
    largest = np.int64(reach * multiplier) >> min(right, np.int64(63))
    return is_narrow(weights) and right >= np.int64(17) and largest < np.int64(32767)


@kernel
def update(
    weights, signs, multiplier, shift, table, block, counts, seed, step, tensor, rounding_rule, distribution
):
    """Update weights in place, saturating to the limits of their type; counts = [moved, saturated]."""
    count, per_channel = np.int64(weights.size), np.int64(weights.size // multiplier.size)
    active = np.int64(0)  # of signs: how many; of other scalars: the sum of their sizes
    for i in range(signs.size):
        active += abs(np.int64(signs[i]))
    of_signs = distribution == RADEMACHER
    reach = np.int64(32) * active if of_signs else np.int64(127) * active
    # A seventh of the workspace holds z, two hold g, the rest is the generator's.
    space = block.reshape(-1)
    chunk = chunk_of(space, np.int64(7))
    gradients = space[chunk : 3 * chunk].view(np.int16)
    scratch = space[3 * chunk : 7 * chunk + SCRATCH_BYTES].view(np.int16)
    random_words = scratch.view(np.uint32)
    moved, saturated = np.int64(0), np.int64(0)
    start = np.int64(0) if active > np.int64(0) else count
    while start < count:
        end = min(np.int64(start + chunk), count)
        z, gradient = space[: end - start], gradients[: end - start]
        _fill_gradient(gradient, signs, table, z, scratch, start, seed, step, tensor, distribution)
        if rounding_rule == STOCHASTIC:
            needed = random_words[: (end - start + 31) & -32]
            fill_words(needed, start >> np.int64(2), np.int64(1), seed, step, np.int64(0), tensor)
        position = start
        while position < end:
            channel = np.int64(position // per_channel)
            stop = min(np.int64((channel + np.int64(1)) * per_channel), end)
            if per_channel == np.int64(1):  # a multiplier for each weight: no channel to keep to
                stop = end
            first, last = position - start, stop - start
            values, sums, words = weights[position:stop], gradient[first:last], random_words[first:last]
            factor, right = np.int64(multiplier[channel]), np.int64(31) - np.int64(shift[channel])
            stride = np.int64(per_channel == np.int64(1))
            if stride or not _fits_narrow(weights, factor, right, reach):
                own, shifts = multiplier[channel:], shift[channel:]
                changed = _update_wide(values, sums, words, own, shifts, stride, rounding_rule)
            elif of_signs and active == np.int64(1):
                changed = _update_signs(values, sums, words, factor, right, rounding_rule)
            elif rounding_rule == STOCHASTIC:
                changed = _update_by_chance(values, sums, words, factor, right)
            else:
                changed = _update_by_rule(values, sums, factor, right, rounding_rule)
            moved += changed[0]
            saturated += changed[1]
            position = stop
        start = end
    counts[0] = moved
    counts[1] = saturated


def _arguments(dtype: str) -> tuple[Argument, ...]:
    lowest, limit = INT_RANGES[dtype]
    return (
        array("weights", "input", dtype, "N", lowest if dtype == "int32" else -limit, limit),  # in place
        array("signs", "input", "int32", "M", -MOST_SIGNS, MOST_SIGNS),
        array("multiplier", "constant", "int32", "C", 0),
        array("shift", "constant", "int32", "C", -62, 30),
        TABLE,
        array("block", "workspace", "int8", "R Z"),  # one row will do
        array("counts", "output", "int64", "2"),
        SEED,
        STEP,
        TENSOR,
        parameter("rounding_rule", 0, 2),
        DISTRIBUTION,
    )


def _block(shapes: Shapes, parameters: Parameters) -> dict[str, int]:
    return {"block": BLOCK}


SPECS = tuple(
    KernelSpec(
        f"update_{name}", "training", update, update_ref, _arguments(dtype), _block, in_place="weights"
    )
    for name, dtype in (("w8", "int8"), ("w16", "int16"), ("b32", "int32"))
)
