"""The counter-based generator: z is a pure function of (seed, step, direction, tensor, index).

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The stream
layout is a promise that stored trajectories rely on: see `contract.md`.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.random.random_ref import draw_directions_ref
from fxpgrad_kernels.spec import KernelSpec, array, parameter

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint32(0x9E3779B9)
_WEYL_1 = np.uint32(0xBB67AE85)
_LOW_32 = np.int64(0xFFFFFFFF)
_RADEMACHER = np.int64(1)

SEED = parameter("seed", -(2**63), 2**63 - 1)
STEP = parameter("step", 0, 2**32 - 1)
DIRECTION = parameter("direction", 0, 2**24 - 1)
TENSOR = parameter("tensor", 0, 2**32 - 1)
DISTRIBUTION = parameter("distribution", 0, 2)
TABLE = array("table", "constant", "int8", "T")


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
def _low(word):
    return np.uint64(np.uint64(word) & np.uint64(0xFFFF))


@device
def _high(word):
    return np.uint64(np.uint64(word) >> np.uint64(16))


@device
def _gaussian_lane(table, words, lane):
    """Return z for lane 0..7 of a block."""
    word = words[0]
    if lane >= 6:
        word = words[3]
    elif lane >= 4:
        word = words[2]
    elif lane >= 2:
        word = words[1]
    return table[_high(word)] if lane & 1 else table[_low(word)]


@device
def _fill_gaussian(table, z, first, seed, step, direction, tensor):
    size = np.int64(z.size)
    done = np.int64(0)
    while done < size:
        index = np.int64(first + done)
        lane = np.int64(index & np.int64(7))
        words = _direction_words(index >> np.int64(3), seed, step, direction, tensor)
        if lane == 0 and size - done >= 8:
            row = z[done : done + 8]
            row[0] = table[_low(words[0])]
            row[1] = table[_high(words[0])]
            row[2] = table[_low(words[1])]
            row[3] = table[_high(words[1])]
            row[4] = table[_low(words[2])]
            row[5] = table[_high(words[2])]
            row[6] = table[_low(words[3])]
            row[7] = table[_high(words[3])]
            done += np.int64(8)
        else:
            stop = min(np.int64(8), np.int64(lane + size - done))
            while lane < stop:
                z[done] = _gaussian_lane(table, words, lane)
                lane += np.int64(1)
                done += np.int64(1)


@device
def _signs_of_word(word, z, bit):
    """Fill z from the bits of `word`, starting at `bit`: 1 -> +32, 0 -> -32."""
    for j in range(z.size):
        sign = np.uint32(np.uint32(word >> np.uint32(np.uint32(bit) + np.uint32(j))) & np.uint32(1))
        z[j] = np.int8(np.int8(np.int8(sign) << np.int8(6)) - np.int8(32))


@device
def _fill_rademacher(z, first, seed, step, direction, tensor):
    size = np.int64(z.size)
    done = np.int64(0)
    while done < size:
        index = np.int64(first + done)
        words = _direction_words(index >> np.int64(7), seed, step, direction, tensor)
        lane = np.int64(index & np.int64(127))
        stop = min(np.int64(128), np.int64(lane + size - done))
        while lane < stop:
            bit = np.int64(lane & np.int64(31))
            word = words[0]
            if lane >= 96:
                word = words[3]
            elif lane >= 64:
                word = words[2]
            elif lane >= 32:
                word = words[1]
            count = min(np.int64(32) - bit, stop - lane)
            _signs_of_word(word, z[done : done + count], bit)
            lane += count
            done += count


@device
def fill_words(words, first_block, purpose, seed, step, direction, tensor):
    """Fill `words` (uint32 [4 * B]) with B consecutive blocks of a stream, lane by lane.

    Word w of block b lands at ``words[w * B + b]``: this order lets the loop over blocks vectorise.
    """
    blocks = words.size >> 2
    row_0 = words[:blocks]
    row_1 = words[blocks : 2 * blocks]
    row_2 = words[2 * blocks : 3 * blocks]
    row_3 = words[3 * blocks : 4 * blocks]
    first = np.uint32(first_block & _LOW_32)
    counter_1 = np.uint32(tensor & _LOW_32)
    counter_2 = np.uint32(((purpose << np.int64(24)) | direction) & _LOW_32)
    counter_3 = np.uint32(step & _LOW_32)
    seed_0 = np.uint32(seed & _LOW_32)
    seed_1 = np.uint32((seed >> np.int64(32)) & _LOW_32)
    for b_index in range(blocks):
        a, b, c, d = np.uint32(first + np.uint32(b_index)), counter_1, counter_2, counter_3
        key_0, key_1 = seed_0, seed_1
        for _ in range(10):
            a, b, c, d = philox_round(a, b, c, d, key_0, key_1)
            key_0 = np.uint32(key_0 + _WEYL_0)
            key_1 = np.uint32(key_1 + _WEYL_1)
        row_0[b_index] = a
        row_1[b_index] = b
        row_2[b_index] = c
        row_3[b_index] = d


@device
def _fill_gaussian_blocks(table, z, words):
    """Fill z (int8 [8 * B]) from the words (uint32 [4 * B], lane by lane) of B blocks."""
    blocks = words.size >> 2
    row_0 = words[:blocks]
    row_1 = words[blocks : 2 * blocks]
    row_2 = words[2 * blocks : 3 * blocks]
    row_3 = words[3 * blocks : 4 * blocks]
    for b in range(blocks):
        row = z[8 * b : 8 * b + 8]
        row[0] = table[_low(row_0[b])]
        row[1] = table[_high(row_0[b])]
        row[2] = table[_low(row_1[b])]
        row[3] = table[_high(row_1[b])]
        row[4] = table[_low(row_2[b])]
        row[5] = table[_high(row_2[b])]
        row[6] = table[_low(row_3[b])]
        row[7] = table[_high(row_3[b])]


@device
def fill_directions(table, z, scratch, first, seed, step, direction, tensor, distribution):
    """Fill z (int8, any length) with the direction's values at indices `first`, `first` + 1, ...

    `first` is a multiple of 8; `scratch` is uint32 of at least half z's length. The kernels call
    this with a short block, so that no layer's z is ever stored.
    """
    if distribution == _RADEMACHER:
        _fill_rademacher(z, first, seed, step, direction, tensor)
        return
    whole = np.int64(z.size) >> np.int64(3)
    words = scratch[: 4 * whole]
    fill_words(words, first >> np.int64(3), np.int64(0), seed, step, direction, tensor)
    _fill_gaussian_blocks(table, z[: 8 * whole], words)
    if z.size > 8 * whole:
        _fill_gaussian(table, z[8 * whole :], first + np.int64(8) * whole, seed, step, direction, tensor)


@kernel
def draw_directions(table, z, seed, step, direction, tensor, first_index, distribution):
    """Write z for the logical weight indices `first_index` ... `first_index` + N - 1."""
    if distribution == _RADEMACHER:
        _fill_rademacher(z, first_index, seed, step, direction, tensor)
    else:
        _fill_gaussian(table, z, first_index, seed, step, direction, tensor)


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
