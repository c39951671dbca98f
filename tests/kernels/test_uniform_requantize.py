"""Laws of the requantization that is one loop for all formulas in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import requantization
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.arithmetic.uniform_requantize import EVEN, store_requantized
from fxpgrad_kernels.jit import kernel
from tests.kernels.drawn import every_profile, generators

Generator = np.random.Generator


@kernel
def stored_alone(values, offset, multiplier, shift, rounding, output, zero_point, low, high):
    """Call `store_requantized`."""
    store_requantized(values, offset, multiplier, shift, rounding, output, zero_point, low, high)


def drawn(rng: Generator, profile: Profile) -> tuple[NDArray[np.int32], int, int]:
    """Return int32 values of every size, ties among them, and a pair that all of them take."""
    length = int(rng.integers(1, 70))
    bits = rng.integers(1, 32, length)
    values = np.array([rng.integers(-(2 ** (b - 1)), 2 ** (b - 1)) for b in bits.tolist()], np.int64)
    ends = [-(2**31), 2**31 - 1, 0, -1, 1]
    values = np.where(rng.random(length) < 0.2, rng.choice(ends, length), values)
    pair = requantization(rng, profile, 1, float(2.0 ** rng.integers(1, 32)))
    multiplier, shift = int(pair["multiplier"][0]), int(pair["shift"][0])
    if rng.random() < 0.3:  # multiplier * 2**(shift - 31) = 2**-k, and odd multiples of half a step
        k = int(rng.integers(1, 20))
        values = (2 * rng.integers(-200, 200, length) + 1) << (k - 1)
        multiplier, shift = 2**30, 1 - k
    return values.astype(np.int32), multiplier, shift


def check(rng: Generator, profile: Profile, rounding: int) -> None:
    values, multiplier, shift = drawn(rng, profile)
    dtype: Any = rng.choice(["int8", "int16"])
    info = np.iinfo(dtype)
    zero_point = int(rng.integers(info.min, info.max + 1))
    low, high = sorted(int(bound) for bound in rng.integers(info.min, info.max + 1, 2))
    offset = int(rng.integers(-9, 10))
    centred = np.clip(values.astype(np.int64), -(2**31) + 9, 2**31 - 10)
    output = np.zeros(values.size, dtype)
    stored_alone(centred + offset, offset, multiplier, shift, rounding, output, zero_point, low, high)
    expected = np.clip(requantize_ref(centred, multiplier, shift, rounding) + zero_point, low, high)
    np.testing.assert_array_equal(output, expected, f"{multiplier} {shift} {rounding}")


@every_profile
@given(rng=generators)
def test_every_formula_equals_its_definition(profile: Profile, rng: Generator) -> None:
    for rounding in profile.roundings():
        limits = profile.limits(rounding)
        if limits.shift_high >= profile.shift_high or rounding == EVEN:
            check(rng, profile, int(rounding))
