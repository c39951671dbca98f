"""The definition of the generator and of z, in Python integers: slow and obvious."""

from __future__ import annotations

import functools
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.random.distributions import PAPER_THRESHOLDS, THRESHOLDS, Distribution

_LOW_32 = 2**32 - 1


def philox4x32_ref(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the four 32-bit words of Philox4x32-10 (ten rounds, the key bumped between them)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high_0, low_0 = divmod(0xD2511F53 * c0, 2**32)
        high_1, low_1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0, k1 = (k0 + 0x9E3779B9) & _LOW_32, (k1 + 0xBB67AE85) & _LOW_32
    return c0, c1, c2, c3


@functools.lru_cache(maxsize=4096)
def stream_bits_ref(block: int, purpose: int, seed: int, step: int, direction: int, tensor: int) -> int:
    """Return the 128 bits of one block of a stream as one integer, word 0 lowest."""
    pattern = seed % 2**64
    key = (pattern & _LOW_32, pattern >> 32)
    words = philox4x32_ref((block, tensor, purpose * 2**24 + direction, step), key)
    return sum(word << (32 * i) for i, word in enumerate(words))


def gaussian_ref(uniform: int, thresholds: tuple[int, ...] = THRESHOLDS) -> int:
    """Return z for a 16-bit uniform: thresholds reached by u less thresholds reached by 65535 - u."""
    return bisect_right(thresholds, uniform) - bisect_right(thresholds, 65535 - uniform)


def direction_ref(seed: int, step: int, direction: int, tensor: int, index: int, distribution: int) -> int:
    """Return z at one logical weight index."""
    if distribution == Distribution.RADEMACHER:
        bits = stream_bits_ref(index // 128, 0, seed, step, direction, tensor)
        return 32 if bits >> (index % 128) & 1 else -32
    bits = stream_bits_ref(index // 8, 0, seed, step, direction, tensor)
    uniform = bits >> (16 * (index % 8)) & 0xFFFF
    return gaussian_ref(uniform, THRESHOLDS if distribution == Distribution.GAUSSIAN else PAPER_THRESHOLDS)


def rounding_bits_ref(seed: int, step: int, tensor: int, index: int) -> int:
    """Return the 32 random bits that stochastic rounding uses at one logical weight index."""
    return stream_bits_ref(index // 4, 1, seed, step, 0, tensor) >> (32 * (index % 4)) & _LOW_32


def draw_directions_ref(
    table: NDArray[np.int16],
    seed: int,
    step: int,
    direction: int,
    tensor: int,
    first_index: int,
    distribution: int,
    *,
    output_size: int = 1,
) -> NDArray[np.int8]:
    """Define `draw_directions` for `output_size` values, by the thresholds: the table is not used."""
    indices = range(first_index, first_index + output_size)
    return np.array([direction_ref(seed, step, direction, tensor, i, distribution) for i in indices], np.int8)
