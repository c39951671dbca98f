"""Laws of the row-wise requantization: each element as `requantize_ref` says, nothing else touched."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import clamp_bounds, requantization, zero_point
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.arithmetic.requantize_row import (
    clamp_row,
    narrow_row,
    requantize_row,
    requantize_row_uniform,
)
from fxpgrad_kernels.jit import kernel
from tests.kernels.drawn import every_profile, generators

Generator = np.random.Generator


@kernel
def row_alone(row, multiplier, shift, rounding):
    """Call `requantize_row`."""
    requantize_row(row, multiplier, shift, rounding)


@kernel
def uniform_alone(row, multiplier, shift, rounding):
    """Call `requantize_row_uniform`."""
    requantize_row_uniform(row, multiplier, shift, rounding)


@kernel
def stored_alone(row, offset, low, high, output):
    """Call `clamp_row`, then `narrow_row`."""
    clamp_row(row, offset, low, high)
    narrow_row(row, output)


def drawn_row(rng: Generator, profile: Profile) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Return accumulators of every size that the profile takes, ties among them, and their pairs."""
    length = int(rng.integers(1, 20))
    bits = rng.integers(1, profile.exact_bits, length)
    row = np.array([rng.integers(-(2**b), 2**b) for b in bits.tolist()], np.int64)
    ends = [-(2 ** (profile.exact_bits - 1)), 2 ** (profile.exact_bits - 1) - 1, 0, -1, 1]
    row = np.where(rng.random(length) < 0.2, rng.choice(ends, length), row)
    pairs = requantization(rng, profile, length, float(2.0 ** bits.mean()))
    if rng.random() < 0.3:  # m * 2**(s - 31) = 2**-k, and an odd multiple of half a step
        k = rng.integers(1, 20, length)
        row = (2 * rng.integers(-200, 200, length) + 1) << (k - 1)
        pairs = {"multiplier": np.full(length, 2**30, np.int32), "shift": (1 - k).astype(np.int32)}
    return row, pairs["multiplier"].astype(np.int64), pairs["shift"].astype(np.int64)


@every_profile
@given(rng=generators)
def test_row_equals_the_definition_elementwise(profile: Profile, rng: Generator) -> None:
    row, multiplier, shift = drawn_row(rng, profile)
    expected = requantize_ref(row, multiplier, shift, int(profile.rounding))
    actual = row.copy()
    row_alone(actual, multiplier, shift, int(profile.rounding))
    np.testing.assert_array_equal(actual, expected)


@every_profile
@given(rng=generators)
def test_uniform_row_equals_a_row_of_equal_pairs(profile: Profile, rng: Generator) -> None:
    row, multiplier, shift = drawn_row(rng, profile)
    one, many = row.copy(), row.copy()
    uniform_alone(one, multiplier[0], shift[0], int(profile.rounding))
    row_alone(many, np.full_like(row, multiplier[0]), np.full_like(row, shift[0]), int(profile.rounding))
    np.testing.assert_array_equal(one, many)
    np.testing.assert_array_equal(one, requantize_ref(row, multiplier[0], shift[0], int(profile.rounding)))


@every_profile
@given(rng=generators)
def test_order_of_a_row_does_not_matter(profile: Profile, rng: Generator) -> None:
    row, multiplier, shift = drawn_row(rng, profile)
    order = rng.permutation(row.size)
    plain, moved = row.copy(), row[order]
    row_alone(plain, multiplier, shift, int(profile.rounding))
    row_alone(moved, multiplier[order], shift[order], int(profile.rounding))
    np.testing.assert_array_equal(moved, plain[order])


@given(rng=generators)
def test_stored_row_is_offset_clamped_and_no_longer_than_its_output(rng: Generator) -> None:
    size, room = (int(n) for n in rng.integers(1, 20, 2))
    row = rng.choice([-(2**31), 2**31 - 1, -300, 300, 0, 5], size) + rng.integers(-2, 3, size)
    bounds, offset = clamp_bounds(rng), zero_point(rng)
    output = np.full(room, 99, np.int8)
    stored_alone(row.copy(), offset, bounds["clamp_low"], bounds["clamp_high"], output)
    expected = np.full(room, 99, np.int8)
    written = min(size, room)
    expected[:written] = np.clip(row + offset, bounds["clamp_low"], bounds["clamp_high"])[:written]
    np.testing.assert_array_equal(output, expected)


@every_profile
def test_another_rounding_is_noticed(profile: Profile) -> None:
    """The rows above tell this profile's formula from each of the others."""
    for other in {p.rounding for p in PROFILES.values()} - {profile.rounding}:
        caught = False
        for seed in range(300):
            row, multiplier, shift = drawn_row(np.random.default_rng(seed), PROFILES["tflite_16x8"])
            if profile.exact_bits == 32 or other != 4:
                row = np.clip(row, -(2**31), 2**31 - 1)
            actual = row.copy()
            row_alone(actual, multiplier, shift, int(other))
            caught |= bool((actual != requantize_ref(row, multiplier, shift, int(profile.rounding))).any())
        assert caught, other
