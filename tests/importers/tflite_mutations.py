"""Damaged .tflite files: bytes, words, offsets and blocks; the same seed gives the same damage."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from tests.importers.tflite_seed_models import seed_builders

Rng = np.random.Generator
_NASTY = (0, 1, 2, 3, 4, 5, 7, 8, 127, 128, 255, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def seed_models() -> list[bytes]:
    return [builder.content() for builder in seed_builders()]


def mutated(content: bytes, rng: Rng) -> bytes:
    """Return `content` with a few damages of random kinds, most often one."""
    data = bytearray(content)
    for _ in range(int(rng.geometric(0.6))):
        kind = _KINDS[int(rng.integers(len(_KINDS)))]
        if len(data) >= 16:
            data = kind(data, rng)
    return bytes(data)


def _random_bytes(data: bytearray, rng: Rng) -> bytearray:
    for place in rng.integers(0, len(data), int(rng.integers(1, 17))):
        data[place] = int(rng.integers(256))
    return data


def _flipped_bit(data: bytearray, rng: Rng) -> bytearray:
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return data


def _truncated(data: bytearray, rng: Rng) -> bytearray:
    return data[: int(rng.integers(len(data)))]


def _word_place(data: bytearray, rng: Rng) -> int:
    """Return the place of an aligned word, more often near the file's end, where the tables stand."""
    return 4 * int(rng.integers(len(data) // 4))


def _nasty_word(data: bytearray, rng: Rng) -> bytearray:
    struct.pack_into("<I", data, _word_place(data, rng), _NASTY[int(rng.integers(len(_NASTY)))])
    return data


def _small_integers(data: bytearray) -> list[int]:
    """Return the places of words that could be an extent, an index, a count or an option."""
    words = np.frombuffer(bytes(data[: len(data) // 4 * 4]), "<i4")
    return [4 * int(place) for place in np.flatnonzero(np.abs(words.astype(np.int64)) < 4096)]


def _other_integer(data: bytearray, rng: Rng) -> bytearray:
    """Change one small integer: a dimension, a tensor index, an axis, an enumeration."""
    places = _small_integers(data)
    place = places[int(rng.integers(len(places)))] if places else 0
    choices = (int(rng.integers(-9, 9)), _NASTY[int(rng.integers(len(_NASTY)))])
    struct.pack_into("<I", data, place, choices[int(rng.integers(2))] % 2**32)
    return data


def _swapped_words(data: bytearray, rng: Rng) -> bytearray:
    """Swap two words, which are offsets more often than not."""
    a, b = _word_place(data, rng), _word_place(data, rng)
    data[a : a + 4], data[b : b + 4] = data[b : b + 4], data[a : a + 4]
    return data


def _redirected_offset(data: bytearray, rng: Rng) -> bytearray:
    """Point an offset at another place of the file, before or after it: overlaps and cycles."""
    place, target = _word_place(data, rng), _word_place(data, rng)
    struct.pack_into("<I", data, place, (target - place) % 2**32)
    return data


def _copied_block(data: bytearray, rng: Rng) -> bytearray:
    size = int(rng.integers(1, 65))
    a, b = (int(place) for place in rng.integers(0, len(data), 2))
    block = data[a : a + size]
    data[b : b + len(block)] = block
    return data


def _deleted_or_repeated_block(data: bytearray, rng: Rng) -> bytearray:
    a, size = int(rng.integers(len(data))), int(rng.integers(1, 33))
    if rng.integers(2):
        return data[:a] + data[a + size :]
    return data[:a] + data[a : a + size] + data[a:]


_KINDS: tuple[Callable[[bytearray, Rng], bytearray], ...] = (
    _random_bytes,
    _flipped_bit,
    _truncated,
    _nasty_word,
    _nasty_word,
    _other_integer,
    _other_integer,
    _other_integer,
    _swapped_words,
    _redirected_offset,
    _copied_block,
    _deleted_or_repeated_block,
)
