"""The counter-based generator: z is a pure function of (seed, step, direction, tensor, index).

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The stream
layout is a promise that stored trajectories rely on: see `contract.md`. One value at a time is drawn here in
scalars; long runs come from the vectors of `lanes.py`, with the same bits.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.random.distributions import KNEE
from fxpgrad_kernels.random.lanes import (
    GROUP_UNIFORMS,
    GROUP_WORDS,
    expand_signs,
    store_uniforms_and_look_up,
    store_words,
)
from fxpgrad_kernels.random.random_ref import draw_directions_ref
from fxpgrad_kernels.spec import KernelSpec, array, parameter

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint32(0x9E3779B9)
_WEYL_1 = np.uint32(0xBB67AE85)
_LOW_32 = np.int64(0xFFFFFFFF)
RADEMACHER = np.int64(1)
_LARGEST_CHUNK = np.int64(4096)  # longer ones would leave the first-level cache
_SHARED = np.int16(KNEE - KNEE // 16)

SEED = parameter("seed", -(2**63), 2**63 - 1)
STEP = parameter("step", 0, 2**32 - 1)
DIRECTION = parameter("direction", 0, 2**24 - 1)
TENSOR = parameter("tensor", 0, 2**32 - 1)
DISTRIBUTION = parameter("distribution", 0, 2)
TABLE = array("table", "constant", "int16", "T")
SCRATCH_BYTES = (
    384  # what `fill_directions` needs beside 4 bytes a value: two groups of places, one of entries
)


@device
def philox_round(a, b, c, d, key_0, key_1):
    """Return the four words after one round."""
    first = np.uint64(np.uint64(a) * _MULTIPLIER_0)
    second = np.uint64(np.uint64(c) * _MULTIPLIER_1)
    return (
        np.uint32(np.uint32(np.uint32(second >> np.uint64(32)) ^ b) ^ key_0),
        np.uint32(second),
        np.uint32(np.uint32(np.uint32(first >> np.uint64(32)) ^ d) ^ key_1),
        np.uint32(first),
    )


@device
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Return the four uint32 words of Philox4x32-10 for one counter and key (uint32 each)."""
    a, b, c, d = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)
    key_0, key_1 = np.uint32(k0), np.uint32(k1)
    for _ in range(10):
        a, b, c, d = philox_round(a, b, c, d, key_0, key_1)
        key_0 = np.uint32(key_0 + _WEYL_0)
        key_1 = np.uint32(key_1 + _WEYL_1)
    return a, b, c, d


@device
def _direction_words(block, seed, step, direction, tensor):
    """Return the four uint32 words of one block of a direction (all arguments int64)."""
    return philox4x32(
        np.uint32(block & _LOW_32),
        np.uint32(tensor & _LOW_32),
        np.uint32(direction & _LOW_32),
        np.uint32(step & _LOW_32),
        np.uint32(seed & _LOW_32),
        np.uint32((seed >> np.int64(32)) & _LOW_32),
    )


@device
def _gaussian(table, uniform):
    """Return z for a 16-bit uniform (int16, its bit pattern): see `direction_table`."""
    end = np.int16(uniform >> np.int16(15))  # -1 in the upper half, where z > 0
    distance = np.int16(uniform ^ end)
    place = min(distance, np.int16((distance >> np.int16(4)) + _SHARED))
    return _finish(table[np.uint64(place)], uniform)


@device
def _finish(entry, uniform):
    """Return z from the table's entry for a uniform (both int16)."""
    end = np.int16(uniform >> np.int16(15))
    rest = np.int16(np.int16(uniform ^ end) & np.int16(15))
    negative = np.int16(np.int16(entry + rest) >> np.int16(8))
    return np.int8(np.int16(np.int16(negative ^ end) - end))


@device
def _sign(bits):
    """Return +32 if the lowest bit is set, else -32 (int8)."""
    return np.int8(np.int8(np.int8(np.uint32(bits) & np.uint32(1)) << np.int8(6)) - np.int8(32))


@kernel
def draw_directions(table, z, seed, step, direction, tensor, first_index, distribution):
    """Fill z (int8) with the direction's values at indices first_index, first_index + 1, ..."""
    rademacher = distribution == RADEMACHER
    block = np.int64(-1)
    words = _direction_words(np.int64(0), seed, step, direction, tensor)
    for i in range(z.size):
        index = np.int64(first_index + np.int64(i))
        wanted = np.int64(index >> (np.int64(7) if rademacher else np.int64(3)))
        if wanted != block:
            block = wanted
            words = _direction_words(block, seed, step, direction, tensor)
        if rademacher:
            word = words[(index >> np.int64(5)) & np.int64(3)]
            z[i] = _sign(np.uint32(word >> np.uint32(index & np.int64(31))))
        else:
            word = words[(index >> np.int64(1)) & np.int64(3)]
            half = np.uint32(word >> np.uint32((index & np.int64(1)) << np.int64(4)))
            z[i] = _gaussian(table, np.int16(half))


@device
def fill_words(words, first_block, purpose, seed, step, direction, tensor):
    """Fill `words` (uint32, a multiple of 32 of them) with consecutive blocks of a stream, in order."""
    number = np.int64((purpose << np.int64(24)) | direction)
    for group in range(words.size // GROUP_WORDS):
        block = np.int64(first_block + np.int64(group) * np.int64(8))
        offset = np.int64(group) * np.int64(GROUP_WORDS)
        store_words(words, offset, block, tensor, number, step, seed, seed >> np.int64(32))


@device
def _fill_signs(z, words, first, seed, step, direction, tensor):
    """Fill z with +-32 from the bits of the stream; `words` is uint32 scratch."""
    skipped = np.int64((first & np.int64(127)) >> np.int64(3))  # bytes of the first block
    whole = np.int64(z.size >> 5)
    bits = np.int64(8 * skipped + z.size)
    needed = np.int64((bits + 32 * GROUP_WORDS - 1) // (32 * GROUP_WORDS)) * np.int64(GROUP_WORDS)
    fill_words(words[:needed], first >> np.int64(7), np.int64(0), seed, step, direction, tensor)
    stream = words.view(np.uint8)[skipped:]
    for i in range(whole):
        expand_signs(stream, np.int64(4 * i), z, np.int64(32 * i))
    tail, rest = z[32 * whole :], stream[4 * whole :]
    for j in range(tail.size):
        tail[j] = _sign(np.uint32(rest[j >> 3]) >> np.uint32(j & 7))


@device
def _fill_gaussian(table, z, scratch, first, seed, step, direction, tensor):
    """Fill z through the table; `scratch` is int16: places, entries and uniforms."""
    groups = np.int64((z.size + GROUP_UNIFORMS - 1) // GROUP_UNIFORMS)
    length = groups * np.int64(GROUP_UNIFORMS)
    places = scratch[: 2 * GROUP_UNIFORMS]
    entries = scratch[2 * GROUP_UNIFORMS : 3 * GROUP_UNIFORMS + length]
    uniforms = scratch[3 * GROUP_UNIFORMS + length : 3 * GROUP_UNIFORMS + 2 * length]
    places[:] = 0  # the first group looks up the places of a group that was never drawn
    slot = np.int64(0)
    for group in range(groups):
        offset = np.int64(group) * np.int64(GROUP_UNIFORMS)
        block = np.int64((first >> np.int64(3)) + np.int64(group) * np.int64(8))
        store_uniforms_and_look_up(
            table, uniforms, entries, places, offset, slot,
            block, tensor, direction, step, seed, seed >> np.int64(32),
        )  # fmt: skip
        slot = np.int64(GROUP_UNIFORMS) - slot
    last, places = entries[length:], places[GROUP_UNIFORMS - slot :]
    for j in range(last.size):
        last[j] = table[np.uint64(np.uint16(places[j]))]
    drawn, looked_up = uniforms[: z.size], entries[GROUP_UNIFORMS : GROUP_UNIFORMS + z.size]
    for j in range(z.size):
        z[j] = _finish(looked_up[j], drawn[j])


@device
def chunk_of(block, share):
    """Return how many weights to do at a time with the int8 workspace `block`: a multiple of 64.

    share: bytes of workspace a weight, z and the generator's four among them; SCRATCH_BYTES come on top.
    """
    room = np.int64(block.size - SCRATCH_BYTES) // share
    return np.int64(min(room, _LARGEST_CHUNK) & np.int64(-GROUP_UNIFORMS))


@device
def fill_directions(table, z, scratch, first, seed, step, direction, tensor, distribution):
    """Fill z (int8, any length) with the direction's values at indices `first`, `first` + 1, ...

    `first` is a multiple of 8; `scratch` is int16 and holds at least 4 bytes for each value, their number
    rounded up to a multiple of 64, and SCRATCH_BYTES. Equal to `draw_directions`, and much faster.
    """
    if distribution == RADEMACHER:
        _fill_signs(z, scratch.view(np.uint32), first, seed, step, direction, tensor)
    else:
        _fill_gaussian(table, z, scratch, first, seed, step, direction, tensor)


SPECS = (
    KernelSpec(
        name="draw_directions",
        operator="random",
        function=draw_directions,
        reference=draw_directions_ref,
        arguments=(
            TABLE,
            array("z", "output", "int8", "N", -127),
            SEED,
            STEP,
            DIRECTION,
            TENSOR,
            parameter("first_index", 0, 2**35 - 1),
            DISTRIBUTION,
        ),
    ),
)
