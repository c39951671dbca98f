"""Update: w -= round(g * multiplier * 2**(shift - 31)), with g = sum_i signs[i] * z_i replayed.

See `contract.md` for the rounding rules and `update_ref.py` for the definition.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.random.philox import (
    DISTRIBUTION,
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
from fxpgrad_kernels.training.steps import is_narrow, saturate, take_step
from fxpgrad_kernels.training.update_ref import update_ref

BLOCK = 7 * 1024 + SCRATCH_BYTES  # workspace bytes: 1024 weights at a time; least 448 + SCRATCH_BYTES
MAX_DIRECTIONS = 64
_NEAREST, _STOCHASTIC, _FLOOR = np.int64(0), np.int64(1), np.int64(2)


class RoundingRule(IntEnum):
    """How an update is rounded to whole weight steps; the integers are what kernels receive."""

    NEAREST = 0
    STOCHASTIC = 1
    FLOOR = 2


@device
def _fill_gradient(gradient, signs, table, z, scratch, start, seed, step, tensor, distribution):
    """Write g = sum_i signs[i] * z_i of a run of weights (int16; |g| <= 64 * 127).

    z: int8, as long as the run. Directions with sign 0 are not drawn.
    """
    gradient[:] = 0
    for i in range(signs.size):
        sign = np.int16(signs[i])
        if sign != np.int16(0):
            fill_directions(table, z, scratch, start, seed, step, np.int64(i), tensor, distribution)
            for j in range(z.size):
                gradient[j] = np.int16(gradient[j] + np.int16(sign * np.int16(z[j])))


@device
def _step_to_nearest(gradient, multiplier, right):
    """Replace g by round_half_away(g * multiplier / 2**right), right >= 17, where the steps fit int16.

    In 32 bits: the product's low 16 bits can be dropped first, because half of 2**right is a multiple
    of 2**16. From right = 46 on everything rounds to zero.
    """
    low, high = np.uint32(multiplier & np.int64(0xFFFF)), np.uint32(multiplier >> np.int64(16))
    places = np.uint32(min(right, np.int64(46)) - np.int64(16))
    half = np.uint32(np.uint32(1) << np.uint32(places - np.uint32(1)))
    for j in range(gradient.size):
        g = gradient[j]
        negative = np.int16(g >> np.int16(15))
        magnitude = np.uint32(np.uint16(np.int16(g ^ negative) - negative))
        below = np.uint32(np.uint32(magnitude * low) >> np.uint32(16))
        product = np.uint32(np.uint32(magnitude * high) + below)
        rounded = np.int16(np.uint32(np.uint32(product + half) >> places))
        gradient[j] = np.int16(np.int16(rounded ^ negative) - negative)


@device
def _step_down(gradient, multiplier, right):
    """Replace g by floor(g * multiplier / 2**right), right >= 17, where the steps fit int16."""
    low, high = np.int32(multiplier & np.int64(0xFFFF)), np.int32(multiplier >> np.int64(16))
    places = np.int32(min(right - np.int64(16), np.int64(31)))
    for j in range(gradient.size):
        g = np.int32(gradient[j])
        below = np.int32(np.int32(g * low) >> np.int32(16))
        gradient[j] = np.int16(np.int32(np.int32(np.int32(g * high) + below) >> places))


@device
def _step_by_chance(gradient, words, multiplier, right):
    """Replace g by g * multiplier / 2**right rounded by the random words, where the steps fit int16."""
    factor = np.uint64(np.uint32(multiplier))  # 32 bits, so that the products are of 32 bits by 32
    before = np.uint64(max(right - np.int64(32), np.int64(0)))
    of_word = np.uint64(max(np.int64(32) - right, np.int64(0)))
    after = np.uint64(min(right, np.int64(32)))
    for j in range(gradient.size):
        g = gradient[j]
        negative = np.int16(g >> np.int16(15))
        magnitude = np.uint64(np.uint16(np.int16(g ^ negative) - negative))
        fixed = np.uint64(np.uint64(magnitude * factor) >> before)
        rounded = np.int16(np.uint64(fixed + (np.uint64(words[j]) >> of_word)) >> after)
        gradient[j] = np.int16(np.int16(rounded ^ negative) - negative)


@device
def _rounded(value, right, rule, word):
    """Return value / 2**right rounded by the rule; |value| < 2**44, right in [1, 93], word uint32."""
    if rule == _FLOOR:
        return value >> min(right, np.int64(63))
    magnitude = abs(value)
    if rule == _STOCHASTIC:
        before, of_word = max(right - np.int64(32), np.int64(0)), max(np.int64(32) - right, np.int64(0))
        fixed = (magnitude >> before) + (np.int64(word) >> of_word)
        rounded = fixed >> min(right, np.int64(32))
    else:
        bounded = min(right, np.int64(62))  # past 45 bits everything rounds to zero
        rounded = (magnitude + (np.int64(1) << (bounded - np.int64(1)))) >> bounded
    return -rounded if value < np.int64(0) else rounded


@device
def _update_wide(weights, gradient, words, multiplier, right, rule):
    """Update weights that share one multiplier, in 64 bits; return (moved, saturated)."""
    moved, saturated = np.int64(0), np.int64(0)
    for j in range(weights.size):
        old = np.int64(weights[j])
        wanted = old - _rounded(np.int64(gradient[j]) * multiplier, right, rule, words[j])
        kept, clipped = saturate(wanted, weights)
        weights[j] = kept
        moved += np.int64(kept != old)
        saturated += clipped
    return moved, saturated


@device
def _update_segment(weights, gradient, words, multiplier, right, reach, rule):
    """Update weights that share one multiplier and have |g| <= reach; return (moved, saturated)."""
    largest = np.int64(reach * multiplier) >> min(right, np.int64(63))
    if not is_narrow(weights) or right < np.int64(17) or largest >= np.int64(32767):
        return _update_wide(weights, gradient, words, multiplier, right, rule)
    if rule == _NEAREST:
        _step_to_nearest(gradient, multiplier, right)
    elif rule == _FLOOR:
        _step_down(gradient, multiplier, right)
    else:
        _step_by_chance(gradient, words, multiplier, right)
    moved, saturated = np.int16(0), np.int16(0)
    for j in range(weights.size):
        old = np.int16(weights[j])
        kept, clipped = take_step(old, np.int16(-gradient[j]), weights)
        weights[j] = kept
        moved = np.int16(moved + np.int16(kept != old))
        saturated = np.int16(saturated + clipped)
    return np.int64(moved), np.int64(saturated)


@kernel
def update(
    weights, signs, multiplier, shift, table, block, counts, seed, step, tensor, rounding_rule, distribution
):
    """Update weights in place, saturating to the limits of their type; counts = [moved, saturated]."""
    count, per_channel = np.int64(weights.size), np.int64(weights.size // multiplier.size)
    active = np.int64(0)
    for i in range(signs.size):
        active += np.int64(signs[i] != np.int32(0))
    reach = np.int64(127) * active
    # A seventh of the workspace holds z, two hold g, the rest is the generator's.
    space = block.reshape(-1)
    chunk = chunk_of(space, np.int64(7))
    sums = space[chunk : 3 * chunk].view(np.int16)
    scratch = space[3 * chunk : 7 * chunk + SCRATCH_BYTES].view(np.int16)
    random_words = scratch.view(np.uint32)
    moved, saturated = np.int64(0), np.int64(0)
    start = np.int64(0) if active > np.int64(0) else count
    while start < count:
        end = min(np.int64(start + chunk), count)
        z, gradient = space[: end - start], sums[: end - start]
        _fill_gradient(gradient, signs, table, z, scratch, start, seed, step, tensor, distribution)
        if rounding_rule == _STOCHASTIC:
            needed = random_words[: (end - start + 31) & -32]
            fill_words(needed, start >> np.int64(2), np.int64(1), seed, step, np.int64(0), tensor)
        position = start
        while position < end:
            channel = np.int64(position // per_channel)
            stop = min(np.int64((channel + np.int64(1)) * per_channel), end)
            first, last = position - start, stop - start
            changed = _update_segment(
                weights[position:stop],
                gradient[first:last],
                random_words[first:last],
                np.int64(multiplier[channel]),
                np.int64(31) - np.int64(shift[channel]),
                reach,
                rounding_rule,
            )
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
        array("signs", "input", "int32", "M", -1, 1),
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
    KernelSpec(f"update_{name}", "training", update, update_ref, _arguments(dtype), _block)
    for name, dtype in (("w8", "int8"), ("w16", "int16"), ("b32", "int32"))
)
